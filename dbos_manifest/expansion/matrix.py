"""Combine the axes of an entry. The number of combinations is known before the first one is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import prod
from typing import Any

from ..core.canonical_json import canonical_json
from ..core.columns import weigh
from ..core.memory_budget import BUDGET, MemoryBudget
from ..core.work_budget import spend, spend_bytes, spend_each
from ..expressions.filters import UNSET
from .axis import Axis, AxisError

Cell = tuple[Any, ...]
"""A value of a name, its canonical text (None if no rule has the name), its position on the axis (None for a
combination of an include), then its columns."""

Combination = tuple[Cell, ...]
Column = Callable[[Any], object]
"""Computes something from the value of one axis, once per value instead of once per combination."""

MAX_STATES = 100_000
MAX_AXES = 100  # each is a nested loop
_FEW_RULES = 4
_UNSET_CELL: Cell = (UNSET, None, None)
Rule = dict[str, str]  # by axis, the canonical text of its value
_MakeCell = Callable[[object, int | None], Cell]
POSITION, COLUMNS = 2, 3  # in a cell


class MemoryMeter:
    """Measures the cells of combinations while they are made."""

    def __init__(self, budget: MemoryBudget = BUDGET) -> None:
        self.budget = budget
        self.bytes = 0  # of all cells that were made so far


@dataclass(frozen=True)
class Matrix:
    """The product of axes in written order, the first varying slowest, less `exclude`, plus `include`.

    Shape:  an include whose axis values match remaining combinations adds its other names to them;
            any other include is a combination of its own, after all others.
    Source: SPEC §1; GitHub Actions, `jobs.<id>.strategy.matrix`.
    """

    axes: tuple[Axis, ...]
    excludes: tuple[dict[str, Any], ...] = ()
    includes: tuple[dict[str, Any], ...] = ()

    @cached_property
    def axis_names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the names of the axes, then those that only includes set."""
        extra = dict.fromkeys(name for rule in self.includes for name in rule)
        return (*self.axis_names, *(name for name in extra if name not in self.axis_names))

    @cached_property
    def _counting(self) -> _Counting:
        ruled = {name for rule in (*self.excludes, *self.includes) for name in rule}
        mentioned = {
            name: {canonical_json(rule[name]) for rule in (*self.excludes, *self.includes) if name in rule}
            for name in ruled
        }
        return _Counting(self.axes, mentioned)

    @cached_property
    def _exclude_rules(self) -> list[Rule]:
        return [self._axis_rule(rule) for rule in self.excludes]

    def _axis_rule(self, rule: Mapping[str, object]) -> Rule:
        return {name: canonical_json(value) for name, value in rule.items() if name in self.axis_names}

    @cached_property
    def own_includes(self) -> tuple[dict[str, Any], ...]:
        """Return the includes that are combinations of their own."""
        return tuple(rule for rule in self.includes if not self._matches_any(self._axis_rule(rule)))

    def _matches_any(self, rule: Rule) -> bool:
        if not self.axes:
            return False
        matching = self._counting.count_union([rule])
        spend(len(self._exclude_rules))
        if not matching or not self._exclude_rules:
            return matching > 0
        both = [{**rule, **other} for other in self._exclude_rules if _agree(rule, other)]
        return matching > self._counting.count_union(both)

    @cached_property
    def steps(self) -> int:
        """Return the steps of work for one combination: a cell for each name, and the lookup of rules."""
        groups = (*self._grouped(self._exclude_rules), *self._grouped([*map(self._axis_rule, self.includes)]))
        return len(self.names) + len(groups)

    @property
    def product(self) -> int:
        return prod(axis.count for axis in self.axes) if self.axes else 0

    @cached_property
    def excluded(self) -> int:
        return self._counting.count_union(self._exclude_rules) if self._exclude_rules else 0

    @cached_property
    def count(self) -> int:
        """Count the combinations by arithmetic.

        Raises: AxisError when the rules are too complex to count.
        """
        return self.product - self.excluded + len(self.own_includes)

    def unused_excludes(self) -> list[int]:
        """Return the positions of the excludes that match no combination."""
        return [
            position
            for position, rule in enumerate(self._exclude_rules)
            if not self._counting.count_union([rule])
        ]

    def combinations(
        self, columns: Mapping[str, Sequence[Column]], meter: MemoryMeter | None = None
    ) -> Iterator[Combination]:
        """Yield every combination, with a cell for each of `names`; `meter` measures the cells."""
        meter = meter or MemoryMeter()
        makers = [self._cell_maker(name, columns.get(name, ()), meter) for name in self.axis_names]
        found = self._without_excluded(_multiply(self.axes, makers, meter)) if self.axes else iter(())
        extras = len(self.names) - len(self.axes)
        if extras:
            found = self._with_additions(found)
        yield from found
        for rule in self.own_includes:
            own = zip(self.axis_names, makers, strict=True)
            cells = [make(rule.get(name, UNSET), None) for name, make in own]
            yield (*cells, *(_off_axis(rule.get(name, UNSET)) for name in self.names[len(self.axes) :]))

    def _cell_maker(self, name: str, columns: Sequence[Column], meter: MemoryMeter) -> _MakeCell:
        ruled = any(name in rule for rule in (*self.excludes, *self.includes))

        def make(value: object, position: int | None) -> Cell:
            key = canonical_json(value) if ruled and value is not UNSET else None
            cell = (value, key, position, *[column(value) for column in columns])
            meter.bytes += sum(map(weigh, cell))
            return cell

        return make

    def _without_excluded(self, found: Iterator[Combination]) -> Iterator[Combination]:
        for positions, keys in self._grouped(self._exclude_rules).items():
            found = _without(found, positions, set(keys))
        return found

    def _grouped(self, rules: Sequence[Rule]) -> dict[tuple[int, ...], dict[tuple[str, ...], list[int]]]:
        """Group rules by the axes that they name: positions -> texts at them -> indexes of the rules."""
        groups: dict[tuple[int, ...], dict[tuple[str, ...], list[int]]] = {}
        for number, rule in enumerate(rules):
            positions = tuple(p for p, name in enumerate(self.axis_names) if name in rule)
            key = tuple(rule[self.axis_names[p]] for p in positions)
            groups.setdefault(positions, {}).setdefault(key, []).append(number)
        return groups

    def _with_additions(self, found: Iterator[Combination]) -> Iterator[Combination]:
        first = len(self.axes)
        own = {id(rule) for rule in self.own_includes}
        adding = [rule for rule in self.includes if id(rule) not in own]
        groups = self._grouped([self._axis_rule(rule) for rule in adding])
        empty = (_UNSET_CELL,) * (len(self.names) - first)
        for cells in found:
            numbers = [
                number
                for positions, keys in groups.items()
                for number in keys.get(tuple(cells[p][1] for p in positions), ())
            ]
            if not numbers:
                yield (*cells, *empty)
                continue
            if len(numbers) > _FEW_RULES:
                spend(len(numbers))
            added: dict[str, Any] = {}
            for number in sorted(numbers):
                added |= adding[number]
            yield (*cells, *(_off_axis(added.get(name, UNSET)) for name in self.names[first:]))


