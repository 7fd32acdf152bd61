"""Find the axis condition that explains a group of workflows: comparisons that they meet and others do not.

A condition is found only if chance does not explain it. For each candidate a bound is computed on the
probability that as many of the group's workflows, drawn at random, would match any candidate of its kind.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate, compress
from math import comb, lgamma, log
from typing import NamedTuple

from ..core.dates import parse_moment
from ..expansion.selection import Term, format_terms
from .axis_columns import AxisColumn

CHANCE = 0.001
"""The probability of a condition for a group of failures that no axis has to do with."""
LEAST_SHARE = 0.9  # of a group that a condition covers
MOST_TERMS = 3
MOST_VALUES = 4  # of one axis in a condition
_LEAST_LIFT = 1.2  # how much more frequent the group is within the condition
_NUMBER = re.compile(r"[-+]?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class Condition(NamedTuple):
    """Comparisons that most workflows of a group meet."""

    terms: tuple[Term, ...]
    covered: int  # workflows of the group that meet it
    total: int  # workflows of the group
    matching: int  # workflows that meet it, of all that were compared

    @property
    def text(self) -> str:
        """Return the condition as `--select` takes it."""
        return format_terms(self.terms)

    @property
    def is_exact(self) -> bool:
        return self.covered == self.total


class _Candidate(NamedTuple):
    column: int
    terms: tuple[Term, ...]  # on one axis: one comparison, or two that limit a range
    ids: frozenset[int]
    covered: int
    matching: int
    log_chance: float

    def rank(self, count: int) -> float:
        """Return the evidence as a negative number; a condition that covers all needs half of it."""
        return self.log_chance * (2 if self.covered == count else 1)


class _Column:
    """A column with its values in order, if their order is that of a selection."""

    def __init__(self, column: AxisColumn) -> None:
        self.name = column.name
        self.labels = column.labels
        self.ids = column.ids
        key = _find_order(column.labels[1:])
        numbers = range(1, len(column.labels))
        self.ordered = sorted(numbers, key=lambda n: key(column.labels[n])) if key is not None else None
        self.totals = Counter(column.ids)

    def equals(self, ids: Sequence[int]) -> tuple[Term, ...]:
        return (Term(self.name, "=", tuple(self.labels[number] for number in ids)),)


def _find_order(labels: Sequence[str]) -> Callable[[str], Decimal | str | float] | None:
    """Return the sort key by which `--select` compares these values; None if they have no order."""
    if all(map(_NUMBER.fullmatch, labels)):
        return Decimal
    if all(map(_DAY.fullmatch, labels)):
        return str
    try:
        moments = {label: parse_moment(label) for label in labels if "T" in label}
        ranks = {moment: place for place, moment in enumerate(sorted({*moments.values()}))}
    except (ValueError, TypeError):
        return None
    if len(moments) < len(labels):
        return None
    return lambda label: float(ranks[moments[label]])


class ConditionFinder:
    """Explains groups of workflows by the values of their axes, compared with all workflows given."""

    def __init__(self, columns: Sequence[AxisColumn], count: int) -> None:
        self._columns = [_Column(column) for column in columns]
        self._count = count

    def find(self, positions: Sequence[int]) -> Condition | None:
        """Return the condition that covers the workflows at these positions, or nearly all of them.

        Shape:  comparisons of at most MOST_TERMS axes, which together cover LEAST_SHARE of the group.
        """
        chosen: list[_Candidate] = []
        mask = bytes([1]) * self._count
        members = positions
        while len(chosen) < MOST_TERMS:
            found = self._best(mask, members, len(positions), chosen)
            if found is None:
                break
            chosen.append(found)
            mask = self._mask(chosen)
            ids = self._columns[found.column].ids
            members = [position for position in members if ids[position] in found.ids]
        chosen = self._without_redundant(chosen)
        if not chosen:
            return None
        terms = tuple(term for found in sorted(chosen) for term in found.terms)
        return Condition(terms, len(members), len(positions), sum(self._mask(chosen)))

    def _mask(self, chosen: Sequence[_Candidate]) -> bytes:
        """Return a 1 for each workflow that matches all candidates."""
        mask = bytes([1]) * self._count
        for found in chosen:
            column = self._columns[found.column]
            matches = [number in found.ids for number in range(len(column.labels))]
            hits = bytes(map(matches.__getitem__, column.ids))
            mask = bytes(map(int.__and__, mask, hits))
        return mask

    def _best(
        self, mask: bytes, members: Sequence[int], total: int, chosen: Sequence[_Candidate]
    ) -> _Candidate | None:
        """Return the candidate with the most evidence, among the workflows that the mask has."""
        used = {found.column for found in chosen}
        found: list[_Candidate] = []
        for place, column in enumerate(self._columns):
            if place not in used:
                totals = Counter(compress(column.ids, mask)) if chosen else column.totals
                group = Counter(map(column.ids.__getitem__, members))
                found += _candidates(place, column, totals, group)
        limit = log(CHANCE / max(1, len(self._columns)))
        likely = [
            candidate
            for candidate in found
            if candidate.log_chance <= limit and candidate.covered >= LEAST_SHARE * total
        ]
        return min(likely, key=lambda candidate: candidate.rank(len(members)), default=None)

    def _without_redundant(self, chosen: list[_Candidate]) -> list[_Candidate]:
        """Remove the candidates that the others imply."""
        for found in [*chosen]:
            others = [other for other in chosen if other is not found]
            if others and sum(self._mask(others)) == sum(self._mask(chosen)):
                chosen = others
        return chosen


def _candidates(
    place: int, column: _Column, totals: Mapping[int, int], group: Mapping[int, int]
) -> Iterator[_Candidate]:
    """Yield the sets and ranges of one axis that may explain the group.

    Cost:   linear in the number of values, after sorting the group's.
    """
    count, members = sum(totals.values()), sum(group.values())

    def make(terms: tuple[Term, ...], ids: Sequence[int], log_kinds: float) -> Iterator[_Candidate]:
        matching = sum(totals.get(number, 0) for number in ids)
        covered = sum(group.get(number, 0) for number in ids)
        if matching and covered / members >= _LEAST_LIFT * matching / count:
            chance = _log_tail(covered, members, matching, count) + log_kinds
            yield _Candidate(place, terms, frozenset(ids), covered, matching, chance)

    kinds = len([number for number in totals if number])
    common = [number for number, _ in Counter(group).most_common(MOST_VALUES + 1) if number]
    for size, _ in enumerate(common[:MOST_VALUES], 1):
        # the sizes share the chance: 1/(1·2) + 1/(2·3) + … is below 1; sets, rays and ranges share it too
        ids = sorted(common[:size])
        yield from make(column.equals(ids), ids, log(3 * size * (size + 1) * comb(kinds, size)))
    if column.ordered is None:
        return
    order = [number for number in column.ordered if totals.get(number)]
    low, high = 0, len(order) - 1
    ranges = _ranges([totals[number] for number in order], [group.get(number, 0) for number in order])
    for first, last in ranges:
        bounds = []
        if first > low:
            bounds.append(Term(column.name, ">=", (column.labels[order[first]],)))
        if last < high:
            bounds.append(Term(column.name, "<=", (column.labels[order[last]],)))
        if bounds and first < last:
            several = len(order) * len(order) / 2 if len(bounds) == 2 else 2 * len(order)
            yield from make(tuple(bounds), order[first : last + 1], log(3 * several))


def _ranges(totals: Sequence[int], group: Sequence[int]) -> set[tuple[int, int]]:
    """Return ranges of positions: the smallest with all of the group, the densest, and their extensions."""
    places = [place for place, number in enumerate(group) if number]
    if not places:
        return set()
    last = len(totals) - 1
    hull = (places[0], places[-1])
    share = sum(group) / sum(totals)
    # the densest range: the greatest sum of what each value has more than its share
    excess = [0.0, *accumulate(number - share * total for number, total in zip(group, totals, strict=True))]
    lowest, densest, best = 0, hull, 0.0
    for end in range(1, len(excess)):
        if excess[end] - excess[lowest] > best:
            best, densest = excess[end] - excess[lowest], (lowest, end - 1)
        if excess[end] < excess[lowest]:
            lowest = end
    return {found for a, b in (hull, densest) for found in ((a, b), (a, last), (0, b)) if found != (0, last)}


def _log_tail(covered: int, members: int, matching: int, count: int) -> float:
    """Bound the log of the probability that at least `covered` of `members` drawn workflows match.

    Shape:  `members` are drawn without replacement from `count` workflows, of which `matching` match.
    Source: the hypergeometric distribution, whose terms only become smaller above its mode.
    """
    if covered <= (members + 1) * (matching + 1) / (count + 2):
        return 0.0
    term = _log_comb(matching, covered) + _log_comb(count - matching, members - covered)
    return min(0.0, term - _log_comb(count, members) + log(members - covered + 1))


def _log_comb(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
