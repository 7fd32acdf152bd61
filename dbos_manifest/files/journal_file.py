"""The file of a journal, next to its lockfile: open, append to, sync and remove it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..core.errors import LockfileNotWritable, Refused
from .open_file import open_regular

_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has only fsync


def journal_path(lockfile: Path) -> Path:
    """Return the path of a lockfile's journal, next to it: `jobs.lock.jsonl.journal`."""
    return lockfile.with_name(f"{lockfile.name}.journal")


@contextmanager
def open_journal(path: Path) -> Iterator[BinaryIO | None]:
    """Open a journal for reading; None where there is none.

    Raises: Refused when it exists and cannot be read.
    """
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise Refused(
            f"cannot read the journal {path}: {error.strerror}",
            "make it readable, or move it away: it records what an interrupted apply enqueued",
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        yield file


class JournalFile:
    """A journal that one apply appends to while it holds the lockfile's slot."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises: LockfileNotWritable."""
        self.path = path
        try:
            self._descriptor = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._size = self._cut_torn_line()
            sync_folder(path.parent)
        except OSError as error:
            self.close()
            raise self._failed(error) from error

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was written yet."""
        return self._size == 0

    def append(self, data: bytes) -> None:
        """Append whole lines. Raises: LockfileNotWritable; the file then has none of them."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise self._failed(error) from error
        self._size += len(data)

    def sync(self) -> None:
        """Flush everything to the disk. Raises: LockfileNotWritable."""
        try:
            _sync_data(self._descriptor)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _cut_torn_line(self) -> int:
        """Remove the incomplete last line of a killed apply, and return the size of the rest."""
        end = os.fstat(self._descriptor).st_size
        while end:
            start = max(0, end - 65536)
            found = os.pread(self._descriptor, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        os.ftruncate(self._descriptor, end)
        return end

    def _failed(self, error: OSError) -> LockfileNotWritable:
        return LockfileNotWritable(
            f"cannot write the journal {self.path}: {error.strerror}",
            "make sure that the disk has free space and the folder is writable, then run the same command "
            "again",
        )


def remove_journal(path: Path) -> None:
    """Remove a journal whose entries are in the lockfile. Raises: OSError."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:  # another user's file in a sticky folder: an empty journal has the same effect
        os.truncate(path, 0)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)
