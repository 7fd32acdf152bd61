"""Lock any number of lockfiles with one open file."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from ..core.errors import LockfileNotWritable, Refused, UsageError
from .open_file import open_regular

_POLL_S = 0.05


class LockfileLocks:
    """The locks that one command holds on lockfiles, until it is closed.

    A lock is a name next to the lockfile, of a file that the operating system has locked. All names are links
    to one file (one per file system), so one open file is enough. The names that a killed process leaves have
    no lock, and are removed by the next one. Nothing is ever written to such a file: it may be a link that
    another user made.
    """

    def __init__(self, timeout_s: float) -> None:
        """Prepare to wait for all locks together."""
        self._deadline = time.monotonic() + timeout_s
        self._newest: dict[int, _LockedFile] = {}  # by number of the file system
        self._taken: dict[Path, _LockedFile] = {}
        self._descriptors: list[int] = []

    def take(self, lockfile: Path) -> None:
        """Lock a lockfile, which also proves that its folder can be written.

        Raises: Refused when another process holds it for too long; LockfileNotWritable; UsageError when this
        command has it already.
        """
        name = lockfile.with_name(f".{lockfile.name}.tmp")
        if name in self._taken:
            raise UsageError(
                f"two manifests have the same lockfile {lockfile}",
                "remove the link, or apply them separately",
            )
        while not self._create(name, lockfile):
            if _remove_stale(name, lockfile):
                continue
            if time.monotonic() >= self._deadline:
                raise Refused(
                    f"another apply holds the lockfile {lockfile}",
                    "wait for it to finish, or set a longer --lock-timeout",
                )
            time.sleep(_POLL_S)

    def close(self) -> None:
        """Release all locks."""
        for file in self._taken.values():
            with suppress(OSError):
                if _is_name_of(file.name, file.descriptor):
                    file.name.unlink()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._newest, self._taken, self._descriptors = {}, {}, []

    def _create(self, name: Path, lockfile: Path) -> bool:
        """Create a name that is locked; False where the name exists."""
        try:
            device = name.parent.stat().st_dev
            known = self._newest.get(device)
            file = known and _link(known, name)
            if file is None:
                file = _create_locked(name)
                self._descriptors.append(file.descriptor)
                self._newest[device] = file
        except (FileExistsError, BlockingIOError):
            return False
        except OSError as error:
            raise LockfileNotWritable(
                f"cannot write the lockfile {lockfile}: {error.strerror}",
                "make its folder writable, or choose another path with --lockfile",
            ) from error
        self._taken[name] = file
        return True

    def __enter__(self) -> LockfileLocks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _LockedFile(NamedTuple):
    descriptor: int
    name: Path


def _link(known: _LockedFile, name: Path) -> _LockedFile | None:
    """Give a locked file another name; None where the file system cannot. Raises: FileExistsError."""
    try:
        os.link(known.name, name, follow_symlinks=False)
    except FileExistsError:
        if _is_name_of(name, known.descriptor):  # NFS repeated a request whose reply was lost
            return _LockedFile(known.descriptor, name)
        raise
    except (OSError, NotImplementedError):  # on another mount, too many links, or no links at all
        return None
    if _is_name_of(name, known.descriptor):
        return _LockedFile(known.descriptor, name)
    name.unlink()  # someone has put another file in the place of the first one
    return None


def _create_locked(name: Path) -> _LockedFile:
    """Create a file and lock it. Raises: FileExistsError, BlockingIOError: another process was first."""
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_name_of(name, descriptor):  # another process has removed it before it was locked
            raise FileExistsError
    except BaseException as error:
        if not isinstance(error, FileExistsError | BlockingIOError):  # no locks on this file system
            name.unlink()
        os.close(descriptor)
        raise
    return _LockedFile(descriptor, name)


def _remove_stale(name: Path, lockfile: Path) -> bool:
    """Remove the name of a killed process; False where a process holds the lock.

    Raises: LockfileNotWritable for what cannot be a lock, or cannot be removed.
    """
    try:
        descriptor = _open_existing(name)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_name_of(name, descriptor):
                name.unlink()
        finally:
            os.close(descriptor)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    except OSError as error:
        raise LockfileNotWritable(
            f"cannot lock the lockfile {lockfile}: the temporary file {name} is in the way: {error.strerror}",
            "remove it if no apply is running, or choose another path with --lockfile",
        ) from error
    return True


def _open_existing(name: Path) -> int:
    """Open a file for locking. Raises: OSError, also for what is not a regular file."""
    try:
        return open_regular(name, os.O_RDWR)  # NFS locks only what can be written
    except PermissionError:
        return open_regular(name)


def _is_name_of(name: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(name))
    except FileNotFoundError:
        return False
