"""What can be done with lockfiles besides applying: check, verify, rebuild, rebind, prune."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .blocks import digest_spec
from .columns import read_chunks
from .comparison import compare_spec
from .errors import InvalidLockfile, UsageError
from .files import LockfileSlot, read_lockfile
from .lock_lines import LockEntry
from .lockfile import Lockfile, lock_problems, new_lockfile
from .operations import (
    CHUNK_SIZES,
    DatabaseSettings,
    LockfileSettings,
    connect,
    load_lockfile,
    lockfile_paths,
)
from .plan import State
from .snapshot import SnapshotRow
from .spec import WorkflowSpec
from .system_db.connect import Database
from .system_db.read import read_snapshot
from .system_db.retry import Retry
from .validation import LoadedManifest, specs_of


class LockReport(NamedTuple):
    """What a lock command found or did with one lockfile."""

    path: Path
    problems: list[str]  # what is wrong, a line each
    notes: list[str]  # what was done, or is only worth knowing
    changed: bool = False


def check_lockfiles(manifests: Sequence[LoadedManifest], settings: LockfileSettings) -> list[LockReport]:
    """Whether the lockfiles are in normal form and agree with their manifests; needs no database."""
    reports = []
    for loaded, path in zip(manifests, lockfile_paths(manifests, settings), strict=True):
        content = read_lockfile(path)
        if content is None:
            reports.append(LockReport(path, ["there is no such lockfile"], []))
            continue
        load_lockfile(path, loaded.manifest.name, None)
        problems = lock_problems(content, str(path), specs_of(loaded))
        reports.append(LockReport(path, list(problems), []))
    return reports


def verify_lockfiles(
    manifests: Sequence[LoadedManifest], database_settings: DatabaseSettings, settings: LockfileSettings
) -> list[LockReport]:
    """Whether every entry of the lockfiles is what the database holds.

    A row that retention removed is no contradiction, and is only noted.
    """
    reports = []
    with connect(database_settings) as database:
        retry = database_settings.retry()
        for loaded, path in zip(manifests, lockfile_paths(manifests, settings), strict=True):
            lock = load_lockfile(path, loaded.manifest.name, database.fingerprint)
            if lock is None:
                reports.append(LockReport(path, ["there is no such lockfile"], []))
                continue
            problems: list[str] = []
            gone = 0
            for ids in read_chunks(sorted(lock.ids()), CHUNK_SIZES[database.dialect]):
                rows = retry.call(partial(_read, database, ids))
                gone += len(ids) - len(rows)
                for row in rows.values():
                    problems += _contradictions(lock, row)
            notes = [f"{gone} entries have no row any more"] if gone else []
            reports.append(LockReport(path, problems, notes))
    return reports


def _contradictions(lock: Lockfile, row: SnapshotRow) -> list[str]:
    entry = lock.entry(row.id)
    assert entry is not None
    found = []
    if entry.workflow != row.workflow:
        found.append(f"{row.id}: the row's workflow is `{row.workflow}`, not `{entry.workflow}`")
    if entry.enqueued_at != row.created_at_ms:
        found.append(f"{row.id}: the row was created at another time than the lockfile says")
    return found


def rebuild_lockfiles(
    manifests: Sequence[LoadedManifest],
    database_settings: DatabaseSettings,
    settings: LockfileSettings,
    lock_timeout_s: float,
) -> list[LockReport]:
    """Make the lockfiles anew from the database.

    Entries whose row is gone are kept from the old lockfile where it can still be read: without them
    a workflow that ran and was removed would run again.
    """
    reports = []
    with connect(database_settings) as database:
        for loaded, path in zip(manifests, lockfile_paths(manifests, settings), strict=True):
            with LockfileSlot(path, lock_timeout_s) as slot:
                old, notes = _read_old(path, loaded.manifest.name, database.fingerprint)
                lock = _rebuild(database, database_settings.retry(), loaded, old)
                changed = old is None or list(old.render()) != list(lock.render())
                if changed:
                    slot.replace(lock.render())
                count = sum(1 for _ in lock.ids())
                reports.append(LockReport(path, [], [*notes, f"{count} entries"], changed))
    return reports


def _read_old(path: Path, name: str, fingerprint: str) -> tuple[Lockfile | None, list[str]]:
    try:
        return load_lockfile(path, name, fingerprint), []
    except InvalidLockfile as error:
        return None, [f"the old one could not be used: {error.message}"]


def _rebuild(database: Database, retry: Retry, loaded: LoadedManifest, old: Lockfile | None) -> Lockfile:
    lock = new_lockfile(loaded.manifest.name, database.fingerprint)
    if old is not None:
        for workflow_id in old.ids():
            entry = old.entry(workflow_id)
            assert entry is not None
            lock.record(entry)
    for specs in read_chunks(specs_of(loaded), CHUNK_SIZES[database.dialect]):
        rows = retry.call(partial(_read, database, [spec.id for spec in specs]))
        for spec in specs:
            row = rows.get(spec.id)
            if row is not None:
                _rebuild_entry(lock, spec, row)
    return lock


def _rebuild_entry(lock: Lockfile, spec: WorkflowSpec, row: SnapshotRow) -> None:
    if compare_spec(spec, row, locked=False, holder=None).state is not State.UNCHANGED:
        return  # another workflow's row, or other arguments: not what this line would claim
    known = lock.entry(spec.id)
    if known is None or known.enqueued_at != row.created_at_ms:
        lock.record(LockEntry(spec.id, spec.workflow, digest_spec(spec), row.created_at_ms, "existing"))
    elif known.digest != digest_spec(spec):
        lock.record(known._replace(digest=digest_spec(spec)))


def rebind_lockfiles(
    manifests: Sequence[LoadedManifest],
    database_settings: DatabaseSettings,
    settings: LockfileSettings,
    lock_timeout_s: float,
) -> list[LockReport]:
    """Say that the lockfiles belong to this database: it was moved, restored or renamed."""
    reports = []
    with connect(database_settings) as database:
        for loaded, path in zip(manifests, lockfile_paths(manifests, settings), strict=True):
            with LockfileSlot(path, lock_timeout_s) as slot:
                lock = load_lockfile(path, loaded.manifest.name, None)
                if lock is None:
                    raise UsageError(f"there is no lockfile {path}")
                lock.rebind(database.fingerprint)
                if lock.changed:
                    slot.replace(lock.render())
                notes = [f"belongs to {database.label}"]
                reports.append(LockReport(path, [], notes, lock.changed))
    return reports


def prune_lockfiles(
    manifests: Sequence[LoadedManifest], settings: LockfileSettings, lock_timeout_s: float
) -> list[LockReport]:
    """Remove the entries of workflows that their manifest no longer has."""
    reports = []
    for loaded, path in zip(manifests, lockfile_paths(manifests, settings), strict=True):
        with LockfileSlot(path, lock_timeout_s) as slot:
            lock = load_lockfile(path, loaded.manifest.name, None)
            if lock is None:
                raise UsageError(f"there is no lockfile {path}")
            orphans = set(lock.ids())
            orphans.difference_update(spec.id for spec in specs_of(loaded))
            for orphan in orphans:
                lock.remove(orphan)
            if lock.changed:
                slot.replace(lock.render())
            reports.append(LockReport(path, [], [f"{len(orphans)} entries removed"], lock.changed))
    return reports


def _read(database: Database, ids: Sequence[str]) -> dict[str, SnapshotRow]:
    with database.reading() as connection:
        return read_snapshot(connection, database, ids)
