"""Describe the fields in which workflows differ from their rows: each once, with how many differ in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..core.columns import Repeated, distinct
from ..planning.states import ABSENT, Change, Difference
from .text import plain_value, printable, shorten, show_value

_KEPT = 20  # different pairs of values of a field
_SHOWN = 3
_RARE = 100  # values of less than one workflow in so many are not shown
_WIDTH = 60
_COMPARED = 10_000  # characters of a list or map by which values are compared
_SIMPLE = frozenset({str, int, float, bool, type(None)})
_Values = tuple[object, ...]  # of both sides, with their types


class DifferenceCounts:
    """The fields in which workflows differ, with the number of workflows for each pair of values.

    Shape:  of each field only the first different pairs are known; other workflows are only counted.
    """

    def __init__(self) -> None:
        self._pairs: dict[str, dict[_Values, Difference]] = {}  # by field
        self._counts: dict[str, Counter[_Values]] = {}
        self._others: Counter[str] = Counter()

    def add(self, changes: Sequence[Change]) -> None:
        """Add the changes of workflows that differ in the same fields."""
        if isinstance(changes, Repeated):
            self._add(changes.value, len(changes))
            return
        counts = Counter(map(id, changes))
        for change in distinct(changes):
            self._add(change, counts[id(change)])

    def _add(self, change: Change, count: int) -> None:
        for difference in change.differences:
            name, values = difference.field, _values_of(difference)
            pairs = self._pairs.setdefault(name, {})
            if values in pairs or len(pairs) < _KEPT:
                pairs.setdefault(values, difference)
                self._counts.setdefault(name, Counter())[values] += count
            else:
                self._others[name] += count

    def lines(self, show_values: bool) -> Iterator[str]:
        """Yield `queue: etl → elt` for each field, with counts where the workflows have different values."""
        for name, pairs in self._pairs.items():
            field = printable(name)
            counts = self._counts[name]
            total = counts.total() + self._others[name]
            common = [pair for pair in counts.most_common(_SHOWN) if pair[1] * _RARE >= total]
            if not show_values:
                yield field
            elif len(pairs) == 1:
                yield f"{field}: {_describe_pair(*pairs.values())}"
            else:
                shown = [f"{_describe_pair(pairs[values])} ({count:,})" for values, count in common]
                if others := total - sum(count for _, count in common):
                    shown.append(f"other values ({others:,})" if shown else "values differ")
                yield f"{field}: {', '.join(shown)}"

    def as_json(self, show_values: bool) -> list[dict[str, object]]:
        """Return the fields; values only with `show_values`, and only where all workflows have the same."""
        out = []
        for name, pairs in self._pairs.items():
            same = len(pairs) == 1 and not self._others[name]
            out.append(difference_json(next(iter(pairs.values())), show_values and same))
        return out


def difference_json(difference: Difference, show_values: bool) -> dict[str, object]:
    """Return a difference as JSON values; values of both sides only with `show_values`."""
    out: dict[str, object] = {"field": difference.field}
    if show_values:
        for side in ("database", "manifest"):
            value = getattr(difference, side)
            if value is not ABSENT:
                out[side] = plain_value(value)
    return out


def _values_of(difference: Difference) -> _Values:
    """Return what two differences of a field have in common when their values are the same."""
    sides = (difference.database, difference.manifest)
    return tuple(
        (type(side), side if type(side) in _SIMPLE else show_value(side, _COMPARED)) for side in sides
    )


def _describe_pair(difference: Difference) -> str:
    """Return `etl → elt`, from the value in the database to that of the manifest."""
    is_json = difference.field.startswith(("args", "kwargs"))
    return " → ".join(_describe(value, is_json) for value in (difference.database, difference.manifest))


def _describe(value: object, is_json: bool) -> str:
    if value is ABSENT:
        return str(value)
    if not is_json and value is None:
        return "(not set)"
    if not is_json and isinstance(value, str) and value:
        return shorten(printable(value), _WIDTH)
    return show_value(value, _WIDTH)
