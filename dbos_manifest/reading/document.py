"""Parse YAML and JSON files to documents of plain values, and locate diagnostics in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.diagnostic import (
    SOURCE_IN_QUOTES,
    Diagnostic,
    Fragment,
    Related,
    Severity,
    Span,
    ValuePath,
    make_diagnostic,
)
from ..core.lines import LineIndex, find_position
from ..core.portable_json import JsonProblem, read_json
from .looks_like_manifest import looks_like_manifest, text_looks_like_manifest
from .positions import find_fragment, find_json_places, make_span
from .yaml_composer import read_yaml
from .yaml_positions import find_yaml_places

MAX_FILE_BYTES = 256 * 2**20
_PLAIN_SCALAR = re.compile(r"[-+.\w]{1,60}")  # as numbers, booleans and null are written


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


def locate_diagnostics(document: Document, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return the diagnostics with their places and the places of related paths in this file."""
    found = list(diagnostics)
    wanted: set[ValuePath] = {d.path for d in found}
    wanted |= {r.path for d in found for r in d.related if r.file in (None, document.file)}
    if document.format == "json":
        places = find_json_places(document.text, document.file, wanted)
    else:
        places = find_yaml_places(document.text, document.file, document.index, wanted)

    def place(path: ValuePath, at_key: bool = False, fragment: Fragment | None = None) -> Span | None:
        at = places.get(path)
        if at is None:
            return None
        if fragment is not None and at.exact:
            return find_fragment(document.text, document.file, at, fragment)
        return at.key if at_key and at.key is not None else at.value

    def relate(related: Related) -> Related:
        here = related.span is None and related.file in (None, document.file)
        return replace(related, span=place(related.path)) if here else related

    def advise(found: Diagnostic) -> str | None:
        at = places.get(found.path)
        source = document.text[at.start : at.end] if at is not None and at.exact else ""
        known = found.help == SOURCE_IN_QUOTES and _PLAIN_SCALAR.fullmatch(source)
        return f'{SOURCE_IN_QUOTES}: "{source}"' if known else found.help

    return [
        replace(
            d,
            help=advise(d),
            span=d.span or place(d.path, d.at_key, d.fragment),
            file=document.file,
            document=document.index,
            related=tuple(map(relate, d.related)),
        )
        for d in found
    ]


def locate_all(documents: dict[tuple[str, int], Document], diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """Return the diagnostics with their spans and those of related places, sorted by place."""
    by_document: dict[tuple[str, int], list[Diagnostic]] = {}
    located = []
    for diagnostic in diagnostics:
        key = (diagnostic.file or "", diagnostic.document)
        if diagnostic.span is None and key in documents:
            by_document.setdefault(key, []).append(diagnostic)
        else:
            located.append(diagnostic)
    for key, group in by_document.items():
        located += locate_diagnostics(documents[key], group)
    located = [_locate_related(documents, diagnostic) for diagnostic in located]
    return sorted(located, key=lambda found: found.span or (found.file or "", 0, 0, 0, 0))


def _locate_related(documents: dict[tuple[str, int], Document], diagnostic: Diagnostic) -> Diagnostic:
    if all(related.span is not None for related in diagnostic.related):
        return diagnostic
    return replace(diagnostic, related=tuple(_place(documents, diagnostic, r) for r in diagnostic.related))


def _place(documents: dict[tuple[str, int], Document], diagnostic: Diagnostic, related: Related) -> Related:
    document = documents.get((related.file or diagnostic.file or "", related.document))
    if related.span is not None or document is None:
        return related
    (located,) = locate_diagnostics(document, [Diagnostic(diagnostic.code, related.message, related.path)])
    return replace(related, span=located.span)
