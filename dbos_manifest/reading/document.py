"""Parse YAML and JSON files to documents of plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.diagnostic import (
    Diagnostic,
    Related,
    Severity,
    Span,
    make_diagnostic,
)
from ..core.lines import LineIndex, find_position
from ..core.portable_json import JsonProblem, read_json
from .looks_like_manifest import looks_like_manifest, text_looks_like_manifest
from .positions import make_span
from .yaml_composer import read_yaml

MAX_FILE_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a file. Positions of values are found again when a diagnostic needs them."""

    file: str
    index: int  # among the file's documents, from 0
    text: str  # of the whole file
    format: str  # yaml | json
    data: Any


def parse_documents(
    content: bytes, file: str, *, manifests_only: bool = False
) -> tuple[list[Document], list[Diagnostic]]:
    """Parse the non-empty documents of a file, and find every problem of its text.

    With `manifests_only`, documents that do not look like manifests are left out, and so are their problems.
    JSON is not read as YAML, because a YAML 1.1 parser misreads some of its escapes.
    """
    if len(content) > MAX_FILE_BYTES:
        message = f"the file is larger than {MAX_FILE_BYTES // 2**20} MiB"
        found = make_diagnostic("too-large", message, help="split it into several files").in_file(file)
    elif isinstance(text := _decode(content, file), Diagnostic):
        found = text
    else:
        documents, diagnostics, complete = _parse_text(text, file)
        if not manifests_only:
            return _without_broken(documents, diagnostics), diagnostics
        good = {document.index for document in documents if looks_like_manifest(document.data)}
        if good or (not complete and text_looks_like_manifest(content)):
            others = {document.index for document in documents} - good
            diagnostics = [found for found in diagnostics if found.document not in others]
            documents = [document for document in documents if document.index in good]
            return _without_broken(documents, diagnostics), diagnostics
        return [], []
    return [], [found] if not manifests_only or text_looks_like_manifest(content) else []


def _without_broken(documents: Sequence[Document], diagnostics: Iterable[Diagnostic]) -> list[Document]:
    broken = {d.document for d in diagnostics if d.severity is Severity.ERROR}
    return [document for document in documents if document.index not in broken]


def _decode(content: bytes, file: str) -> str | Diagnostic:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", "replace")
        line, column = find_position(before, len(before))
        span = Span(file, line, column, line, column + 1)
        message = f"the file is not UTF-8 text: byte {error.start} is 0x{content[error.start]:02x}"
        return make_diagnostic("encoding", message, help="save it as UTF-8").in_file(file, span=span)


def _parse_text(text: str, file: str) -> tuple[list[Document], list[Diagnostic], bool]:
    """Return the documents, the problems, and whether the text was read to its end."""
    if file.lower().endswith(".json") or text.lstrip()[:1] in ("{", "["):
        documents, found, complete = _parse_json(text, file)
        if file.lower().endswith(".json") or (documents and not found):
            return documents, found, complete
    return _parse_yaml(text, file)


def _parse_yaml(text: str, file: str) -> tuple[list[Document], list[Diagnostic], bool]:
    values, diagnostics, complete = read_yaml(text, file)
    documents = [Document(file, number, text, "yaml", data) for number, data in values if data is not None]
    return documents, diagnostics, complete


def _parse_json(text: str, file: str) -> tuple[list[Document], list[Diagnostic], bool]:
    try:
        data, problems = read_json(text)
    except json.JSONDecodeError as error:
        span = make_span(LineIndex(text), file, error.pos, error.pos + 1)
        found = make_diagnostic("yaml-syntax", f"invalid JSON: {error.msg}")
        return [], [found.in_file(file, span=span)], False
    documents = [] if data is None else [Document(file, 0, text, "json", data)]
    lines = LineIndex(text) if problems else None
    diagnostics = [_json_diagnostic(problem, lines, file) for problem in problems if lines]
    return documents, diagnostics, data is not None


def _json_diagnostic(problem: JsonProblem, lines: LineIndex, file: str) -> Diagnostic:
    first = problem.first
    related = (Related("first written here", problem.path, make_span(lines, file, *first)),) if first else ()
    span = make_span(lines, file, *problem.range)
    found = make_diagnostic(problem.code, problem.message, problem.path, help=problem.help, related=related)
    return found.in_file(file, span=span)
