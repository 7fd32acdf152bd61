"""Pass one: the specs of a manifest beside the database and the lockfile, chunk by chunk, into a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeVar

from .ahead import read_ahead
from .batch import Batch
from .diagnostic import Diagnostic, Severity
from .errors import SchemaNotSupported
from .lock_lines import LockEntry
from .lockfile import Lockfile
from .plan import Change, Decision, PlanSummary, SharedComparison, State, compare_spec, decide
from .preflight import QueueCheck, Surroundings
from .snapshot import QueueRow, SnapshotRow
from .spec import SpecDigests, WorkflowSpec, digest_spec
from .system_db.connect import Database
from .system_db.read import (
    read_application_versions,
    read_clock_ms,
    read_deduplication_holders,
    read_known_names,
    read_queues,
    read_run_by_old_worker,
    read_shared_rows,
    read_snapshot,
    read_waiting_behind,
)
from .system_db.retry import Retry
from .system_db.write import options_without_column

Item = TypeVar("Item")
QUEUED = ("ENQUEUED", "DELAYED")


class Overrides(NamedTuple):
    """What the user allows that would otherwise refuse."""

    allow_drift: bool = False
    skip_conflicts: bool = False
    recreate_vanished: bool = False
    strict: bool = False
    allow: frozenset[str] = frozenset()  # preflight codes


@dataclass(slots=True)
class ManifestPlan:
    """What applying one manifest would do, and what it rests on.

    Shape:  `decisions` holds one byte per workflow in manifest order (1 = send), so that a million
            workflows are a megabyte and the second pass, expanding again, knows what to send.
    """

    batch: Batch
    lock: Lockfile
    summary: PlanSummary = field(default_factory=PlanSummary)
    decisions: bytearray = field(default_factory=bytearray)
    findings: list[Diagnostic] = field(default_factory=list)
    refusals: list[Change] = field(default_factory=list)  # the first ones
    refused: int = 0
    newest_queued_ms: int = 0
    left_alone: set[str] = field(default_factory=set)  # neither sent nor as the manifest says
    waiting_behind: dict[str, int] = field(default_factory=dict)  # queue -> rows there that start later

    @property
    def name(self) -> str:
        return self.batch.name

    @property
    def file(self) -> str:
        return self.batch.file

    @property
    def to_send(self) -> int:
        return self.decisions.count(1)

    def refuses(self, strict: bool) -> bool:
        severe = (Severity.ERROR, Severity.WARNING) if strict else (Severity.ERROR,)
        return self.refused > 0 or any(finding.severity in severe for finding in self.findings)


def read_chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def make_manifest_plan(
    database: Database,
    batch: Batch,
    lock: Lockfile,
    *,
    retry: Retry,
    overrides: Overrides,
    chunk_size: int,
    verify: bool,
    on_change: Callable[[Change], None],
) -> ManifestPlan:
    """Compare every workflow of a manifest with the database and decide; nothing is written.

    Where the lockfile has a workflow just so, its stored arguments are read only to `verify`: DBOS never
    changes them.
    Raises: SchemaNotSupported naming the entry when a workflow to send sets an option that this
            database has no column for.
    """
    plan = ManifestPlan(batch, lock)
    locked, known = 0, len(lock.ids())  # known before this plan adds what it finds
    queues, now_ms = retry.call(lambda: _read_surroundings(database))
    check = QueueCheck(queues, batch.queues, now_ms=now_ms)
    unstorable = options_without_column(database.layout)
    chunks = (_Asked.of(specs, None if verify else lock) for specs in read_chunks(batch.specs(), chunk_size))

    def read(asked: _Asked) -> _Found:
        return retry.call(partial(_read_rows, database, asked))

    with read_ahead(database, read, chunks) as pairs:
        for (specs, _), (rows, holders) in pairs:
            shared = SharedComparison()
            for spec in specs:
                row = rows.get(spec.id)
                if row is not None and row.shared:
                    change = shared.compare(spec, row)
                    locked += 1
                else:
                    holder = _holder(holders, spec) if row is None else None
                    change = compare_spec(spec, row, locked=spec.id in lock, holder=holder)
                    locked += spec.id in lock
                _take(plan, change, spec, row, overrides, unstorable, check)
                on_change(change)
    for orphan in _orphans(batch, lock, known - locked):
        entry = lock.entry(orphan)
        change = Change(State.ORPHANED, orphan, entry.workflow if entry else None, None, None)
        plan.summary.add(change)
        on_change(change)
    seen = retry.call(partial(_read_around, database, check))
    plan.waiting_behind = seen.waiting_behind
    findings = check.findings(seen)
    plan.findings = [
        replace(finding, path=batch.written_at(finding.path, None))
        for finding in findings
        if finding.code not in overrides.allow
    ]
    return plan


def _orphans(batch: Batch, lock: Lockfile, count: int) -> list[str]:
    """The lockfile's entries that the manifest has no longer; looked for only when there are some."""
    if not count or not batch.complete:
        return []
    return sorted(set(lock.ids()).difference(spec.id for spec in batch.specs()))


