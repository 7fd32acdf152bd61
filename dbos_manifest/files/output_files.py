"""Write result files: a regular file is replaced at the end or not at all, others are written in place."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from ..core.errors import UsageError
from .open_file import create_temporary

_IN_PLACE_INSTEAD = (errno.EBUSY, errno.EPERM, errno.EACCES, errno.EROFS, errno.EXDEV)
"""Errors that forbid to replace a file but not to write it: it is a mount, or its folder is not writable."""


class OutputFile:
    """A file that a result is written to. A failed write is recorded in `error`, and nothing is raised.

    A regular file is written to a temporary file, which replaces it in `finish` with the same mode; symbolic
    links are followed. A device, FIFO or process substitution is written in place.
    """

    def __init__(self, path: Path, *, private: bool = False) -> None:
        """Open the file; with `private`, only the owner can read a new file, and no other user may own it.

        Raises: UsageError when it cannot be written.
        """
        self.path = path
        self.error: OSError | None = None
        self._private = private
        self._temporary: Path | None = None
        self._truncates = False
        try:
            self._file = self._open()
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from error

    def _open(self) -> TextIO:
        found = _stat(self.path)
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise UsageError(f"cannot write {self.path}: it is a folder", "choose a file in it")
        if found is not None and not stat.S_ISREG(found.st_mode):
            return _text_file(os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY))
        if found is not None and self._private and found.st_uid != os.geteuid():
            raise UsageError(
                f"cannot write {self.path}: another user owns it and could read the result",
                "remove it, or choose another path",
            )
        real = Path(os.path.realpath(self.path))
        try:
            return _text_file(self._open_temporary(real, found))
        except OSError as error:
            if found is None or error.errno not in _IN_PLACE_INSTEAD:
                raise
            self._truncates = True
            return _text_file(os.open(real, os.O_WRONLY | os.O_CLOEXEC))

    def _open_temporary(self, real: Path, found: os.stat_result | None) -> int:
        temporary = real.with_name(f".{real.name}.{os.getpid()}.tmp")
        mode = 0o666 if found is None and not self._private else 0o600
        descriptor = create_temporary(temporary, mode)
        self._temporary = temporary
        if found is not None:
            with suppress(OSError):  # only root may give a file away
                os.fchown(descriptor, found.st_uid, found.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
        return descriptor

    def write(self, text: str) -> None:
        """Write a piece of the result."""
        if self.error is not None:
            return
        try:
            if self._truncates:
                self._truncates = False
                self._file.truncate(0)
            self._file.write(text)
        except OSError as error:
            self.error = error

    def flush(self) -> None:
        """Flush what was written so far to the reader of a FIFO."""
        try:
            self._file.flush()
        except OSError as error:
            self.error = self.error or error

    def finish(self) -> None:
        """Replace the file with the new text, unless a write has failed."""
        try:
            self._file.close()
            if self._temporary is not None and self.error is None:
                self._replace(self._temporary, Path(os.path.realpath(self.path)))
        except OSError as error:
            self.error = self.error or error
        self.drop()

    @staticmethod
    def _replace(temporary: Path, real: Path) -> None:
        try:
            temporary.replace(real)
        except OSError as error:
            if error.errno not in _IN_PLACE_INSTEAD or not real.is_file():
                raise
            import shutil  # it loads compression libraries

            shutil.copyfile(temporary, real)

    def drop(self) -> None:
        """Discard what was not finished; the file is unchanged."""
        with suppress(OSError):
            self._file.close()
        if self._temporary is not None:
            with suppress(OSError):
                self._temporary.unlink(missing_ok=True)


def _text_file(descriptor: int) -> TextIO:
    return os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n")


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def is_standard_output(path: Path, descriptor: int) -> bool:
    """Return whether a path leads to the file or pipe of a descriptor, as `/dev/stdout` does."""
    try:
        found, ours = path.stat(), os.fstat(descriptor)
    except OSError:
        return False
    shared = stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)
    return shared and os.path.samestat(found, ours)


def find_same(path: Path, others: Iterable[Path]) -> Path | None:
    """Find another name of the file at `path` among others; a device, as `/dev/null`, may have several."""
    found, real = _stat_or_none(path), os.path.realpath(path)
    if found is not None and stat.S_ISCHR(found.st_mode):
        return None
    for other in others:
        if os.path.realpath(other) == real:
            return other
        there = _stat_or_none(other) if found is not None else None
        if found is not None and there is not None and os.path.samestat(found, there):
            return other
    return None


def _stat_or_none(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def write_new(path: Path, text: str) -> bool:
    """Write a new file; return False when it exists already, and leave it unchanged.

    Raises: UsageError when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    return True
