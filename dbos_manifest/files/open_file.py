"""Open regular files only, through symbolic links only within a folder tree, and create temporary files."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from ..core.errors import UsageError
from .git_commit import find_repository

# Not blocking, so that a pipe is refused instead of waited for.
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DESCRIPTOR = re.compile(r"/dev/stdin|(/dev|/proc/self)/fd/[0-9]+")


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a file that is not a link, a device, a pipe or a folder. Raises: OSError."""
    descriptor = os.open(path, flags | _FLAGS, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return descriptor


def create_temporary(path: Path, mode: int) -> int:
    """Create a file for writing, in the place of one that a killed process left; never write to that one.

    Raises: OSError, which names the file where it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        reason = f"the temporary file {path} is in the way and cannot be removed: {error.strerror}"
        raise OSError(error.errno, reason) from error
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


def open_named(path: Path, folder: Path | None = None) -> int:
    """Open a file that the user names, or that is in a folder that the user names.

    A symbolic link inside a Git working tree must stay in it. Where there is none, a link in the folder must
    stay in the folder. What the shell has opened, as in process substitution, may be a pipe.
    Raises: UsageError when it cannot be read.
    """
    try:
        if _DESCRIPTOR.fullmatch(str(path)):
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return open_regular(_follow_links(path, Path(os.path.realpath(folder or path.parent))))
    except OSError as error:
        help = None
        if error.errno == errno.EINVAL:
            help = "write its content to a file; `-` as the manifest reads standard input"
        raise UsageError(f"cannot read {path}: {error.strerror}", help) from error


def _follow_links(path: Path, folder: Path) -> Path:
    """Return the real path. Raises: UsageError for a link that leaves its tree; OSError."""
    place = Path() if path.is_absolute() else Path.cwd()
    for part in path.parts:
        link = place / part
        if part == ".." or not link.is_symlink():
            place = place.parent if part == ".." else link
            continue
        target = Path(os.path.realpath(link, strict=True))
        tree = find_repository(place) or (folder if place.is_relative_to(folder) else None)
        if tree is not None and not target.is_relative_to(tree):
            raise UsageError(
                f"cannot read {path}: `{part}` is a link to {target}, outside the folder tree {tree}",
                "replace the link with a copy, or pass the real path",
            )
        place = target
    return place
