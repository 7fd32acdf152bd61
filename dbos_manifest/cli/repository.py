"""Make paths relative to the root of the repository, as annotations and code scanning need them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..core.diagnostic import Diagnostic
from ..files.git_commit import find_repository


def from_repository(diagnostics: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield the diagnostics with paths relative to the root; a path outside of it is absolute."""
    known: dict[str, str] = {}

    def show(file: str) -> str:
        if file not in known:
            known[file] = _path_from_root(file)
        return known[file]

    for diagnostic in diagnostics:
        span = diagnostic.span
        yield replace(
            diagnostic,
            file=show(diagnostic.file) if diagnostic.file else None,
            span=span._replace(file=show(span.file)) if span is not None else None,
        )


def _path_from_root(file: str) -> str:
    if file.startswith("<"):  # standard input
        return file
    path = Path(os.path.abspath(file))  # noqa: PTH100 - does not follow links
    workspace = os.environ.get("GITHUB_WORKSPACE")
    roots = [Path(workspace)] if workspace else []
    roots += [root for root in (find_repository(path.parent), Path.cwd()) if root is not None]
    for root in roots:
        for inside, base in ((path, root), (path.resolve(), root.resolve())):
            if inside.is_relative_to(base):
                return inside.relative_to(base).as_posix()
    return path.as_posix()
