"""Collect what a report page shows besides counts: IDs of each cell, durations, and when workflows moved."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..expansion.workflow_source import WorkflowSource
from ..workflows.spec import WorkflowSpec
from .durations import time_or_none
from .rows import FAILED_STATUSES, LiveRow
from .status_cells import FEW_VALUES, ByValues, StatusCell, cell_at, is_date, label_of
from .workflow_status import WorkflowStatus

_MOST_LISTED = 20  # IDs of each status in a cell
_MOST_LISTED_OF_ALL = 100  # IDs of each status in total
_MOST_CHARTS = 24  # combinations of the values of axes that are no dates
_MANY_VALUES = range(2, 1001)  # of an axis that workflows are counted by where none has few


class Listed(NamedTuple):
    """A workflow whose ID is listed."""

    id: str
    row: LiveRow | None  # only where outputs are shown


class ListedCell(StatusCell):
    """Some workflows, counted by status, with the first IDs of each status."""

    def __init__(self, most: int = _MOST_LISTED) -> None:
        super().__init__()
        self.listed: dict[str, list[Listed]] = {}
        self._most = most

    def add_id(self, status: str, workflow: Listed) -> None:
        """Add the ID of a workflow that is counted, unless enough are listed."""
        known = self.listed.setdefault(status, [])
        if len(known) < self._most:
            known.append(workflow)

    def merge(self, other: StatusCell) -> None:
        """Add the workflows of another cell."""
        super().merge(other)
        if isinstance(other, ListedCell):
            for status, workflows in other.listed.items():
                for workflow in workflows:
                    self.add_id(status, workflow)


class StatusDetail(NamedTuple):
    """Workflows of one manifest, in more detail than its summary."""

    commit: str | None  # of Git, that the manifest is from
    wanted: frozenset[str]  # the only statuses that are counted; empty for all
    by: tuple[str, ...]  # names of axes, dates last unless the user named them
    cells: Mapping[tuple[str, ...], ListedCell]
    listed: Mapping[str, Sequence[Listed]]  # by status, the first of all cells
    queued_ms: Sequence[int]  # of workflows that have started
    enqueued_ms: Sequence[int]  # epoch ms, as the next two
    succeeded_ms: Sequence[int]
    failed_ms: Sequence[int]


class DetailCollector:
    """Collects the detail of one manifest."""

    def __init__(
        self,
        source: WorkflowSource,
        by: Sequence[str],
        wanted: frozenset[str] = frozenset(),
        *,
        commit: str | None = None,
        with_rows: bool = False,
    ) -> None:
        """Prepare an empty detail; without `by`, a date axis and axes with few values are chosen."""
        self._source = source
        self._by = ByValues(source, by) if by else None
        self._wanted = wanted
        self._commit = commit
        self._with_rows = with_rows
        self._cells: dict[tuple[str, ...], ListedCell] = {}
        self._total = ListedCell(_MOST_LISTED_OF_ALL)
        self._queued_ms, self._enqueued_ms = array("q"), array("q")
        self._succeeded_ms, self._failed_ms = array("q"), array("q")

    def add(self, found: WorkflowStatus, ran_ms: int | None, completed_ms: int | None) -> None:
        """Add a workflow; the times are those of one that has ended."""
        spec, row, status = found.spec, found.row, found.status
        workflow = Listed(found.id, row if self._with_rows else None)
        self._total.add_id(status, workflow)
        if self._by is None and spec.binding:
            self._by = _choose_axes(self._source, spec)
        if self._by is not None:
            cell = cell_at(self._cells, self._by.of(spec, row), ListedCell)
            cell.add(status, ran_ms, completed_ms)
            cell.add_id(status, workflow)
        if row is None:
            return
        if (enqueued := time_or_none(row.created_at_ms)) is not None:
            self._enqueued_ms.append(enqueued)
        if completed_ms is not None:
            (self._failed_ms if status in FAILED_STATUSES else self._succeeded_ms).append(completed_ms)
        queued_ms = found.durations.queued_ms if found.durations is not None else None
        if queued_ms is not None and row.started_at_ms is not None:
            self._queued_ms.append(queued_ms)

    def finish(self) -> StatusDetail:
        """Return the detail."""
        return StatusDetail(
            self._commit,
            self._wanted,
            self._by.names if self._by is not None else (),
            self._cells,
            self._total.listed,
            self._queued_ms,
            self._enqueued_ms,
            self._succeeded_ms,
            self._failed_ms,
        )


def _choose_axes(source: WorkflowSource, spec: WorkflowSpec) -> ByValues | None:
    """Return axes with few values and then an axis of dates, or else the first that has not too many."""
    matrix = source.matrix_of(spec.entry)
    counts: dict[str, int] = {}
    dated = None
    few: list[str] = []
    combinations = 1
    for axis, cell in zip(matrix.axes if matrix is not None else (), spec.binding, strict=False):
        if is_date(label_of(cell[0], ())):
            dated = dated or (axis.name if axis.count > 1 else None)
        elif axis.count in FEW_VALUES and combinations * axis.count <= _MOST_CHARTS:
            combinations *= axis.count
            few.append(axis.name)
        counts[axis.name] = axis.count
    names = [*few, dated] if dated is not None else few
    names = names or [name for name, count in counts.items() if count in _MANY_VALUES][:1]
    return ByValues(source, names) if names else None
