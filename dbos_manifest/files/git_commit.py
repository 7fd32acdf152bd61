"""Find the Git repository of a folder and the commit that is checked out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path


def read_git_commit(folder: Path) -> str | None:
    """Return the commit that is checked out in the working tree around a folder, from Git's own files.

    Source: gitrepository-layout(5): HEAD, refs, packed-refs, and `gitdir:` files of work trees.
    """
    try:
        root = find_repository(folder)
        return _read_head(root / ".git") if root is not None else None
    except (OSError, UnicodeDecodeError):
        return None  # provenance is optional: an unreadable repository does not stop an apply


def find_repository(folder: Path) -> Path | None:
    """Find the top level of the Git working tree around a folder."""
    for place in (folder, *folder.parents):
        try:
            if (place / ".git").exists():
                return place
        except OSError:
            return None
    return None


def _read_head(git: Path) -> str | None:
    if git.is_file():
        git = git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    common = git
    if (git / "commondir").is_file():
        common = git / (git / "commondir").read_text(encoding="utf-8").strip()
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref: "):
        return _commit(head)
    ref = head.removeprefix("ref: ")
    for base in (git, common):
        if ".." not in ref and (base / ref).is_file():
            return _commit((base / ref).read_text(encoding="utf-8").strip())
    return next((line.split()[0] for line in _packed_refs(common) if line.endswith(f" {ref}")), None)


def _packed_refs(common: Path) -> Iterator[str]:
    packed = common / "packed-refs"
    if packed.is_file():
        yield from packed.read_text(encoding="utf-8").splitlines()


def _commit(text: str) -> str | None:
    return text if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) else None