def _off_axis(value: object) -> Cell:
    return (value, None, None)


def _agree(one: Rule, other: Rule) -> bool:
    return all(one[name] == text for name, text in other.items() if name in one)


def _without(
    found: Iterator[Combination], positions: tuple[int, ...], keys: set[tuple[str, ...]]
) -> Iterator[Combination]:
    if len(positions) == 1:
        (p,) = positions
        single = {key[0] for key in keys}
        return (cells for cells in found if cells[p][1] not in single)
    return (cells for cells in found if tuple([cells[p][1] for p in positions]) not in keys)


def _multiply(axes: Sequence[Axis], makers: Sequence[_MakeCell], meter: MemoryMeter) -> Iterator[Combination]:
    """Multiply axes. Only the combinations of the inner axes are held, and only when they fit the budget."""
    make = makers[0]
    if len(axes) == 1:
        return ((make(value, at),) for at, value in enumerate(axes[0].values()))
    inner: list[Combination] | None = None
    if prod(axis.count for axis in axes[1:]) <= meter.budget.held_combinations:
        inner = _hold(_multiply(axes[1:], makers[1:], meter), meter)
    return _pair(axes[0], make, lambda: _multiply(axes[1:], makers[1:], meter) if inner is None else inner)


def _hold(found: Iterator[Combination], meter: MemoryMeter) -> list[Combination] | None:
    """Return all combinations, or None when they exceed the budget and must be computed again each time."""
    held: list[Combination] = []
    most = meter.bytes + meter.budget.held_bytes
    for combination in found:
        if meter.bytes > most:
            return None
        held.append(combination)
    return held


