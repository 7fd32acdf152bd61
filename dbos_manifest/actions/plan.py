"""Pass one: the specs of a manifest beside the database and the lockfile, chunk by chunk, into a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection

from ..core.columns import convert, distinct
from ..core.diagnostic import Diagnostic, Severity
from ..core.errors import SchemaNotSupported
from ..core.units import MAX_TIMESTAMP
from ..expansion.workflow_source import WorkflowSource
from ..lockfile.entry import LockEntry
from ..lockfile.lockfile import Lockfile, Recorded
from ..plan.absence import find_absent
from ..plan.comparison import compare_workflows
from ..plan.preflight import QueueCheck, Surroundings
from ..plan.rows import QUEUED_STATUSES, QueueRow, SnapshotRow
from ..plan.states import Change, Changes, Decision, Overrides, PlanSummary, State, decide, one_change
from ..system_db.database import Database
from ..system_db.new_rows import options_without_column
from ..system_db.read import (
    read_deduplication_holders,
    read_oldest_rows,
    read_rows_of_other_times,
    read_shared_rows,
    read_snapshot,
)
from ..system_db.surroundings import (
    read_application_versions,
    read_clock_ms,
    read_known_names,
    read_queues,
    read_run_by_old_worker,
    read_waiting_behind,
)
from ..workflows.batch import Batch, split_by_bytes
from ..workflows.digest import compute_digests
from ..workflows.spec import WorkflowSpec
from .prefetch import read_ahead

_HELD_BY = ("id", "queue", "deduplication_id")
_REFUSALS_KEPT = 100
_REFUSED = {
    State.DRIFTED: "drifted",
    State.CONFLICT: "in conflict",
    State.MISSING: "missing",
    State.VANISHED: "vanished with a deduplication ID that is held",
}


@dataclass(slots=True)
class ManifestPlan:
    """What applying one manifest would do, and what it rests on.

    Shape:  `decisions` holds one byte per workflow in manifest order (1 = send), so that a million
            workflows are a megabyte and the second pass, expanding again, knows what to send.
    """

    source: WorkflowSource
    lock: Lockfile
    database: str = ""  # as messages name it
    target: str | None = None
    summary: PlanSummary = field(default_factory=PlanSummary)
    decisions: bytearray = field(default_factory=bytearray)
    findings: list[Diagnostic] = field(default_factory=list)
    refusals: list[Change] = field(default_factory=list)  # the first ones
    refused: Counter[State] = field(default_factory=Counter)
    newest_queued_ms: int = 0
    skipped_ids: set[str] = field(default_factory=set)  # neither sent nor as the manifest says
    waiting_behind: dict[str, int] = field(default_factory=dict)  # queue -> rows there that start later

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def file(self) -> str:
        return self.source.file

    @property
    def to_enqueue(self) -> int:
        return self.decisions.count(1)

    def take(self, changes: Changes, overrides: Overrides) -> list[Batch]:
        """Decide what to do about the next workflows of the manifest, and count them.

        Shape:  those to send, by what is to be said of them.
        """
        to_enqueue: list[Batch] = []

        def decided(change: Change) -> Decision:
            return decide(change, overrides)

        for group in changes.groups:
            decision = decided(group.first)
            self.summary.add(group, decision)
            if decision is Decision.ENQUEUE and group.batch is not None:
                to_enqueue.append(group.batch)
            elif group.first.state is not State.UNCHANGED:
                self.skipped_ids.update(group.ids)
            if decision is Decision.REFUSE:
                self.refused[group.first.state] += group.size
        self.decisions += bytes(found is Decision.ENQUEUE for found in convert(changes.shared, decided))
        if self.refused and (room := _REFUSALS_KEPT - len(self.refusals)):
            refused = changes.select(lambda change: decided(change) is Decision.REFUSE)
            self.refusals += islice(refused, room)
        return to_enqueue

    def refuses(self, strict: bool) -> bool:
        return bool(self.reasons_to_refuse(strict))

    def reasons_to_refuse(self, strict: bool) -> list[str]:
        """Count what makes apply refuse, as `["200 drifted", "1 preflight error"]`."""
        reasons = [f"{self.refused[state]:,} {_REFUSED[state]}" for state in _REFUSED if self.refused[state]]
        refusing = Counter(finding.severity for finding in self.refusing_diagnostics(strict))
        for severity, count in sorted(refusing.items()):
            reasons.append(f"{count:,} preflight {severity.value}{'' if count == 1 else 's'}")
        return reasons

    def refusing_diagnostics(self, strict: bool) -> list[Diagnostic]:
        """The preflight diagnostics that make apply refuse."""
        return [finding for finding in self.findings if strict or finding.severity is Severity.ERROR]


def make_manifest_plan(
    database: Database,
    source: WorkflowSource,
    lock: Lockfile,
    *,
    overrides: Overrides,
    chunk_size: int,
    verify: bool,
    on_changes: Callable[[Changes], None],
) -> ManifestPlan:
    """Compare every workflow of a manifest with the database and decide; nothing is written.

    Where the lockfile has a workflow just so, its stored arguments are read only to `verify`: DBOS never
    changes them.
    Raises: SchemaNotSupported naming the entry when a workflow to send sets an option that this
            database has no column for.
    """
    plan = ManifestPlan(source, lock, database.description)
    locked, known = 0, len(lock.ids())  # known before this plan adds what it finds
    queues, now_ms = database.read(_read_surroundings)
    check = QueueCheck(queues, source.queues, now_ms=now_ms)
    unstorable = options_without_column(database.layout)
    batches = split_by_bytes(source.batches(chunk_size))
    chunks = (_BatchQuery.of(batch, None if verify else lock) for batch in batches)

    def read(query: _BatchQuery) -> _BatchRows:
        return database.read(_read_rows, query)

    read_oldest = cache(partial(database.read, read_oldest_rows))

    with read_ahead(database, read, chunks) as pairs:
        for query, found in pairs:
            batch = query.batch
            locked += sum(map(lock.ids().__contains__, batch.ids)) if known else 0
            absent = find_absent(lock, batch.ids, found.rows, read_oldest) if known else {}
            changes = compare_workflows(batch, found.rows, absent, found.holders)
            for part in plan.take(changes, overrides):
                check.add(part)
                _check_storable(part, unstorable)
            if found.has_own:
                _record_existing(lock, changes, found.rows)
            on_changes(changes)
            plan.newest_queued_ms = max(plan.newest_queued_ms, _newest_queued_ms(found.rows))
    for orphan in find_orphans(source, lock, known - locked):
        plan.summary.add(orphan.groups[0])
        on_changes(orphan)
    seen = database.read(_read_around, check)
    plan.waiting_behind = seen.waiting_behind
    findings = check.findings(seen)
    plan.findings = [
        replace(finding, path=source.written_at(finding.path, None))
        for finding in findings
        if finding.code not in overrides.allow
    ]
    return plan


def _check_storable(batch: Batch, unstorable: list[tuple[str, str]]) -> None:
    """Raises: SchemaNotSupported for an option that the database has no column for."""
    if any(batch.sets(field) for field, _ in unstorable):
        for spec in batch:
            if missing := [option for field, option in unstorable if getattr(spec, field) is not None]:
                raise SchemaNotSupported(
                    f"workflows[{spec.entry}] ({spec.id}) sets {', '.join(missing)}, "
                    "for which this system database has no column",
                    "upgrade DBOS and let the application migrate its database, or leave the option out",
                )


def _record_existing(lock: Lockfile, changes: Changes, rows: Mapping[str, SnapshotRow]) -> None:
    """Record those whose rows were read one by one: the lockfile does not have them as they are."""
    for first, batch, _ in changes.groups:
        if first.state is State.UNCHANGED and batch is not None:
            for spec, digest in zip(batch, compute_digests(batch), strict=True):
                if not (row := rows[spec.id]).shared:
                    record_existing(lock, spec, digest, row.created_at_ms)


def _newest_queued_ms(rows: Mapping[str, SnapshotRow]) -> int:
    records = distinct(rows.values())
    times = (row.created_at_ms for row in records if row.status in QUEUED_STATUSES)
    return max((time for time in times if time < MAX_TIMESTAMP), default=0)  # a later one is in another unit


def find_orphans(source: WorkflowSource, lock: Lockfile, count: int) -> Iterator[Changes]:
    """The lockfile's entries that the manifest has no longer; looked for only when there are some."""
    if not count or not source.complete:
        return
    for orphan in sorted(set(lock.ids()).difference(spec.id for spec in source.specs())):
        entry = lock.entry(orphan)
        workflow = entry.workflow if entry is not None else None
        yield one_change(Change(orphan, workflow, None, State.ORPHANED, None), None)