def _read_around(database: Database, check: QueueCheck) -> Surroundings:
    """What the database has beside the workflows themselves, asked once they are known."""
    with database.reading() as connection:
        return Surroundings(
            names=read_known_names(connection, database, check.workflows),
            versions=read_application_versions(connection, database),
            waiting_behind=read_waiting_behind(connection, database, check.lowest_priorities),
            run_by_old_worker=read_run_by_old_worker(connection, database) if check.workflows else None,
        )


def _read_surroundings(database: Database) -> tuple[dict[str, QueueRow], int]:
    with database.reading() as connection:
        return read_queues(connection, database), read_clock_ms(connection)


class _Asked(NamedTuple):
    """A chunk of workflows, and the ids of those that the lockfile vouches for."""

    specs: list[WorkflowSpec]
    vouched: frozenset[str]

    @classmethod
    def of(cls, specs: list[WorkflowSpec], lock: Lockfile | None) -> _Asked:
        if lock is None or not lock.ids():
            return cls(specs, frozenset())
        ids, vouches = lock.ids(), lock.vouches
        digest = SpecDigests()
        vouched = [spec.id for spec in specs if spec.id in ids and vouches(spec.id, digest(spec))]
        return cls(specs, frozenset(vouched))


class _Found(NamedTuple):
    rows: dict[str, SnapshotRow]  # by workflow id
    holders: dict[tuple[str, str], str]  # by queue and deduplication id


def _read_rows(database: Database, asked: _Asked) -> _Found:
    with database.reading() as connection:
        ids = [spec.id for spec in asked.specs if spec.id not in asked.vouched]
        rows = read_snapshot(connection, database, ids) if ids else {}
        if asked.vouched:
            rows |= read_shared_rows(connection, database, [*asked.vouched])
        pairs = [
            (spec.queue, spec.deduplication_id)
            for spec in asked.specs
            if spec.deduplication_id is not None and spec.id not in rows
        ]
        return _Found(rows, read_deduplication_holders(connection, database, pairs) if pairs else {})


def _holder(holders: dict[tuple[str, str], str], spec: WorkflowSpec) -> str | None:
    if spec.deduplication_id is None:
        return None
    return holders.get((spec.queue, spec.deduplication_id))


def _take(
    plan: ManifestPlan,
    change: Change,
    spec: WorkflowSpec,
    row: SnapshotRow | None,
    overrides: Overrides,
    unstorable: list[tuple[str, str]],
    check: QueueCheck,
) -> None:
    if row is not None and row.status in QUEUED and row.created_at_ms > plan.newest_queued_ms:
        plan.newest_queued_ms = row.created_at_ms
    if change.state is State.UNCHANGED:
        plan.summary.add(change)
        plan.decisions.append(False)
        if row is not None and not row.shared:
            record_existing(plan.lock, spec, row.created_at_ms)
        return
    decision = decide(
        change,
        allow_drift=overrides.allow_drift,
        skip_conflicts=overrides.skip_conflicts,
        recreate_vanished=overrides.recreate_vanished,
    )
    plan.summary.add(change, decision)
    plan.decisions.append(decision is Decision.SEND)
    if decision is Decision.SEND:
        check.add(spec)
        if missing := [option for field, option in unstorable if getattr(spec, field) is not None]:
            raise SchemaNotSupported(
                f"workflows[{spec.entry}] ({spec.id}) sets {', '.join(missing)}, "
                "for which this system database has no column",
                "upgrade DBOS and let the application migrate its database, or leave the option out",
            )
    else:
        plan.left_alone.add(spec.id)
    if decision is Decision.REFUSE:
        plan.refused += 1
        if len(plan.refusals) < 100:
            plan.refusals.append(change)


def record_existing(lock: Lockfile, spec: WorkflowSpec, created_at_ms: int) -> None:
    """Note a row that was there already; a line that the lockfile has keeps its time and outcome."""
    digest, known = digest_spec(spec), lock.digest(spec.id)
    if known is None:
        lock.record(LockEntry(spec.id, spec.workflow, digest, created_at_ms, "existing"))
    elif known != digest:  # an option changed that a row is not compared by, as its delay
        entry = lock.entry(spec.id)
        assert entry is not None
        lock.record(entry._replace(digest=digest))
