"""Read the status of the workflows of manifests, and summarize it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from ..core.errors import DatabaseDenied, DatabaseError
from ..planning.axis_columns import names_of
from ..planning.durations import measure
from ..planning.failure_digest import Failure, LastStep
from ..planning.results import ApplyResult
from ..planning.rows import FAILED_STATUSES, LiveRow
from ..planning.status_detail import DetailCollector
from ..planning.status_table import StatusSummary, StatusTable
from ..planning.workflow_status import WorkflowStatus
from ..report.stored_results import error_parts
from ..system_db.database import Database
from ..system_db.preflight_facts import read_clock_ms
from ..system_db.read import read_live
from ..system_db.read_steps import read_last_steps
from .lockfile_checks import check_header
from .plan import Target
from .session import connect
from .settings import DatabaseSettings


class StatusSettings(NamedTuple):
    """What is read and counted."""

    by: Sequence[str] = ()  # see StatusTable
    wanted: frozenset[str] = frozenset()  # statuses; empty for all
    outputs: bool = True
    failures: bool = True  # whether the steps of failed workflows are read
    detail: bool = False  # whether summaries have their detail
    detail_outputs: bool = False  # whether the detail has the rows of the workflows that it lists


class StatusReader:
    """The statuses of the workflows of some manifests, in manifest order.

    They can be read again; after each manifest its summary can be taken.
    """

    def __init__(self, database: Database, targets: Sequence[Target], settings: StatusSettings) -> None:
        self._database = database
        self._targets = targets
        self._settings = settings
        self._steps_known = True
        self.summaries: list[StatusSummary] = []

    @classmethod
    @contextmanager
    def connect(
        cls, database: DatabaseSettings, targets: Sequence[Target], settings: StatusSettings
    ) -> Iterator[StatusReader]:
        """Connect, and disconnect at the end.

        Raises: InvalidLockfile when a lockfile belongs to another database or manifest; see also `connect`.
        """
        with connect(database) as opened:
            for target in targets:
                if target.lock_path is not None:
                    check_header(target.lock_path, target.source.name, opened.fingerprint)
            yield cls(opened, targets, settings)

    def read(self) -> Iterator[WorkflowStatus]:
        """Yield every workflow that is wanted, and renew the summaries."""
        self.summaries = []
        wanted = self._settings.wanted
        for target in self._targets:
            now_ms = self._database.read(read_clock_ms)
            table = self._make_table(target)
            for status in self._read_target(target, now_ms):
                table.add(status)
                if not wanted or status.status in wanted:
                    yield status
            self.summaries.append(self._finish(target, table, now_ms))

    def summarize(self, target: Target, ids: Container[str]) -> StatusSummary:
        """Summarize those workflows of a manifest whose IDs are given."""
        now_ms = self._database.read(read_clock_ms)
        table = StatusTable(target.source, self._settings.by, frozenset())
        for status in self._read_target(target, now_ms):
            if status.id in ids:
                table.add(status)
        return self._finish(target, table, now_ms)

    def _finish(self, target: Target, table: StatusTable, now_ms: int) -> StatusSummary:
        place = target.name or self._database.description
        return table.summarize(place, now_ms, steps_known=self._steps_known)

    def _make_table(self, target: Target) -> StatusTable:
        by, wanted, detail = self._settings.by, self._settings.wanted, None
        if self._settings.detail:
            axes = () if by in (("error",), ("status",)) else by
            with_rows = self._settings.detail_outputs
            detail = DetailCollector(target.source, axes, wanted, commit=target.commit, with_rows=with_rows)
        return StatusTable(target.source, by, wanted, detail)

    def _read_target(self, target: Target, now_ms: int) -> Iterator[WorkflowStatus]:
        for batch in target.source.batches(self._database.default_transaction_size):
            rows = self._database.read(read_live, batch.ids, outputs=self._settings.outputs)
            steps = self._read_steps(rows)
            for spec in batch:
                row = rows.get(spec.id)
                durations = measure(row, now_ms) if row is not None else None
                failure = None
                if row is not None and row.status in FAILED_STATUSES:
                    failure = _failure_of(row, steps.get(row.id))
                axes = names_of(target.source.matrix_of(spec.entry))
                yield WorkflowStatus(target.source.name, spec, row, durations, failure, axes)

    def _read_steps(self, rows: Mapping[str, LiveRow]) -> Mapping[str, LastStep]:
        failed = [row.id for row in rows.values() if row.status in FAILED_STATUSES]
        if not (failed and self._settings.failures and self._steps_known):
            return {}
        try:
            return self._database.read(read_last_steps, failed)
        except DatabaseDenied:  # the steps add to the errors, which this role can read
            self._steps_known = False
            return {}


def _failure_of(row: LiveRow, step: LastStep | None) -> Failure:
    name, message = error_parts(row)
    ended = row.completed_at_ms if type(row.completed_at_ms) is int else None
    return Failure(row.id, row.status, name, message, step, ended)


def read_live_statuses(targets: Sequence[Target], settings: DatabaseSettings) -> Iterator[WorkflowStatus]:
    """Yield every workflow of the manifests with its live row, in manifest order.

    Raises: see `StatusReader.connect`.
    """
    with StatusReader.connect(settings, targets, StatusSettings(failures=False)) as reader:
        yield from reader.read()


def summarize_waits(
    settings: DatabaseSettings, targets: Sequence[Target], results: Sequence[ApplyResult]
) -> dict[str, StatusSummary]:
    """Summarize how the workflows that were waited for ended, of each manifest of which some failed.

    Shape:  by manifest; empty where the database cannot be read: only explanations are lost.
    """
    pairs = [
        (target, result.wait.final)
        for target, result in zip(targets, results, strict=False)
        if result.wait and any(final.status in FAILED_STATUSES for final in result.wait.final.values())
    ]
    waited: dict[str, StatusSummary] = {}
    failed = [target for target, _ in pairs]
    if failed:
        reading = StatusReader.connect(settings, failed, StatusSettings(outputs=False))
        with suppress(DatabaseError), reading as reader:
            for target, final in pairs:
                waited[target.source.name] = reader.summarize(target, final)
    return waited
