"""Open the files that a manifest names, within the folder tree of the manifest only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from ..reading.sandbox import TreeError
from .open_file import open_regular


class FolderTree:
    """The files that a manifest may name: regular files in its folder and below, symbolic links followed.

    A file may not change after it was first opened: an apply enqueues exactly the rows that it has planned.
    """

    def __init__(self, folder: Path) -> None:
        self._root = Path(os.path.realpath(folder))
        self._seen: dict[Path, tuple[int, int, int]] = {}

    def files(self) -> list[Path]:
        """Return the files that were opened so far."""
        return [*self._seen]

    def stream(self, path: str, limit: int) -> BinaryIO:
        """Open a file of at most `limit` bytes; see `sandbox.Tree`."""
        if "\0" in path or not path or Path(path).is_absolute() or ".." in Path(path).parts:
            raise TreeError(
                "outside-tree",
                f"`{printable_path(path)}` is not a path below the manifest's folder",
                "copy the file there, and write its path relative to the manifest's folder",
            )
        try:
            real = Path(os.path.realpath(self._root / path, strict=True))
            if not real.is_relative_to(self._root):
                raise TreeError(
                    "outside-tree", f"`{path}` is a symbolic link to a file outside the manifest's folder"
                )
            file = os.fdopen(open_regular(real), "rb")
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise TreeError("axis-file", f"cannot read {printable_path(path)}: {reason}") from None
        try:
            self._check(path, real, os.fstat(file.fileno()), limit)
        except TreeError:
            file.close()
            raise
        return file

    def _check(self, path: str, real: Path, found: os.stat_result, limit: int) -> None:
        if found.st_size > limit:
            raise TreeError("too-large", f"{path} has {found.st_size:,} bytes; the limit is {limit:,}")
        version = (found.st_ino, found.st_size, found.st_mtime_ns)
        if self._seen.setdefault(real, version) != version:
            raise TreeError("axis-file", f"{path} changed while the program ran", "run the command again")


def printable_path(path: str) -> str:
    """Replace NUL characters in a path."""
    return path.replace("\0", "\\0")
