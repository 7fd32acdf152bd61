"""Plan a manifest: compare its workflows with the database and the lockfile, and decide about each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from ..core.errors import SchemaNotSupported
from ..expansion.workflow_source import WorkflowSource
from ..lockfile.lockfile import Lockfile, new_lockfile
from ..planning.manifest_plan import ManifestPlan, NewEntries, PlanBuilder, PlanOrigin
from ..planning.preflight import PreflightCheck, PreflightFacts, QueuedAhead
from ..planning.rows import QueueRow, SnapshotRow
from ..planning.states import Change, Changes, State, one_change
from ..system_db.database import Database
from ..system_db.new_rows import options_without_column
from ..system_db.preflight_facts import (
    read_application_versions,
    read_clock_ms,
    read_known_names,
    read_queues,
    read_run_by_old_worker,
    read_waiting_behind,
)
from ..workflows.batch import Batch
from ..workflows.digest import compute_digests
from .compare_batches import compare_batches
from .lockfile_checks import FolderLockfiles, find_renamed
from .newest_queued import NewestQueued
from .settings import PlanSettings

ChangeSink = Callable[[WorkflowSource, Changes], None]
"""Takes the changes of a manifest as they are found, so that a million of them are never held."""


class Target(NamedTuple):
    """A manifest to plan or apply, and where its lockfile is."""

    source: WorkflowSource
    lock_path: Path | None  # None: a manifest from standard input, without --lockfile
    name: str | None = None  # of --target
    commit: str | None = None  # of Git, for provenance


def plan_manifest(
    database: Database,
    target: Target,
    lock: Lockfile | None,
    settings: PlanSettings,
    on_changes: ChangeSink,
    others: FolderLockfiles,
) -> ManifestPlan:
    """Compare every workflow of a manifest with the database and decide; nothing is written.

    `lock` is None where there is no lockfile yet; `others` finds one at another path.
    Raises: SchemaNotSupported naming the entry when a workflow to enqueue sets an option that this
            database has no column for.
    """
    source, path_without_lock = target.source, target.lock_path if lock is None else None
    lock = lock or new_lockfile(source.name, database.fingerprint)
    builder, preflight = PlanBuilder(settings.overrides), _begin_check(database, source)
    unstorable = options_without_column(database.layout)
    queued = NewestQueued(database, preflight.now_ms)
    recorded = 0
    new_ids: list[str] = []
    new_lines: list[str] = []
    size = settings.batch_size or database.default_transaction_size
    with compare_batches(database, source, lock, batch_size=size, verify=settings.verify) as compared:
        for changes, rows, has_own in compared:
            recorded += count_recorded(lock, changes.ids)
            for part in builder.add(changes):
                preflight.add(part)
                _check_storable(part, unstorable)
            for workflow_id, line in _new_entries(lock, changes, rows) if has_own else ():
                new_ids.append(workflow_id)
                new_lines.append(line)
            queued.add(rows)
            on_changes(source, changes)
    for orphan in find_orphans(source, lock, recorded):
        builder.add_orphan(orphan)
        on_changes(source, orphan)
    facts = database.read(_read_facts, preflight, queued.ahead)
    diagnostics = preflight.diagnostics(facts)
    if path_without_lock is not None:
        diagnostics += others.find_other(source, path_without_lock, database.fingerprint)
    unmatched = builder.counts(State.ORPHANED) or not source.complete  # entries of other workflows
    if unmatched and builder.counts(State.CREATE):
        diagnostics += find_renamed(source, lock)
    return builder.build(
        origin_of(target, database.description),
        source.locate(diagnostics),
        NewEntries(new_ids, new_lines),
        queued.created_at_ms,
        facts.waiting_behind,
    )


def origin_of(target: Target, database: str = "") -> PlanOrigin:
    """Return what a plan compares; `database` is empty for a comparison with the lockfile only."""
    source, lock_path = target.source, target.lock_path
    lockfile = "" if lock_path is None else str(lock_path)
    return PlanOrigin(source.name, source.file, source.document, database, target.name, lockfile)


def _begin_check(database: Database, source: WorkflowSource) -> PreflightCheck:
    def read(connection: Connection, database: Database) -> tuple[dict[str, QueueRow], int]:
        return read_queues(connection, database), read_clock_ms(connection, database)

    queues, now_ms = database.read(read)
    return PreflightCheck(queues, source.queues, now_ms=now_ms)


def _check_storable(batch: Batch, unstorable: list[tuple[str, str]]) -> None:
    """Raises: SchemaNotSupported for an option that the database has no column for."""
    if any(batch.sets(field) for field, _ in unstorable):
        for spec in batch:
            if missing := [option for field, option in unstorable if getattr(spec, field) is not None]:
                raise SchemaNotSupported(
                    f"workflows[{spec.entry}] ({spec.id}) sets {', '.join(missing)}, "
                    "for which this system database has no column",
                    "upgrade DBOS and let the application migrate its database, or remove the option",
                )


def _new_entries(
    lock: Lockfile, changes: Changes, rows: Mapping[str, SnapshotRow]
) -> Iterator[tuple[str, str]]:
    """Write the lock entries of unchanged workflows whose rows the lockfile does not describe as they are."""
    for first, batch, _shared in changes.groups:
        if first.state is State.UNCHANGED and batch is not None:
            for spec, digest in zip(batch, compute_digests(batch), strict=True):
                row = rows[spec.id]
                line = None if row.shared else lock.format_existing(spec, digest, row.created_at_ms)
                if line is not None:
                    yield spec.id, line


def count_recorded(lock: Lockfile, ids: Sequence[str]) -> int:
    """Count the workflows that the lockfile has."""
    known = lock.ids()
    return sum(map(known.__contains__, ids)) if known else 0


def find_orphans(source: WorkflowSource, lock: Lockfile, recorded: int) -> Iterator[Changes]:
    """Find the entries whose workflows the manifest no longer has; `recorded` of them it has.

    Cost:   expands the manifest again, and only when there is an orphan: to remember a million IDs for
            this would take more memory than everything else in a plan.
    """
    if not source.complete or len(lock.ids()) == recorded:
        return
    for orphan in sorted(set(lock.ids()).difference(spec.id for spec in source.specs())):
        entry = lock.entry(orphan)
        workflow = entry.workflow if entry is not None else None
        yield one_change(Change(orphan, workflow, None, State.ORPHANED, None), None)


def _read_facts(
    connection: Connection, database: Database, check: PreflightCheck, ahead: QueuedAhead | None
) -> PreflightFacts:
    """Read what the preflight checks need to know of the database, once the workflows are known."""
    return PreflightFacts(
        names=read_known_names(connection, database, check.workflows),
        versions=read_application_versions(connection, database),
        waiting_behind=read_waiting_behind(connection, database, check.lowest_priorities),
        run_by_old_worker=read_run_by_old_worker(connection, database) if check.workflows else None,
        queued_ahead=ahead,
    )