def _read_around(connection: Connection, database: Database, check: QueueCheck) -> Surroundings:
    """Read what preflight needs to know of the database, once the workflows are known."""
    return Surroundings(
        names=read_known_names(connection, database, check.workflows),
        versions=read_application_versions(connection, database),
        waiting_behind=read_waiting_behind(connection, database, check.lowest_priorities),
        run_by_old_worker=read_run_by_old_worker(connection, database) if check.workflows else None,
    )


def _read_surroundings(connection: Connection, database: Database) -> tuple[dict[str, QueueRow], int]:
    return read_queues(connection, database), read_clock_ms(connection, database)


class _BatchQuery(NamedTuple):
    """Workflows, and those of them that the lockfile vouches for."""

    batch: Batch
    lock: Lockfile | None
    recorded: Recorded

    @classmethod
    def of(cls, batch: Batch, lock: Lockfile | None) -> _BatchQuery:
        if lock is None or lock.ids().isdisjoint(batch.ids):
            return cls(batch, None, Recorded(frozenset(), 0))
        return cls(batch, lock, lock.find_recorded(batch.ids, compute_digests(batch)))


class _BatchRows(NamedTuple):
    rows: dict[str, SnapshotRow]  # by workflow id
    has_own: bool  # whether some of them are not shared
    holders: dict[tuple[str, str], str]  # by queue and deduplication id


