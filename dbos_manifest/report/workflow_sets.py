"""Collect workflows of a matrix, and describe them as disjoint sets of axis values."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from ..core.canonical_json import canonical_json
from ..expansion.axis import Axis
from ..expansion.matrix import POSITION, Combination, Matrix
from ..expressions.filters import UNSET
from ..planning.boxes import MOST_RUNS, Box, BoxBuilder, Runs, count_combinations, find_runs, strides_of
from .text import plain_value, printable, shorten

LISTED = 6  # consecutive values that are listed one by one
_LABEL_WIDTH = 40


class ValueRun(NamedTuple):
    """Consecutive values of an axis: all of them where they are few, else the first and the last."""

    values: tuple[object, ...]
    size: int

    def items(self) -> list[str]:
        """Return `["eu", "us"]`; for a long run, and for at least 3 dates or numbers, `["1 … 9"]`."""
        labels = [label_of(value) for value in self.values]
        if self.size > len(labels) or (len(labels) > 2 and labels[0][:1].isdigit()):
            return [f"{labels[0]} … {labels[-1]}"]
        return labels

    def as_json(self) -> dict[str, object]:
        values = [_json_value(value) for value in self.values]
        if self.size > len(values):
            return {"first": values[0], "last": values[-1], "count": self.size}
        return {"values": values}


class WorkflowSet(NamedTuple):
    """Workflows that are all combinations of some values of each axis."""

    size: int
    axes: Mapping[str, Sequence[ValueRun]]

    def pieces(self) -> list[str]:
        """Return the text in pieces between which a line can end."""
        found: list[str] = []
        for name, runs in self.axes.items():
            if found:
                found[-1] += ";"
            found += _describe(printable(name), runs)
        return found

    @property
    def text(self) -> str:
        """Return `day 2026-01-01 … 2026-12-31; region eu, us`."""
        return " ".join(self.pieces())

    def as_json(self) -> dict[str, object]:
        axes = {name: [run.as_json() for run in runs] for name, runs in self.axes.items()}
        return {"count": self.size, "axes": axes}


class WorkflowSets(NamedTuple):
    """Disjoint sets, and how many workflows are in none because the sets would be too many."""

    sets: Sequence[WorkflowSet] = ()
    others: int = 0


def _describe(name: str, runs: Sequence[ValueRun]) -> list[str]:
    """Return `["region eu,", "us"]`."""
    items = [item for run in runs[:LISTED] for item in run.items()]
    if more := sum(run.size for run in runs[LISTED:]):
        items.append(f"… and {more:,} more")
    items[0] = f"{name} {items[0]}"
    return [*(f"{item}," for item in items[:-1]), items[-1]]


def label_of(value: object) -> str:
    """Shorten a value of an axis to a label; a map is labelled by its `name` or `id`."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("name", "id") if isinstance(value.get(key), (str, int))), value)
    if value is UNSET:
        return "(none)"
    return _label(value) if type(value) is str else shorten(printable(canonical_json(value)), _LABEL_WIDTH)


@lru_cache(1_000)
def _label(text: str) -> str:
    label = shorten(printable(text), _LABEL_WIDTH)
    return label if label and not set(" ,;") & set(label) else f'"{label}"'


def _json_value(value: object) -> object:
    if value is UNSET:
        return None
    return label_of(value) if isinstance(value, dict) else plain_value(value)


class SetBuilder:
    """Collects workflows of one entry, in manifest order."""

    def __init__(self, matrix: Matrix) -> None:
        sizes = [axis.count for axis in matrix.axes]
        self._matrix = matrix
        self._strides = strides_of(sizes)
        self._builder = BoxBuilder(sizes)
        self._known: list[dict[int, object]] = [{} for _ in sizes]  # values of each axis by position
        self._own: list[Combination] = []  # combinations that an include adds
        self._others = 0

    def add(self, combinations: Sequence[Combination]) -> None:
        """Add the combinations of a batch.

        Cost:   reads two combinations of a batch without a gap, and each one at most twice otherwise.
        """
        count = len(combinations)
        if self._matrix.own_includes:  # they follow after all combinations of the axes
            count = bisect_left(combinations, True, key=self._is_own)
            room = MOST_RUNS - len(self._own)
            self._own += combinations[count : count + room]
            self._others += max(0, len(combinations) - count - room)
        if not count:
            return
        if self._builder.is_cut:
            self._others += count
            return
        for end in (combinations[0], combinations[count - 1]):
            self._remember(end)
        strides = self._strides

        def number_of(at: int) -> int:
            return sum(
                [cell[POSITION] * stride for cell, stride in zip(combinations[at], strides, strict=False)]
            )

        for run in find_runs(count, number_of):
            self._builder.add(*run)

    def _is_own(self, combination: Combination) -> bool:
        return not self._matrix.axes or combination[0][POSITION] is None

    def _remember(self, combination: Combination) -> None:
        for known, cell in zip(self._known, combination, strict=False):
            if len(known) < MOST_RUNS:
                known[cell[POSITION]] = cell[0]

    def build(self) -> WorkflowSets:
        """Return the sets of what was added, the largest first. Call it only once."""
        boxes = self._builder.boxes()
        names = self._matrix.axis_names
        values = [
            _values_at(axis, {at for box in boxes for at in _ends(box[number])}, known)
            for number, (axis, known) in enumerate(zip(self._matrix.axes, self._known, strict=True))
        ]
        sets = [*_name_sets(boxes, names, values), *self._own_sets()]
        sets.sort(key=lambda found: -found.size)
        return WorkflowSets(sets, self._builder.cut + self._others)

    def _own_sets(self) -> Iterator[WorkflowSet]:
        """Yield the sets of combinations that are not in the product of the axes."""
        if not self._own:
            return
        positions: list[dict[str, int]] = [{} for _ in self._matrix.names]
        values: list[dict[int, object]] = [{} for _ in self._matrix.names]
        cells = []
        for combination in self._own:
            cell = []
            for number, (value, *_) in enumerate(combination):
                key = "" if value is UNSET else canonical_json(value)
                position = positions[number].setdefault(key, len(positions[number]))
                values[number][position] = value
                cell.append(position)
            cells.append(cell)
        sizes = [len(known) for known in positions]
        builder, strides = BoxBuilder(sizes), strides_of(sizes)
        for number in sorted({sum(map(int.__mul__, cell, strides)) for cell in cells}):
            builder.add(number, number + 1)
        yield from _name_sets(builder.boxes(), self._matrix.names, values)


def _ends(runs: Runs) -> Iterator[int]:
    """Yield the positions whose values are shown."""
    for start, stop in runs:
        yield from range(start, stop) if stop - start <= LISTED else (start, stop - 1)


def _values_at(axis: Axis, positions: set[int], known: Mapping[int, object]) -> Mapping[int, object]:
    """Return the values of an axis at some positions; the axis is read only if they are not all known."""
    if positions <= known.keys():
        return known
    values = enumerate(islice(axis.values(), max(positions) + 1))
    return {at: value for at, value in values if at in positions}


def _name_sets(
    boxes: Iterable[Box], names: Sequence[str], values: Sequence[Mapping[int, object]]
) -> Iterator[WorkflowSet]:
    for box in boxes:
        axes = {
            name: [ValueRun(tuple(found[at] for at in _ends((run,))), run[1] - run[0]) for run in runs]
            for name, runs, found in zip(names, box, values, strict=True)
        }
        present = {name: runs for name, runs in axes.items() if any(run.values != (UNSET,) for run in runs)}
        yield WorkflowSet(count_combinations(box), present)
