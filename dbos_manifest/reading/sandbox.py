"""The files that a manifest may name: those in its own folder and below, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol


class TreeError(Exception):
    """A file that a manifest names cannot be read, or may not be. `code` is a diagnostic's."""

    def __init__(self, code: str, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help


class Tree(Protocol):
    """The one way from a manifest to a file; `files/folder_tree.py` has the real one."""

    def stream(self, path: str, limit: int) -> BinaryIO:
        """A file of at most `limit` bytes, to be closed by the caller.

        Raises: TreeError for a path that leaves the tree, is no regular file, is longer, or has changed
                since it was first read.
        """

    def files(self) -> list[Path]:
        """The files that were read so far."""
