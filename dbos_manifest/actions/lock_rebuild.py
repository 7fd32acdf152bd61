"""Complete lockfiles from the database, keeping every line of them that can be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..core.plural import count_of
from ..core.portable_json import read_json
from ..files.lockfile_writer import LockfileWriter, open_lockfile
from ..lockfile.entry_line import LockHeader
from ..lockfile.journal import ResolveInDoubt
from ..lockfile.lockfile import Lockfile, check_owner, new_lockfile
from ..lockfile.reader import RejectedLine, salvage_lockfile
from ..planning.comparison import compare_workflows
from ..planning.states import State
from ..system_db.database import Database
from ..system_db.read import read_snapshot
from ..workflows.digest import compute_digests
from .lock import LockReport
from .lockfiles import lockfile_paths, replaying_journal, resolve_by_database
from .session import connect, mark_database
from .settings import DatabaseSettings, LockfileSettings
from .validate import LoadedManifest

_FIRST_ID = re.compile(r'\{"id":("(?:[^"\\]|\\.)*")')  # also of a line that is cut


def rebuild_lockfiles(
    manifests: Sequence[LoadedManifest],
    database_settings: DatabaseSettings,
    settings: LockfileSettings,
) -> list[LockReport]:
    """Complete the lockfiles from the database.

    Every line that can be read is kept, also where its row is gone: without it a workflow that ran and was
    removed by retention would run again. Lines that cannot be read are reported.
    Raises: InvalidLockfile for another manifest's or database's lockfile, and for one of a newer version.
    """
    reports = []
    with connect(database_settings) as database:
        mark_database(database)
        for loaded, path in zip(manifests, lockfile_paths(manifests, settings), strict=True):
            with LockfileWriter.locked(path, database.lock_timeout_s) as slot:
                resolve = resolve_by_database(database, loaded.manifest.name, writing=True)
                found = _salvage(path, LockHeader(loaded.manifest.name, database.fingerprint), resolve)
                gone = _rebuild(database, loaded, found.lock)
                if found.lock.differs_from_file or not found.has_header:
                    slot.replace(found.lock.render())
                reports.append(_report_rebuilt(path, found, gone))
    return reports


class _Salvage(NamedTuple):
    lock: Lockfile
    rejected: list[RejectedLine]
    exists: bool
    has_header: bool


def _salvage(path: Path, header: LockHeader, resolve: ResolveInDoubt) -> _Salvage:
    with replaying_journal(path, header.manifest, header.database, resolve) as replay:
        with open_lockfile(path) as file:
            found = _Salvage(new_lockfile(header.manifest, header.database), [], False, False)
            if file is not None:
                lock, rejected, has_header = salvage_lockfile(file, str(path), header)
                found = _Salvage(lock, rejected, True, has_header)
        check_owner(found.lock, manifest=header.manifest, database=header.database, file=str(path))
        replay(found.lock)
    return found


def _rebuild(database: Database, loaded: LoadedManifest, lock: Lockfile) -> int:
    """Record the rows of a manifest; returns how many entries of it have no row."""
    gone = 0
    for batch in loaded.batches(database.default_transaction_size):
        rows = database.read(read_snapshot, [*batch.ids])
        changes = compare_workflows(batch, rows, {}, {}).shared
        for spec, digest, change in zip(batch, compute_digests(batch), changes, strict=True):
            row = rows.get(spec.id)
            if row is None:
                gone += spec.id in lock
            # what differs is another workflow's row, or has other arguments: not what an entry would claim
            elif change.state is State.UNCHANGED:
                line = lock.format_existing(spec, digest, row.created_at_ms)
                if line is not None:
                    lock.update({spec.id: line})
    return gone


def _report_rebuilt(path: Path, found: _Salvage, gone: int) -> LockReport:
    lock = found.lock
    lost = [line for line in found.rejected if not line.is_marker and _id_of(line) not in lock.ids()]
    notes = [count_of(len(lock.ids()), "entry", "entries")]
    if gone:
        notes.append(f"{gone} kept without a row")
    if found.exists and not found.has_header:
        notes.append("the header could not be read: the entries are assumed to belong to this database")
    if lost:
        notes.append(
            f"{count_of(len(lost), 'line')} could not be read and {'is' if len(lost) == 1 else 'are'} lost"
        )
    details = [f"line {line.number}: {line.reason}" + _name_lost(line) for line in lost]
    return LockReport(path, [], notes, lock.differs_from_file or not found.has_header, details)


def _id_of(line: RejectedLine) -> str | None:
    match = _FIRST_ID.match(line.text)
    if match is None:
        return None
    value, problems = read_json(match[1])
    return None if problems else value


def _name_lost(line: RejectedLine) -> str:
    workflow_id = _id_of(line)
    return "" if workflow_id is None else f"; `{workflow_id}` has no row to restore it from"
