"""Files that a manifest may name: those in its own folder and below, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol


class TreeError(Exception):
    """A file that a manifest names cannot be read, or is outside the tree. `code` is a diagnostic's."""

    def __init__(self, code: str, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help


class Tree(Protocol):
    """The only way from a manifest to a file; implemented in `files/folder_tree.py`."""

    def stream(self, path: str, limit: int) -> BinaryIO:
        """Open a file of at most `limit` bytes; the caller closes it.

        Raises: TreeError for a path that leaves the tree, is no regular file, is longer, or has changed
                since it was first read.
        """

    def files(self) -> list[Path]:
        """Return the files that were read so far."""
