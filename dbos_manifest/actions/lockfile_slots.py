"""Take the locks of an apply, and write the lockfiles that they guard."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..core.errors import LockfileNotWritable
from ..files.lockfile_lock import LockfileLocks
from ..files.lockfile_writer import LockfileWriter
from ..lockfile.journal import Journal
from ..lockfile.lockfile import Lockfile
from ..system_db.database import Database
from .plan import Target


class LockfileSlot:
    """The place of a lockfile, whose failure to open matters only once there is something to write."""

    def __init__(self, target: Target) -> None:
        assert target.lock_path is not None
        self.path = target.lock_path
        self._writer: LockfileWriter | None = None
        self._error: LockfileNotWritable | None = None

    def take(self, locks: LockfileLocks) -> None:
        """Lock the lockfile. Raises: Refused when another process holds it; InvalidLockfile."""
        try:
            self._writer = LockfileWriter(self.path, locks)
        except LockfileNotWritable as error:
            self._error = error

    def require(self) -> LockfileWriter:
        """Return the writer. Raises: LockfileNotWritable when the lockfile could not be opened."""
        if self._error is not None:
            raise self._error
        assert self._writer is not None
        return self._writer

    def save(self, lock: Lockfile, journal: Journal) -> bool:
        """Write the lockfile if it changed, and remove a journal that is no longer needed."""
        in_doubt = journal.close()
        if lock.changed or (lock.differs_from_file and self._writer is not None):
            self.require().replace(lock.render(), keep_journal=in_doubt)
            return True
        if journal.exists and not in_doubt:
            self.require().remove_journal()
        return False


@contextmanager
def lock_targets(
    database: Database, targets: Sequence[Target], *, locked: bool
) -> Iterator[dict[str, LockfileSlot]]:
    """Lock the manifests in the database, then their lockfiles; with `locked` nothing is written or locked.

    Shape:  slots by the manifest's name.
    Raises: Refused when another process holds a lock for longer than the lock timeout.
    """
    slots = {target.source.name: LockfileSlot(target) for target in targets}
    if locked:
        yield slots
        return
    database.check_writable()
    with database.apply_locks(list(slots)), LockfileLocks(database.lock_timeout_s) as locks:
        for slot in sorted(slots.values(), key=lambda slot: os.path.realpath(slot.path)):
            slot.take(locks)  # in the same order in every apply: no two wait for each other
        yield slots
