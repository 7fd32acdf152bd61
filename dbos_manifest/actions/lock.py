"""Check and maintain lockfiles: check, verify, format, rebind, rename, prune."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from ..core.columns import read_chunks
from ..core.errors import Refused, UsageError
from ..core.memory_budget import BUDGET
from ..core.plural import count_of
from ..files.lockfile_writer import LockfileWriter
from ..lockfile.lockfile import Lockfile, find_coverage_problems
from ..planning.missing_rows import find_absent
from ..planning.rows import FINAL_STATUSES, SnapshotRow
from ..planning.states import State
from ..system_db.read import read_oldest_rows, read_snapshot, read_statuses
from ..workflows.spec import default_id
from .lockfiles import load_lockfile, lockfile_paths, resolve_by_database
from .session import connect, mark_database
from .settings import DatabaseSettings, LockfileSettings
from .validate import LoadedManifest, specs_of

_READ_AT_ONCE = 1_000


class LockReport(NamedTuple):
    """What a lock command found or did with one lockfile."""

    path: Path
    problems: list[str]  # what is wrong
    notes: list[str]  # what was done, or is worth knowing
    changed: bool = False  # whether the file was written
    details: Sequence[str] = ()  # of which lines or workflows that is


def check_lockfiles(manifests: Sequence[LoadedManifest], settings: LockfileSettings) -> list[LockReport]:
    """Check that the lockfiles agree with their manifests, and note which are not in normal form.

    Raises: InvalidLockfile for one that cannot be read, or is another manifest's.
    """
    reports = []
    for loaded, path in zip(manifests, lockfile_paths(manifests, settings), strict=True):
        lock = load_lockfile(path, loaded.manifest.name, None)
        if lock is None:
            reports.append(LockReport(path, ["the lockfile does not exist"], []))
            continue
        problems = [*find_coverage_problems(lock, loaded.batches(BUDGET.batch_size))]
        notes = ["not in normal form: run `lock format` or `apply`"] if lock.irregularities else []
        if lock.changed:  # by nothing but a journal
            notes.append("an interrupted apply left a journal: run `apply` again")
        reports.append(LockReport(path, problems, notes, details=[*lock.irregularities]))
    return reports


def verify_lockfiles(
    manifests: Sequence[LoadedManifest], database_settings: DatabaseSettings, settings: LockfileSettings
) -> list[LockReport]:
    """Check that every entry of the lockfiles agrees with the database.

    A row that retention removed is no contradiction, and is only noted; one that it does not explain is.
    """
    reports = []
    with connect(database_settings) as database:
        for loaded, path in zip(manifests, lockfile_paths(manifests, settings), strict=True):
            resolve = resolve_by_database(database, loaded.manifest.name, writing=False)
            lock = load_lockfile(path, loaded.manifest.name, database.fingerprint, resolve)
            if lock is None:
                reports.append(LockReport(path, ["the lockfile does not exist"], []))
                continue
            problems: list[str] = []
            vanished = 0
            read_oldest = cache(partial(database.read, read_oldest_rows))
            for ids in read_chunks(sorted(lock.ids()), database.default_transaction_size):
                rows = database.read(read_snapshot, ids)
                absent = find_absent(lock, ids, rows, read_oldest)
                lost = [key for key in ids if key in absent and absent[key].state is State.MISSING]
                problems += [
                    f"{key}: missing from the database, and retention does not explain it" for key in lost
                ]
                vanished += len(absent) - len(lost)
                for row in rows.values():
                    problems += _contradictions(lock, row)
            notes = (
                [f"{count_of(vanished, 'entry', 'entries')} without a row: removed by retention"]
                if vanished
                else []
            )
            reports.append(LockReport(path, problems, notes))
    return reports


def _contradictions(lock: Lockfile, row: SnapshotRow) -> list[str]:
    entry = lock.entry(row.id)
    assert entry is not None
    found = []
    if entry.workflow != row.workflow:
        found.append(f"{row.id}: the row's workflow is `{row.workflow}`, not `{entry.workflow}`")
    if entry.enqueued_at != row.created_at_ms:
        found.append(f"{row.id}: the row was created at a different time than the lockfile records")
    return found


def format_lockfiles(
    manifests: Sequence[LoadedManifest], settings: LockfileSettings, lock_timeout_s: float
) -> list[LockReport]:
    """Write the lockfiles in normal form: sorted by ID, one line per workflow."""
    return _edit(manifests, settings, lock_timeout_s, lambda loaded, lock: ([], []), owned=True)


def rebind_lockfiles(
    manifests: Sequence[LoadedManifest],
    database_settings: DatabaseSettings,
    settings: LockfileSettings,
) -> list[LockReport]:
    """Record that the lockfiles belong to this database, which was moved, restored or renamed."""
    with connect(database_settings) as database:
        mark_database(database)

        def rebind(loaded: LoadedManifest, lock: Lockfile) -> tuple[list[str], list[str]]:
            lock.rebind(database.fingerprint)
            return [f"belongs to {database.label}"], []

        return _edit(manifests, settings, database.lock_timeout_s, rebind)


def rename_lockfiles(
    manifests: Sequence[LoadedManifest], settings: LockfileSettings, lock_timeout_s: float
) -> list[LockReport]:
    """Record that the lockfiles belong to the manifests at their paths, which were renamed.

    Raises: Refused when the workflows got other IDs with the name, or are not those of the lockfile at all.
    """
    return _edit(manifests, settings, lock_timeout_s, _rename, owned=False)


def _rename(loaded: LoadedManifest, lock: Lockfile) -> tuple[list[str], list[str]]:
    old, new = lock.header.manifest, loaded.manifest.name
    if old == new:
        return [f"already belongs to `{new}`"], []
    known = total = changed = 0
    for spec in specs_of(loaded):
        total += 1
        known += spec.id in lock
        if spec.id not in lock and spec.id == default_id(new, spec):
            changed += default_id(old, spec) in lock
    if changed:
        raise Refused(
            f"{count_of(changed, 'workflow')} in `{new}` would be enqueued again: "
            "workflow IDs are generated from the manifest's name, which changes",
            f"keep the name `{old}`, or give each entry without `id` one that produces the recorded IDs",
        )
    if total and len(lock.ids()) and not known:
        raise Refused(
            f"the lockfile of `{old}` contains none of the {total:,} workflows of `{new}`",
            "pass the lockfile of the renamed manifest with --lockfile",
        )
    lock.rename(new)
    return [f"now belongs to `{new}` instead of `{old}`"], []


def prune_lockfiles(
    manifests: Sequence[LoadedManifest],
    settings: LockfileSettings,
    lock_timeout_s: float,
    *,
    remove: bool,
    database_settings: DatabaseSettings | None = None,
) -> list[LockReport]:
    """Remove the entries of workflows that their manifest no longer has, or only list them.

    An entry whose workflow has no final status, neither in the lockfile nor in the database if there is one,
    is kept: it may still run, and another call of other variables would enqueue it again.
    """
    with ExitStack() as held:
        database = held.enter_context(connect(database_settings)) if database_settings else None

        def read(ids: list[str]) -> dict[str, tuple[str, int | None]]:
            return {} if database is None else database.read(read_statuses, ids)

        def prune(loaded: LoadedManifest, lock: Lockfile) -> tuple[list[str], list[str]]:
            orphans = set(lock.ids())
            orphans.difference_update(spec.id for spec in specs_of(loaded))
            ended, kept = _split_ended(lock, sorted(orphans), read)
            if remove:
                for workflow_id in ended:
                    lock.remove(workflow_id)
            notes = [count_of(len(ended), "entry", "entries") + (" removed" if remove else " to remove")]
            if kept:
                notes.append(f"{len(kept):,} kept")
            if ended and not remove:
                notes.append("run again with --yes to remove them")
            listed = [f"remove {workflow_id} ({status})" for workflow_id, status in ended.items()]
            return notes, listed + [
                f"keep {workflow_id}: it is not recorded as finished" for workflow_id in kept
            ]

        fingerprint = database.fingerprint if database else None
        return _edit(manifests, settings, lock_timeout_s, prune, write=remove, database=fingerprint)


def _split_ended(
    lock: Lockfile, ids: list[str], read: Callable[[list[str]], dict[str, tuple[str, int | None]]]
) -> tuple[dict[str, str], list[str]]:
    """Find the final status of entries, and the entries that have none."""
    ended: dict[str, str] = {}
    for chunk in read_chunks(ids, _READ_AT_ONCE):
        statuses = read(chunk)
        for workflow_id in chunk:
            entry, (status, _) = lock.entry(workflow_id), statuses.get(workflow_id, ("", None))
            if entry is not None and entry.status is not None:
                ended[workflow_id] = entry.status
            elif status in FINAL_STATUSES:
                ended[workflow_id] = status
    return ended, [workflow_id for workflow_id in ids if workflow_id not in ended]


_Edit = Callable[[LoadedManifest, Lockfile], tuple[list[str], list[str]]]
"""Changes a lockfile; returns the notes and the details of its report."""


def _edit(
    manifests: Sequence[LoadedManifest],
    settings: LockfileSettings,
    lock_timeout_s: float,
    edit: _Edit,
    *,
    owned: bool = True,
    write: bool = True,
    database: str | None = None,
) -> list[LockReport]:
    """Change lockfiles one by one, and write them; with `owned`, only those of these manifests.

    Raises: UsageError when the lockfile does not exist.
    """
    reports = []
    for loaded, path in zip(manifests, lockfile_paths(manifests, settings), strict=True):
        with LockfileWriter.locked(path, lock_timeout_s) as slot:
            lock = load_lockfile(path, loaded.manifest.name if owned else None, database)
            if lock is None:
                raise UsageError(
                    f"the lockfile {path} does not exist", "check the path, --target and --lockfile"
                )
            notes, details = edit(loaded, lock)
            changed = write and lock.differs_from_file
            if changed:
                slot.replace(lock.render())
            reports.append(LockReport(path, [], notes, changed, details))
    return reports
