"""Count the workflows of a manifest by status and by the values of axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..expansion.workflow_source import WorkflowSource
from .axis_columns import AxisColumns
from .durations import time_or_none
from .failure_digest import FailureDigest, FailureGroup
from .rows import FINAL_STATUSES, NOT_ENQUEUED, STATUSES
from .status_cells import ByValues, StatusCell, cell_at, default_axis
from .status_detail import DetailCollector, StatusDetail
from .workflow_status import WorkflowStatus

_ORDER = ("SUCCESS", "ERROR", *STATUSES[-2:], "CANCELLED", "PENDING", "ENQUEUED", "DELAYED", NOT_ENQUEUED)


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
    detail: StatusDetail | None = None  # only where it is wanted


class StatusTable:
    """Collects the workflows of one manifest."""

    def __init__(
        self,
        source: WorkflowSource,
        by: Sequence[str],
        wanted: frozenset[str],
        detail: DetailCollector | None = None,
    ) -> None:
        """Prepare an empty table.

        Without `by`, workflows are counted by the first axis that has few values. Only statuses that are
        `wanted`, or all if none is, are counted; failures are always compared with all workflows.
        """
        self.source = source
        self._by = ByValues(source, by) if by else None
        self._is_default = not by
        self._unsuitable: set[int] = set()  # entries without an axis of few values
        self._wanted = wanted
        self._total = StatusCell()
        self._cells: dict[tuple[str, ...], StatusCell] = {}
        self._columns = AxisColumns(source)
        self._failures = FailureDigest()
        self._detail = detail

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
        if self._by is None and spec.binding and spec.entry not in self._unsuitable:
            self._by = default_axis(self.source, spec)
            self._unsuitable.add(spec.entry)
        if self._by is not None:
            cell_at(self._cells, self._by.of(spec, row), StatusCell).add(status, ran_ms, completed)
        if self._detail is not None:
            self._detail.add(found, ran_ms, completed)
        if found.failure is not None:
            self._failures.add(self._columns.count - 1, found.failure)

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
            self._detail.finish() if self._detail is not None else None,
        )


def order_statuses(statuses: Sequence[str]) -> list[str]:
    """Sort statuses: final ones first, then those closer to their end."""
    known = {status: place for place, status in enumerate(_ORDER)}
    return sorted(statuses, key=lambda status: (known.get(status, len(known)), status))
