"""Read, lock and replace a lockfile."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from ..core.errors import InvalidLockfile, LockfileNotWritable, Refused, UsageError
from .journal_file import JournalFile, journal_path, remove_journal, sync_folder

LOCKFILE_SUFFIX = ".lock.jsonl"


@contextmanager
def open_lockfile(path: Path) -> Iterator[BinaryIO | None]:
    """Open a lockfile to read it line by line; None where there is none yet.

    Raises: UsageError when it exists and cannot be read; InvalidLockfile as `resolve_lockfile` does.
    """
    try:
        # not blocking, so that a pipe is refused instead of waited for
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(resolve_lockfile(path), flags), "rb") as file:
            _check_regular(path, os.fstat(file.fileno()))
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
    """The right to replace one lockfile, held from reading it until it is written.

    The temporary file next to the lockfile is opened before anything is enqueued. It proves that the folder
    can be written, and its lock of the operating system keeps two applies apart. A killed process leaves an
    unlocked temporary file, which the next one takes over.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.path = resolve_lockfile(path)
        self._temporary = self.path.with_name(f".{self.path.name}.tmp")
        self._descriptor: int | None = self._acquire(timeout_s)

    def _acquire(self, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s
        while True:
            descriptor = self._open()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                if time.monotonic() >= deadline:
                    raise Refused(
                        f"another apply holds the lockfile {self.path}",
                        "wait for it to finish, or set a longer --lock-timeout",
                    ) from None
                time.sleep(0.05)
                continue
            if self._still_named(descriptor):
                return descriptor
            os.close(descriptor)  # its holder has renamed or removed it meanwhile

    def _open(self) -> int:
        try:
            return os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise LockfileNotWritable(
                f"cannot write the lockfile {self.path}: {error.strerror}",
                "make its folder writable, or choose another path with --lockfile",
            ) from error

    def _still_named(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(self._temporary))
        except FileNotFoundError:
            return False

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
        descriptor, self._descriptor = self._descriptor, None
        assert descriptor is not None, "a slot is written once"
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.truncate(0)
                file.writelines(lines)
                file.flush()
                if self.path.exists():
                    os.fchmod(descriptor, stat.S_IMODE(self.path.stat().st_mode))
                os.fsync(descriptor)
                self._temporary.replace(self.path)
            sync_folder(self.path.parent)
            if not keep_journal:
                remove_journal(journal_path(self.path))
        except BaseException as error:
            self._temporary.unlink(missing_ok=True)
            if not isinstance(error, OSError):
                raise
            raise LockfileNotWritable(
                f"cannot write the lockfile {self.path}: {error.strerror}",
                "free up disk space, then run the same command again: the journal records what was enqueued",
            ) from error

    def close(self) -> None:
        """Release the slot; the lockfile is unchanged unless it was replaced."""
        if self._descriptor is not None:
            self._temporary.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> LockfileWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
