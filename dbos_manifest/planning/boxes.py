"""Describe a set of combinations as few disjoint boxes: a set of positions on each axis, all combined.

A combination is known by its number in the product of the axes, the last axis varying fastest.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, islice
from math import prod

MOST_RUNS = 4_096
Runs = tuple[tuple[int, int], ...]
"""Positions as ascending runs (start, stop) that neither overlap nor touch."""
Box = tuple[Runs, ...]
"""Positions for each axis."""

_REORDERED = 64  # sets of at most this many boxes are also split along their other axes
_SCANNED = 32
_LEAF = -1


def count_positions(runs: Runs) -> int:
    """Count the positions of an axis."""
    return sum(stop - start for start, stop in runs)


def count_combinations(box: Box) -> int:
    """Count the combinations of a box."""
    return prod(map(count_positions, box))


def find_runs(count: int, number_of: Callable[[int], int]) -> Iterator[tuple[int, int]]:
    """Yield the runs of consecutive numbers among `count` strictly ascending ones.

    Cost:   two calls of `number_of` for numbers without a gap; at most two for each number.
    """
    pending = [(0, count)] if count else []
    while pending:
        first, last = pending.pop()
        start, stop = number_of(first), number_of(last - 1) + 1
        if stop - start == last - first:
            yield start, stop
        elif last - first <= _SCANNED:
            yield from _scan([start, *map(number_of, range(first + 1, last))])
        else:
            middle = (first + last) // 2
            pending += [(middle, last), (first, middle)]


def _scan(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = stop = numbers[0]
    for number in numbers:
        if number != stop:
            yield start, stop
            start = number
        stop = number + 1
    yield start, stop


class BoxBuilder:
    """Builds the boxes of a set from ascending runs of combinations: a decision diagram, filled in order.

    Each level has one axis. A position of the axis leads to a slice, the set of combinations of the axes
    below it, and positions with equal slices share one. So 1,000 days of the same three regions take as much
    memory as one day.

    Cost:   about `most` runs of positions are kept. The set is cut where more would be needed, and `cut`
            counts the combinations after that. A set has at most as many boxes as runs of combinations, and
            `boxes` returns at most `most`.
    """

    def __init__(self, sizes: Sequence[int], most: int = MOST_RUNS) -> None:
        """Begin an empty set over axes with these numbers of values."""
        self.count = 0  # of the combinations in the boxes
        self.cut = 0
        self._most = most
        self._pending = (0, 0)
        self._diagram = _Diagram()
        below: _Level | None = None
        stride = 1
        for size in reversed(sizes):
            below = _Level(self._diagram, size, stride, below)
            stride *= size
        self._root = below

    def add(self, start: int, stop: int) -> None:
        """Add the combinations from `start` up to, not including, `stop`, all after those added before."""
        if start == self._pending[1]:
            self._pending = (self._pending[0], stop)
            return
        self._flush()
        self._pending = (start, stop)

    def _flush(self) -> None:
        start, stop = self._pending
        self._pending = (stop, stop)
        if self._diagram.kept >= self._most:
            self.cut += stop - start
        elif self._root is not None and stop > start:
            self._root.add(start, stop)
            self.count += stop - start

    @property
    def is_cut(self) -> bool:
        """Return whether the bound is reached, so that more combinations are only counted."""
        return self._diagram.kept >= self._most

    def boxes(self) -> list[Box]:
        """Return disjoint boxes with exactly the combinations added before the cut. Call it only once."""
        self._flush()
        if self._root is None or not self.count:
            return []
        boxes = [*islice(self._diagram.boxes(self._root.finish()), self._most)]
        covered = sum(map(count_combinations, boxes))
        self.cut += self.count - covered
        self.count = covered
        return simplify(boxes)


_Slice = tuple[
    tuple[int, Runs], ...
]  # the number of a slice of the axes below, with the positions that have it


class _Diagram:
    """The slices of all levels, each once."""

    def __init__(self) -> None:
        self.kept = 0  # runs in slices and in open levels
        self._slices: list[_Slice] = []
        self._numbers: dict[_Slice, int] = {}

    def number(self, found: _Slice) -> int:
        """Return the number of a slice, whose runs are counted in `kept`."""
        number = self._numbers.setdefault(found, len(self._slices))
        if number == len(self._slices):
            self._slices.append(found)
        else:
            self.kept -= sum(len(runs) for _, runs in found)
        return number

    def boxes(self, number: int) -> Iterator[Box]:
        """Yield the boxes of a slice."""
        if number == _LEAF:
            yield ()
            return
        for below, runs in self._slices[number]:
            for box in self.boxes(below):
                yield (runs, *box)


class _Level:
    """One axis while a set is read: the finished slices, and the position whose slice is still open."""

    def __init__(self, diagram: _Diagram, size: int, stride: int, below: _Level | None) -> None:
        self.full: int = diagram.number(((below.full if below else _LEAF, ((0, size),)),))
        self._diagram, self._stride, self._below = diagram, stride, below
        self._open: int | None = None
        self._runs: dict[int, list[tuple[int, int]]] = {}  # by the number of the slice below

    def add(self, start: int, stop: int) -> None:
        """Add the combinations from `start` up to `stop` of this axis and those below."""
        if self._below is None:
            self._note(_LEAF, start, stop)
            return
        while start < stop:
            position, offset = divmod(start, self._stride)
            if self._open not in (None, position):
                self._close()
            if not offset and (whole := (stop - start) // self._stride):
                self._note(self._below.full, position, position + whole)
                start += whole * self._stride
            else:
                end = min(stop, (position + 1) * self._stride)
                self._below.add(offset, offset + end - start)
                self._open, start = position, end

    def _note(self, below: int, start: int, stop: int) -> None:
        runs = self._runs.setdefault(below, [])
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], stop)
        else:
            runs.append((start, stop))
            self._diagram.kept += 1

    def _close(self) -> None:
        if self._open is not None and self._below is not None:
            self._note(self._below.finish(), self._open, self._open + 1)
            self._open = None

    def finish(self) -> int:
        """Return the number of the slice that was read, and begin the next one."""
        self._close()
        found = tuple((below, tuple(runs)) for below, runs in self._runs.items())
        self._runs = {}
        return self._diagram.number(found)


def simplify(boxes: Sequence[Box]) -> list[Box]:
    """Return disjoint boxes with the same combinations as these disjoint ones, if possible fewer.

    Shape:  the best result of splitting them along each axis first, and of joining boxes that differ in one
            axis only. It is not always the smallest possible number of boxes.
    """
    candidates = [join_boxes(boxes)]
    if 1 < len(candidates[0]) <= _REORDERED:
        for axis in range(len(boxes[0])):
            candidates.append(join_boxes(_split(candidates[0], axis)))
    return sorted(min(candidates, key=_cost))


def _cost(boxes: Iterable[Box]) -> tuple[int, int]:
    runs = [sum(map(len, box)) for box in boxes]
    return len(runs), sum(runs)


def join_boxes(boxes: Iterable[Box]) -> list[Box]:
    """Join boxes that differ in one axis only, until there are none."""
    joined, count = list(boxes), -1
    while len(joined) != count:
        count = len(joined)
        for axis in range(len(joined[0]) if joined else 0):
            alike: dict[Box, list[Box]] = {}
            for box in joined:
                alike.setdefault(box[:axis] + box[axis + 1 :], []).append(box)
            joined = [
                (*rest[:axis], _unite([box[axis] for box in same]), *rest[axis:])
                for rest, same in alike.items()
            ]
    return joined


def _unite(parts: Sequence[Runs]) -> Runs:
    """Unite disjoint sets of positions."""
    if len(parts) == 1:
        return parts[0]
    return tuple(_join_runs(sorted(run for runs in parts for run in runs)))


def _join_runs(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, stop in runs:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def _split(boxes: Sequence[Box], axis: int) -> Iterator[Box]:
    """Split boxes along one axis first: positions with equal slices of the other axes share their boxes."""
    bounds = sorted({bound for box in boxes for run in box[axis] for bound in run})
    covering: list[list[int]] = [[] for _ in bounds]
    for number, box in enumerate(boxes):
        for start, stop in box[axis]:
            for at in range(bisect_left(bounds, start), bisect_left(bounds, stop)):
                covering[at].append(number)
    slices: dict[tuple[int, ...], tuple[Box, ...]] = {}  # by the boxes that the slice is of
    positions: dict[tuple[Box, ...], list[tuple[int, int]]] = {}
    for at, numbers in enumerate(map(tuple, covering)):
        if numbers and numbers not in slices:
            rest = [boxes[number][:axis] + boxes[number][axis + 1 :] for number in numbers]
            slices[numbers] = tuple(sorted(join_boxes(rest)))
        if numbers:
            positions.setdefault(slices[numbers], []).append((bounds[at], bounds[at + 1]))
    for found, runs in positions.items():
        for box in found:
            yield (*box[:axis], tuple(_join_runs(runs)), *box[axis:])


def strides_of(sizes: Sequence[int]) -> list[int]:
    """Return by how much the number of a combination grows with a position of each axis."""
    return [*accumulate(reversed(sizes[1:]), lambda stride, size: stride * size, initial=1)][::-1]
