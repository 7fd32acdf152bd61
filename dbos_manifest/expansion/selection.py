"""Select workflows of the manifests by comparisons, IDs and names of entries."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

from ..core.canonical_json import canonical_json
from ..core.dates import parse_moment
from ..core.errors import UsageError
from ..core.lines import split_lines
from ..core.suggest import did_you_mean
from ..expressions.filters import UNSET
from ..workflows.options import FIELDS, OPTIONS, TIME_OPTIONS
from ..workflows.spec import WorkflowSpec
from .expansion import Expansion

_TERM = re.compile(
    r"\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*(!=|<=|>=|=|<|>)\s*"
    r"((?:\"[^\"]*\"|'[^']*'|[^\s,\"']+)(?:,(?:\"[^\"]*\"|'[^']*'|[^\s,\"']+))*)"
)
_WORD = re.compile(r"\"([^\"]*)\"|'([^']*)'|([^\s,\"']+)")
_PLAIN_WORD = re.compile(r"[^\s,\"']+")
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,4})?", re.ASCII)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class Term(NamedTuple):
    """A comparison such as `day>=2026-02-01`; several values are alternatives."""

    name: str  # of the matrix, with a path into its value; or an option
    operator: str
    values: tuple[str, ...]

    @property
    def root(self) -> str:
        return self.name.partition(".")[0]


def parse_ids(text: str) -> set[str]:
    """Return the IDs of a list, one per line. A line that begins with `"` is a JSON string.

    Raises: UsageError for such a line that is not one.
    """
    return {_parse_id(line) for line in split_lines(text) if line}


def _parse_id(line: str) -> str:
    if not line.lstrip().startswith('"'):
        return line
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, str):
        raise UsageError(f'--ids-from: expected a JSON string in a line that begins with `"`, found `{line}`')
    return found


def parse_terms(text: str) -> list[Term]:
    """Parse comparisons such as `region=eu,us day>=2026-02-01`; values with spaces are quoted.

    Raises: UsageError with an example of a selection.
    """
    terms, at = [], 0
    while match := _TERM.match(text, at):
        name, operator, values = match.groups()
        words = tuple(next(part for part in word if part) for word in _WORD.findall(values) if any(word))
        for word in words:
            if _NUMBER.fullmatch(word) and "e" in word.lower() and not isfinite(float(word)):
                raise UsageError(f"--select: `{word}` is out of range: the largest number is about 1.8e308")
        if operator in _ORDERS and len(words) != 1:
            raise UsageError(f"--select: expected one value in `{match[0].strip()}`, found {len(words)}")
        terms.append(Term(name, operator, words or ("",)))
        at = match.end()
        if at < len(text) and not text[at].isspace():
            break
    if text[at:].strip() or not terms:
        raise UsageError(
            f"--select: cannot read `{text[at:].strip() or text}`",
            "write comparisons: --select 'region=eu day>=2026-02-01'",
        )
    return terms


def can_select(text: str) -> bool:
    """Return whether a comparison can name this value: it fits on one line, in one kind of quotes."""
    return bool(text) and text.isprintable() and not ('"' in text and "'" in text)


def format_terms(terms: Iterable[Term]) -> str:
    """Write comparisons as `parse_terms` reads them; their values are such as `can_select` accepts."""
    return " ".join(f"{term.name}{term.operator}{','.join(map(_quote, term.values))}" for term in terms)


def _quote(value: str) -> str:
    if _PLAIN_WORD.fullmatch(value):
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'


class Selection:
    """Selects the workflows that match every term, and are in `ids` and `entries` if these are given."""

    def __init__(
        self, terms: Sequence[Term], ids: Iterable[str] | None = None, entries: Collection[str] = ()
    ) -> None:
        self._terms = tuple(terms)
        self._ids = frozenset(ids) if ids is not None else None
        self._entries = frozenset(entries)

    def matches(self, expansion: Expansion, spec: WorkflowSpec) -> bool:
        """Return whether a workflow is selected."""
        if self._ids is not None and spec.id not in self._ids:
            return False
        if self._entries and spec.name not in self._entries:
            return False
        return all(_holds(term, _value_of(term, expansion, spec)) for term in self._terms)

    def find_listed(self, ids: Iterable[str]) -> frozenset[str]:
        """Return those of some IDs that the selection lists."""
        return self._ids.intersection(ids) if self._ids is not None else frozenset()

    def check(self, expansions: Sequence[Expansion], selected: int, listed: Collection[str]) -> None:
        """Check the selection, given how many workflows it matches and which listed IDs the manifests have.

        Raises: UsageError for an unknown name, entry or ID, and when no workflow was selected.
        """
        known = set(OPTIONS)
        entries: set[str] = set()
        for expansion in expansions:
            for index, entry in enumerate(expansion.manifest.entries):
                known.update(expansion.names_of(index))
                if entry.get("name"):
                    entries.add(entry["name"])
        for term in self._terms:
            if term.root not in known:
                raise UsageError(
                    f"--select: there is no axis or option `{term.root}`",
                    did_you_mean(term.root, sorted(known)),
                )
        for name in sorted(self._entries - entries):
            if not any("${{" in entry for entry in entries):
                raise UsageError(
                    f"--entry: there is no entry named `{name}`", did_you_mean(name, sorted(entries))
                )
        if self._ids is not None and (missing := sorted(self._ids.difference(listed))):
            more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
            raise UsageError(
                f"--ids-from: the manifests do not contain {', '.join(missing[:3])}{more}",
                "remove these IDs, or add the manifests that contain them",
            )
        if not selected:
            total = sum(expansion.count for expansion in expansions)
            raise UsageError(
                f"the selection matches none of the {total:,} workflows",
                "run `expand -o ids` to list their IDs",
            )


def _value_of(term: Term, expansion: Expansion, spec: WorkflowSpec) -> object:
    """Return the value that a term compares, of the combination or of an option; UNSET if there is none."""
    root, *steps = term.name.split(".")
    names = expansion.names_of(spec.entry)
    if root in names:
        value = spec.binding[names.index(root)][0]
    elif root in OPTIONS:
        value = getattr(spec, FIELDS[root])
    else:
        return UNSET
    for step in steps:
        value = value.get(step, UNSET) if isinstance(value, dict) else UNSET
    return UNSET if value is None else value


def _holds(term: Term, value: object) -> bool:
    if value is UNSET:
        return False
    if term.name in TIME_OPTIONS and isinstance(value, int):
        return _time_holds(term, value)
    if term.operator in _ORDERS:
        return _in_order(term, value)
    equal = any(_equal(value, text) for text in term.values)
    return equal if term.operator == "=" else not equal


def _equal(value: object, text: str) -> bool:
    if isinstance(value, str):
        return value == text
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _NUMBER.fullmatch(text) is not None and Decimal(text) == Decimal(repr(value))
    return canonical_json(value) == text


def _in_order(term: Term, value: object) -> bool:
    """Compare numbers as numbers, times with offsets as instants, and other texts by their characters."""
    text, order = term.values[0], _ORDERS[term.operator]
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UsageError(
            f"--select: expected text or a number to compare with `{term.operator}`, "
            f"found {canonical_json(value)[:40]} for `{term.name}`"
        )
    shown = str(value)
    if _NUMBER.fullmatch(text) and _NUMBER.fullmatch(shown):
        return order(Decimal(shown), Decimal(text))  # exact, and an integer may be beyond any float
    if not isinstance(value, str):
        raise UsageError(f"--select: expected a number to compare with `{term.name}`, found `{text}`")
    if "T" in text and "T" in value:
        try:
            return order(parse_moment(value), parse_moment(text))
        except (ValueError, TypeError):  # not two times with offsets, or two without
            pass
    return order(value, text)


def _time_holds(term: Term, value: int) -> bool:
    try:
        wanted = [TIME_OPTIONS[term.name].parse(text) for text in term.values]
    except ValueError as error:
        raise UsageError(f"--select: {term.name}: {error}") from None
    if term.operator in _ORDERS:
        return _ORDERS[term.operator](value, wanted[0])
    return (value in wanted) == (term.operator == "=")