def _pair(axis: Axis, make: _MakeCell, inner: Callable[[], Iterable[Combination]]) -> Iterator[Combination]:
    for at, value in enumerate(axis.values()):
        head = (make(value, at),)
        for tail in inner():
            yield head + tail


def read_part(combinations: Iterator[Combination], size: int, meter: MemoryMeter) -> list[Combination]:
    """Return the next combinations: `size`, or fewer when they exceed the memory budget."""
    part: list[Combination] = []
    before = meter.bytes
    most = before + meter.budget.evaluated_bytes
    for combination in islice(combinations, size):
        part.append(combination)
        if meter.bytes > most:
            break
    spend_bytes(meter.bytes - before)
    return part


class _Counting:
    """Counts the combinations that rules match, each once, without making them."""

    def __init__(self, axes: Sequence[Axis], mentioned: Mapping[str, set[str]]) -> None:
        self._sizes = [axis.count for axis in axes]
        self._names = [axis.name for axis in axes]
        self._times = [self._occurrences(axis, mentioned.get(axis.name, set())) for axis in axes]
        self._known: dict[tuple[int, frozenset[tuple[tuple[str, str], ...]]], int] = {}

    @staticmethod
    def _occurrences(axis: Axis, wanted: set[str]) -> Counter[str]:
        if not wanted:
            return Counter()
        values = spend_each(axis.values(), 2)
        return Counter(key for key in map(canonical_json, values) if key in wanted)

    def count_union(self, rules: Sequence[Rule], axis: int = 0) -> int:
        """Count the combinations of the axes from position `axis` on that at least one rule matches.

        Values of an axis that no rule names are counted together, so that the work depends on the number of
        rules and not on the sizes of the axes.
        """
        if not rules:
            return 0
        if any(not rule for rule in rules):
            return prod(self._sizes[axis:])
        spend(2 * len(rules))
        key = (axis, frozenset(tuple(sorted(rule.items())) for rule in rules))
        if key not in self._known:
            if len(self._known) >= MAX_STATES:
                raise AxisError(
                    "too-large",
                    "`exclude` and `include` have too many different rules for their combinations "
                    "to be counted",
                )
            self._known[key] = self._count(rules, axis)
        return self._known[key]

    def _count(self, rules: Sequence[Rule], axis: int) -> int:
        name, times = self._names[axis], self._times[axis]
        naming: dict[str, list[Rule]] = {}
        others = [rule for rule in rules if name not in rule]
        for rule in rules:
            if name in rule:
                naming.setdefault(rule[name], []).append({k: v for k, v in rule.items() if k != name})
        total = sum(
            times[text] * self.count_union([*left, *others], axis + 1)
            for text, left in naming.items()
            if times[text]
        )
        rest = self._sizes[axis] - sum(times[text] for text in naming)
        return total + (rest * self.count_union(others, axis + 1) if rest else 0)
