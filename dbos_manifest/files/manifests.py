"""Find the manifests of a folder, and read the files that a command names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..core.errors import UsageError
from .open_file import open_named

_MANIFEST_SUFFIXES = {".yaml", ".yml", ".json"}


def find_manifests(path: Path) -> list[Path]:
    """Find the files of a path of the command line: itself, or all YAML and JSON files below a folder.

    Shape:  a folder's files are sorted; hidden files and folders are skipped, links are followed. The caller
            checks whether such a file is a manifest.
    Raises: UsageError for a file or folder that does not exist or cannot be opened.
    """
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
        return list(_walk(path, set())) if is_folder else [path]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"no such file or folder: {error.filename}") from None
    except OSError as error:
        raise UsageError(
            f"cannot open {error.filename}: {error.strerror}", "check its permissions, or pass other paths"
        ) from error


def _walk(folder: Path, entered: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the files of a folder, then those of its folders; each folder once, also with several links."""
    found = folder.stat()
    if (found.st_dev, found.st_ino) in entered:
        return
    entered.add((found.st_dev, found.st_ino))
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    folders = [path for path in paths if path.is_dir()]
    for path in paths:
        if path.suffix.lower() in _MANIFEST_SUFFIXES and path not in folders:
            if not stat.S_ISREG(path.stat().st_mode):
                raise UsageError(f"cannot read {path}: it is not a regular file", "move it out of the folder")
            yield path
    for path in folders:
        yield from _walk(path, entered)


def read_manifest(path: Path, limit: int, folder: Path | None = None) -> bytes:
    """Read a manifest; of a longer file only `limit` + 1 bytes, which the reader then rejects.

    `folder` is the folder of the command line that contains it.
    Raises: UsageError when the file cannot be read.
    """
    try:
        with os.fdopen(open_named(path, folder), "rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def read_ids(path: Path) -> bytes:
    """Read the file of a list of IDs.

    Raises: UsageError when it cannot be read.
    """
    try:
        with os.fdopen(open_named(path), "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
