"""Read and replace a lockfile."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..core.errors import InvalidLockfile, LockfileNotWritable, UsageError
from .journal_file import JournalFile, journal_path, remove_journal, sync_folder
from .lockfile_lock import LockfileLocks
from .open_file import create_temporary, open_regular

LOCKFILE_SUFFIX = ".lock.jsonl"
TARGET_NAME = re.compile(r"\w([\w.-]*\w)?")


@contextmanager
def open_lockfile(path: Path) -> Iterator[BinaryIO | None]:
    """Open a lockfile to read it line by line; None where there is none yet.

    Raises: UsageError when it exists and cannot be read; InvalidLockfile as `resolve_lockfile` does.
    """
    try:
        with os.fdopen(open_regular(resolve_lockfile(path)), "rb") as file:
            yield file
    except FileNotFoundError:
        yield None
    except OSError as error:
        raise UsageError(f"cannot read the lockfile {path}: {error.strerror}") from error


def find_lockfiles(folder: Path) -> list[Path]:
    """List the lockfiles in a folder; none where it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(LOCKFILE_SUFFIX))
    except OSError:
        return []


def resolve_lockfile(path: Path) -> Path:
    """Resolve a lockfile's path; symbolic links are followed only within its folder.

    Raises: InvalidLockfile for a link that leads elsewhere, and for what is not a regular file.
    """
    folder = os.path.realpath(path.parent)
    real = Path(os.path.realpath(Path(folder, path.name)))
    if not real.is_relative_to(folder):
        raise InvalidLockfile(
            f"the lockfile {path} is a symbolic link to {real}, outside its folder",
            "replace the link with the file, or pass the real path with --lockfile",
        )
    with suppress(OSError):  # it does not exist yet, or opening it reports the error
        _check_regular(path, real.stat())
    return real


def _check_regular(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise InvalidLockfile(
            f"the lockfile {path} is not a regular file",
            "remove it, or choose another lockfile with --lockfile",
        )


class LockfileWriter:
    """The right to replace one lockfile, held from reading it until it is written."""

    def __init__(self, path: Path, locks: LockfileLocks) -> None:
        """Lock the file.

        Raises: InvalidLockfile as `resolve_lockfile` does; Refused, LockfileNotWritable as `locks.take` does.
        """
        self.path = resolve_lockfile(path)
        self._temporary = self.path.with_name(f".{self.path.name}.new.tmp")
        locks.take(self.path)

    @classmethod
    @contextmanager
    def locked(cls, path: Path, timeout_s: float) -> Iterator[LockfileWriter]:
        """Lock one lockfile until the end. Raises: as creating a writer does."""
        with LockfileLocks(timeout_s) as locks:
            yield cls(path, locks)

    def open_journal(self) -> JournalFile:
        """Open the journal for appending. Raises: LockfileNotWritable."""
        return JournalFile(journal_path(self.path))

    def remove_journal(self) -> None:
        """Remove a journal that is no longer needed. Raises: LockfileNotWritable."""
        try:
            remove_journal(journal_path(self.path))
        except OSError as error:
            raise LockfileNotWritable(
                f"cannot remove the journal of {self.path}: {error.strerror}"
            ) from error

    def check_replaceable(self) -> None:
        """Check, before anything is enqueued, that `replace` will be possible.

        Raises: LockfileNotWritable.
        """
        journal = journal_path(self.path)
        if os.path.lexists(journal):
            JournalFile(journal).close()
        try:
            os.close(create_temporary(self._temporary, 0o666))
            self._temporary.unlink()
        except OSError as error:
            raise LockfileNotWritable(
                f"cannot replace the lockfile {self.path}: {error.strerror}",
                "make its folder writable, remove the temporary file if the message names one, or choose "
                "another path with --lockfile",
            ) from error
        try:
            found, folder = self.path.lstat(), self.path.parent.stat()
        except FileNotFoundError:
            return
        owners = (found.st_uid, folder.st_uid, 0)
        if folder.st_mode & stat.S_ISVTX and os.geteuid() not in owners:
            raise LockfileNotWritable(
                f"cannot replace the lockfile {self.path}: another user owns it, "
                "and its folder has the sticky bit",
                "remove the file or the sticky bit, or choose another lockfile with --lockfile",
            )
        if found.st_dev != folder.st_dev or str(self.path) in _mount_points():
            raise LockfileNotWritable(
                f"cannot replace the lockfile {self.path}: the file itself is mounted",
                "mount its folder instead, or choose another lockfile with --lockfile",
            )

    def replace(self, lines: Iterable[str], *, keep_journal: bool = False) -> None:
        """Replace the lockfile atomically.

        The journal is then removed, unless a transaction in it is still in doubt.
        Raises: LockfileNotWritable when writing fails; the old lockfile and the journal are then unchanged.
        """
        try:
            with os.fdopen(
                create_temporary(self._temporary, 0o666), "w", encoding="utf-8", newline="\n"
            ) as file:
                file.writelines(lines)
                file.flush()
                if self.path.exists():
                    os.fchmod(file.fileno(), stat.S_IMODE(self.path.stat().st_mode))
                os.fsync(file.fileno())
                self._temporary.replace(self.path)
            sync_folder(self.path.parent)
            if not keep_journal:
                remove_journal(journal_path(self.path))
        except BaseException as error:
            with suppress(OSError):
                self._temporary.unlink(missing_ok=True)
            if not isinstance(error, OSError):
                raise
            raise LockfileNotWritable(
                f"cannot write the lockfile {self.path}: {error.strerror}",
                "make sure that the disk has free space and the lockfile can be replaced, then run the same "
                "command again: no record of an enqueued workflow is lost",
            ) from error


def _mount_points() -> set[str]:
    """Return the paths where something is mounted; none where the system does not list them.

    Source: proc_pid_mountinfo(5): the fifth field, with blanks and backslashes as octal numbers.
    """
    try:
        with Path("/proc/self/mountinfo").open(encoding="utf-8", errors="surrogateescape") as file:
            fields = [line.split(" ")[4] for line in file]
    except OSError:
        return set()
    return {re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field) for field in fields}
