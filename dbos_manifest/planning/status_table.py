"""Count the workflows of a manifest by status and by the values of axes."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..expansion.workflow_source import WorkflowSource
from ..expressions.filters import UNSET
from ..workflows.spec import WorkflowSpec
from .axis_columns import AxisColumns, names_of, text_of
from .durations import time_or_none
from .failure_digest import FailureDigest, FailureGroup
from .rows import FAILED_STATUSES, FINAL_STATUSES, NOT_ENQUEUED, STATUSES, LiveRow
from .workflow_status import WorkflowStatus

BY_OPTIONS = ("queue", "workflow")  # what workflows are counted by, besides axes
NO_VALUE = "(none)"
OTHER = "(other)"
_MOST_CELLS = 10_000
_FEW_VALUES = range(2, 13)  # of an axis that workflows are counted by unless another is named
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?", re.ASCII | re.DOTALL)
_ORDER = ("SUCCESS", "ERROR", *STATUSES[-2:], "CANCELLED", "PENDING", "ENQUEUED", "DELAYED", NOT_ENQUEUED)


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

    def percentile(self, percent: int) -> int | None:
        """Return the run time in ms that this share of the ended workflows did not exceed."""
        ordered = sorted(self.ran_ms)
        return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None


class StatusSummary(NamedTuple):
    """The workflows of one manifest by status."""

    manifest: str
    file: str
    place: str  # the target, or the database
    as_of_ms: int  # epoch ms, by the clock of the database
    total: StatusCell
    by: tuple[str, ...]  # names of axes; empty where workflows are counted by status only
    cells: Mapping[tuple[str, ...], StatusCell]  # by the values of these axes, in manifest order
    failures: Sequence[FailureGroup]
    steps_known: bool  # whether the last step of failed workflows could be read


class StatusTable:
    """Collects the workflows of one manifest."""

    def __init__(self, source: WorkflowSource, by: Sequence[str], wanted: frozenset[str]) -> None:
        """Prepare an empty table.

        Without `by`, workflows are counted by the first axis that has few values. Only statuses that are
        `wanted`, or all if none is, are counted; failures are always compared with all workflows.
        """
        self.source = source
        self._by = _ByValues(source, by) if by else None
        self._is_default = not by
        self._wanted = wanted
        self._total = StatusCell()
        self._cells: dict[tuple[str, ...], StatusCell] = {}
        self._columns = AxisColumns(source)
        self._failures = FailureDigest()

    def add(self, found: WorkflowStatus) -> None:
        """Add a workflow."""
        spec, row, status = found.spec, found.row, found.status
        completed = ran_ms = None
        if status in FINAL_STATUSES and row is not None:
            completed = time_or_none(row.completed_at_ms)
            ran_ms = found.durations.ran_ms if found.durations is not None else None
            self._columns.add(spec)
        if self._wanted and status not in self._wanted:
            return
        self._total.add(status, ran_ms, completed)
        if self._by is None and spec.binding:
            self._by = _default_axis(self.source, spec)
        if self._by is not None:
            self._cell(self._by.of(spec, row)).add(status, ran_ms, completed)
        if found.failure is not None:
            self._failures.add(self._columns.count - 1, found.failure)

    def _cell(self, key: tuple[str, ...]) -> StatusCell:
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= _MOST_CELLS:
                key = (OTHER,) * len(key)
            cell = self._cells.setdefault(key, StatusCell())
        return cell

    def summarize(self, place: str, as_of_ms: int, *, steps_known: bool) -> StatusSummary:
        """Return the counts, and the failures in groups."""
        if self._is_default and all(cell.size <= 1 for cell in self._cells.values()):
            self._by, self._cells = None, {}
        return StatusSummary(
            self.source.name,
            self.source.file,
            place,
            as_of_ms,
            self._total,
            self._by.names if self._by is not None else (),
            self._cells,
            self._failures.groups(self._columns.columns(), self._columns.count),
            steps_known,
        )


class _ByValues:
    """The values that workflows are counted by: of axes, with a path into their values, or of options."""

    def __init__(self, source: WorkflowSource, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._source = source
        self._readers: dict[int, list[Callable[[WorkflowSpec, LiveRow | None], str]]] = {}  # by entry

    def of(self, spec: WorkflowSpec, row: LiveRow | None) -> tuple[str, ...]:
        readers = self._readers.get(spec.entry)
        if readers is None:
            names = names_of(self._source.matrix_of(spec.entry))
            readers = self._readers[spec.entry] = [_reader(name, names) for name in self.names]
        return tuple([read(spec, row) for read in readers])


def _reader(name: str, names: Sequence[str]) -> Callable[[WorkflowSpec, LiveRow | None], str]:
    root, *steps = name.split(".")
    if root in names:
        place = names.index(root)
        return lambda spec, row: _label(spec.binding[place][0], steps)
    if name == "queue":
        return lambda spec, row: row.queue if row is not None and row.queue else spec.queue
    if name == "workflow":
        return lambda spec, row: spec.workflow
    return lambda spec, row: NO_VALUE


def _label(value: object, steps: Sequence[str]) -> str:
    """Return the text of a value of an axis; a map is labelled by its `name` or `id`."""
    for step in steps:
        value = value.get(step, UNSET) if isinstance(value, dict) else UNSET
    if isinstance(value, dict):
        value = next((value[key] for key in ("name", "id") if isinstance(value.get(key), (str, int))), value)
    return NO_VALUE if value is UNSET or value is None else text_of(value)


def _default_axis(source: WorkflowSource, spec: WorkflowSpec) -> _ByValues | None:
    """Return the first axis of a workflow that has few values, none of them dates."""
    matrix = source.matrix_of(spec.entry)
    for axis, cell in zip(matrix.axes if matrix is not None else (), spec.binding, strict=False):
        if axis.count in _FEW_VALUES and not is_date(_label(cell[0], ())):
            return _ByValues(source, [axis.name])
    return None


def is_date(label: str) -> bool:
    """Return whether a value of an axis is a date or a time."""
    return _DATE.fullmatch(label) is not None


def order_statuses(statuses: Sequence[str]) -> list[str]:
    """Sort statuses: final ones first, then those closer to their end."""
    known = {status: place for place, status in enumerate(_ORDER)}
    return sorted(statuses, key=lambda status: (known.get(status, len(known)), status))
