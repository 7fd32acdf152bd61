"""Cells that count workflows by status, and the values of axes that choose the cell of a workflow."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..expansion.workflow_source import WorkflowSource
from ..expressions.filters import UNSET
from ..workflows.spec import WorkflowSpec
from .axis_columns import names_of, text_of
from .rows import FAILED_STATUSES, FINAL_STATUSES, LiveRow

BY_OPTIONS = ("queue", "workflow")  # what workflows are counted by, besides axes
FEW_VALUES = range(2, 13)  # of an axis that workflows are counted by unless another is named
NO_VALUE = "(none)"
OTHER = "(other)"
_MOST_CELLS = 10_000
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?", re.ASCII | re.DOTALL)


class StatusCell:
    """Some workflows, counted by status."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.ran_ms = array("q")  # of those that have ended
        self.last_ms: int | None = None  # epoch ms: when the last of them ended

    def add(self, status: str, ran_ms: int | None, completed_ms: int | None) -> None:
        """Add a workflow; the times are those of one that has ended."""
        self.counts[status] += 1
        if ran_ms is not None:
            self.ran_ms.append(ran_ms)
        if completed_ms is not None:
            self.last_ms = max(self.last_ms or completed_ms, completed_ms)

    @property
    def size(self) -> int:
        return self.counts.total()

    @property
    def failed(self) -> int:
        return sum(count for status, count in self.counts.items() if status in FAILED_STATUSES)

    @property
    def unfinished(self) -> int:
        return sum(count for status, count in self.counts.items() if status not in FINAL_STATUSES)

    def merge(self, other: StatusCell) -> None:
        """Add the workflows of another cell."""
        self.counts.update(other.counts)
        self.ran_ms.extend(other.ran_ms)
        if other.last_ms is not None:
            self.last_ms = max(self.last_ms or other.last_ms, other.last_ms)

    def percentile(self, percent: int) -> int | None:
        """Return the run time in ms that this share of the ended workflows did not exceed."""
        return percentile_of(sorted(self.ran_ms), percent)


CellT = TypeVar("CellT", bound=StatusCell)


def cell_at(cells: dict[tuple[str, ...], CellT], key: tuple[str, ...], make: Callable[[], CellT]) -> CellT:
    """Return the cell of some values, made if it is new; after 10,000 cells new values share one."""
    cell = cells.get(key)
    if cell is None:
        if len(cells) >= _MOST_CELLS:
            key = (OTHER,) * len(key)
        cell = cells.setdefault(key, make())
    return cell


def percentile_of(ordered: Sequence[int], percent: int) -> int | None:
    """Return the value that this share of sorted values does not exceed; None without values."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None


class ByValues:
    """The values that workflows are counted by: of axes, with a path into their values, or of options."""

    def __init__(self, source: WorkflowSource, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._source = source
        self._readers: dict[tuple[str, ...], list[Callable[[WorkflowSpec, LiveRow | None], str]]] = {}

    def of(self, spec: WorkflowSpec, row: LiveRow | None) -> tuple[str, ...]:
        names = names_of(self._source.matrix_of(spec.entry)) if spec.binding else ()
        readers = self._readers.get(names)
        if readers is None:
            readers = self._readers[names] = [_reader(name, names) for name in self.names]
        return tuple([read(spec, row) for read in readers])


def _reader(name: str, names: Sequence[str]) -> Callable[[WorkflowSpec, LiveRow | None], str]:
    root, *steps = name.split(".")
    if root in names:
        place = names.index(root)
        return lambda spec, row: label_of(spec.binding[place][0], steps)
    if name == "queue":
        return lambda spec, row: row.queue if row is not None and row.queue else spec.queue
    if name == "workflow":
        return lambda spec, row: spec.workflow
    return lambda spec, row: NO_VALUE


def label_of(value: object, steps: Sequence[str]) -> str:
    """Return the text of a value of an axis; a map is labelled by its `name` or `id`."""
    for step in steps:
        value = value.get(step, UNSET) if isinstance(value, dict) else UNSET
    if isinstance(value, dict):
        value = next((value[key] for key in ("name", "id") if isinstance(value.get(key), (str, int))), value)
    return NO_VALUE if value is UNSET or value is None else text_of(value)


def default_axis(source: WorkflowSource, spec: WorkflowSpec) -> ByValues | None:
    """Return the first axis of a workflow that has few values, none of them dates."""
    matrix = source.matrix_of(spec.entry)
    for axis, cell in zip(matrix.axes if matrix is not None else (), spec.binding, strict=False):
        if axis.count in FEW_VALUES and not is_date(label_of(cell[0], ())):
            return ByValues(source, [axis.name])
    return None


def is_date(label: str) -> bool:
    """Return whether a value of an axis is a date or a time."""
    return _DATE.fullmatch(label) is not None
