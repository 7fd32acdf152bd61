"""Read the manifests of the paths that a command is given; other files of a folder are skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..core.diagnostic import Diagnostic, Span, make_diagnostic
from ..core.errors import UsageError
from ..expansion.workflow_source import FIRST_BYTES
from ..reading.document import MAX_FILE_BYTES, Document, parse_documents
from ..reading.looks_like_manifest import may_be_manifest
from .manifests import find_manifests, read_manifest

STDIN = "-"


class Source(NamedTuple):
    """A file that was read. `chosen` files must be manifests; others are skipped when they are not."""

    name: str  # as given on the command line
    path: Path | None  # None: standard input
    content: bytes
    chosen: bool


def read_sources(paths: Sequence[str], stdin: bytes, *, skip_others: bool = False) -> Iterator[Source]:
    """Read the files of the paths, each once; with `skip_others` also a file that is named may be skipped.

    Raises: UsageError for an empty path, and for a file or folder that cannot be opened.
    """
    seen: set[Path] = set()
    for name in paths:
        if not name:
            raise UsageError(
                "a path is empty", "pass a file or a folder; `.` is the current folder (is a variable unset?)"
            )
        if name == STDIN:
            yield Source("<stdin>", None, stdin, chosen=True)
            continue
        folder = Path(name) if Path(name).is_dir() else None
        chosen = not skip_others and folder is None
        for path in find_manifests(Path(name)):
            if (real := path.resolve()) not in seen:
                seen.add(real)
                yield Source(str(path), path, read_manifest(path, MAX_FILE_BYTES, folder), chosen)


def parse_source(source: Source) -> tuple[list[Document], list[Diagnostic]]:
    """Parse the manifests of a file; nothing for a file that is not a manifest and was not chosen.

    Raises: UsageError for a saved plan.
    """
    if source.content.startswith(FIRST_BYTES):
        if not source.chosen:
            return [], []
        raise UsageError(
            f"{source.name} is a saved plan, not a manifest", "pass it to `apply`, as the only path"
        )
    if not source.chosen:
        if not may_be_manifest(source.content):
            return [], []
        return parse_documents(source.content, source.name, manifests_only=True)
    documents, diagnostics = parse_documents(source.content, source.name)
    if not documents and not diagnostics:
        diagnostics = [
            make_diagnostic(
                "not-a-manifest",
                "the file is empty",
                help="start it with `version: 1`, `name: …` and `workflows:`",
            ).in_file(source.name, span=Span(source.name, 1, 1, 1, 1))
        ]
    return documents, diagnostics
