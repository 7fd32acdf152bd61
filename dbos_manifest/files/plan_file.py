"""Open the file of a saved plan once, and read it several times."""

from __future__ import annotations

import io
import os
import weakref
from pathlib import Path
from typing import Any, BinaryIO

from ..core.errors import UsageError
from .open_file import open_named

_BUFFER_BYTES = 2**16


class PlanFile:
    """A file that is opened once, read several times, and may not change meanwhile."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises: UsageError when it cannot be read."""
        self.path = path
        self.descriptor = open_named(path)
        weakref.finalize(self, os.close, self.descriptor)
        self._version = self._read_version()

    def stream(self) -> BinaryIO:
        """Return the content from its start. Raises: UsageError when the file has changed."""
        if self._read_version() != self._version:
            raise UsageError(f"{self.path} changed while it was being read", "run the command again")
        return io.BufferedReader(_PlanReader(self), _BUFFER_BYTES)

    def begins_with(self, first: bytes) -> bool:
        """Return whether the content begins with some bytes."""
        return os.pread(self.descriptor, len(first), 0) == first

    def _read_version(self) -> tuple[int, int]:
        found = os.fstat(self.descriptor)
        return found.st_size, found.st_mtime_ns


class _PlanReader(io.RawIOBase):
    """Reads a file from a position of its own: several readers may read it at once."""

    def __init__(self, file: PlanFile) -> None:
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._file.descriptor, len(buffer), self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