def _read_rows(connection: Connection, database: Database, query: _BatchQuery) -> _BatchRows:
    batch, recorded = query.batch, query.recorded.ids
    ids = [workflow_id for workflow_id in batch.ids if workflow_id not in recorded]
    rows = read_snapshot(connection, database, ids) if ids else {}
    has_own = bool(rows)
    if query.lock is not None and recorded:
        shared, created_at = read_shared_rows(connection, database, [*recorded])
        rows |= shared
        complete = len(shared) == len(recorded)
        if created_at != (query.recorded.enqueued_at if complete else query.lock.sum_enqueued_at(shared)):
            # of another run than the one that the lockfile vouches for
            others = read_rows_of_other_times(connection, database, query.lock.enqueued_at(shared))
            rows |= others
            has_own = has_own or bool(others)
    if not batch.sets("deduplication_id"):
        return _BatchRows(rows, has_own, {})
    pairs = [
        (queue, key)
        for workflow_id, queue, key in zip(*map(batch.columns.__getitem__, _HELD_BY), strict=True)
        if key is not None and workflow_id not in rows
    ]
    holders = read_deduplication_holders(connection, database, pairs) if pairs else {}
    return _BatchRows(rows, has_own, holders)


def record_existing(lock: Lockfile, spec: WorkflowSpec, digest: str, created_at_ms: int) -> None:
    """Record a row that exists already.

    An entry of the same time keeps its outcome and its status. One of another time is of another run of
    that ID, whose status says nothing about this row.
    """
    if lock.matches(spec, digest, created_at_ms):
        return
    entry = lock.entry(spec.id)
    if entry is None or entry.enqueued_at != created_at_ms:
        lock.record(LockEntry(spec.id, spec.workflow, digest, created_at_ms, "existing"))
    else:  # an option changed that is not compared with the row, as its delay
        lock.record(entry._replace(workflow=spec.workflow, digest=digest))
