"""Find the manifests of a folder, and read the files that a command names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..core.errors import UsageError

_MANIFEST_SUFFIXES = {".yaml", ".yml", ".json"}


def find_manifests(path: Path) -> list[Path]:
    """Find the files that a path of the command line stands for: itself, or all YAML and JSON below a folder.

    Shape:  a folder's files come sorted; hidden files and folders are skipped, links are followed. Whether
            such a file is a manifest is for the caller to see.
    Raises: UsageError for a file or folder that is not there or cannot be opened.
    """
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
        return list(_walk(path, set())) if is_folder else [path]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"no such file or folder: {error.filename}") from None
    except OSError as error:
        raise UsageError(
            f"cannot open {error.filename}: {error.strerror}", "check its permissions, or name other paths"
        ) from error


def _walk(folder: Path, entered: set[tuple[int, int]]) -> Iterator[Path]:
    """Go through a folder, files first; each folder once, whatever links lead to it."""
    found = folder.stat()
    if (found.st_dev, found.st_ino) in entered:
        return
    entered.add((found.st_dev, found.st_ino))
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    folders = [path for path in paths if path.is_dir()]
    for path in paths:
        if path.suffix.lower() in _MANIFEST_SUFFIXES and path not in folders:
            if not stat.S_ISREG(path.stat().st_mode):
                raise UsageError(f"cannot read {path}: it is no regular file", "move it out of the folder")
            yield path
    for path in folders:
        yield from _walk(path, entered)


def read_manifest(path: Path, limit: int) -> bytes:
    """Read a manifest; of a longer file only `limit` + 1 bytes, which the reader then refuses.

    Raises: UsageError when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


class FileReader:
    """A file that is read more than once and may not change meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int, int] | None = None

    def exists(self) -> bool:
        return self._path.is_file()

    def begins_with(self, first: bytes) -> bool:
        with self.stream() as file:
            return file.read(len(first)) == first

    def stream(self) -> BinaryIO:
        """Raises: UsageError when it cannot be read, or is not what it was the first time."""
        try:
            file = self._path.open("rb")
        except OSError as error:
            raise UsageError(f"cannot read {self._path}: {error.strerror}") from error
        found = os.fstat(file.fileno())
        version = (found.st_ino, found.st_size, found.st_mtime_ns)
        if self._version not in (None, version):
            file.close()
            raise UsageError(f"{self._path} changed while it was read", "run the command again")
        self._version = version
        return file


def read_ids(path: Path) -> bytes:
    """The bytes of a list of ids.

    Raises: UsageError when it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
