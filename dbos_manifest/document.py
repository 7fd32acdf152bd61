"""Bytes of YAML or JSON in, plain JSON values and the problems of the text out, with their places."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from .diagnostic import Diagnostic, Fragment, Path, Related, Span, Target, make_diagnostic
from .json_text import read_json
from .yaml_builder import Builder, Refused, Syntax
from .yaml_places import find_fragment, find_places

MAX_FILE_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file. Places are not kept: they are looked up again for what goes wrong."""

    file: str
    index: int  # among the file's documents, from 0
    text: str  # of the whole file
    format: str  # yaml | json
    data: Any


def parse_documents(content: bytes, file: str) -> tuple[list[Document], list[Diagnostic]]:
    """The documents of a file, empty ones left out, and every problem of its text.

    JSON is read by JSON's own rules, since a YAML 1.1 parser misreads some of its escapes.
    """
    if len(content) > MAX_FILE_BYTES:
        message = f"the file has more than {MAX_FILE_BYTES // 2**20} MiB"
        return [], [make_diagnostic("too-large", message, file=file, help="split it into several files")]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = len(
            content[content.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")
        )
        span = Span(file, line, column + 1, line, column + 2)
        message = f"the file is not UTF-8 text: byte {error.start} is 0x{content[error.start]:02x}"
        return [], [make_diagnostic("encoding", message, span=span, file=file, help="save it as UTF-8")]
    if file.endswith(".json") or text.lstrip()[:1] in ("{", "["):
        documents, found = _parse_json(text, file)
        if file.endswith(".json") or documents:
            return documents, found
    return _parse_yaml(text, file)


def _parse_yaml(text: str, file: str) -> tuple[list[Document], list[Diagnostic]]:
    documents: list[Document] = []
    builder = Builder(text, file)
    try:
        for index, data in builder.documents():
            if data is not None:
                documents.append(Document(file, index, text, "yaml", data))
    except Syntax as error:
        span = Span(file, error.line, error.column, error.line, error.column + 1)
        found = make_diagnostic("yaml-syntax", error.message, span=span, file=file, help=error.help)
        return documents, [*builder.diagnostics, found]
    except Refused:
        pass  # told by the builder, and nothing after it can be read
    broken = {d.document for d in builder.diagnostics if d.severity.value == "error"}
    return [d for d in documents if d.index not in broken], builder.diagnostics


def _parse_json(text: str, file: str) -> tuple[list[Document], list[Diagnostic]]:
    try:
        data, problems = read_json(text)
    except json.JSONDecodeError as error:
        span = Span(file, error.lineno, error.colno, error.lineno, error.colno + 1)
        return [], [make_diagnostic("yaml-syntax", f"not JSON: {error.msg}", span=span, file=file)]
    if problems:
        return [], [make_diagnostic(code, message, file=file) for code, message in problems]
    return ([] if data is None else [Document(file, 0, text, "json", data)]), []


def locate_diagnostics(document: Document, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics with their places, and those of what they relate to in this file."""
    found = list(diagnostics)
    wanted: set[Path] = {d.path for d in found}
    wanted |= {r.path for d in found for r in d.related if r.file in (None, document.file)}
    places = find_places(document.text, document.file, document.index, wanted)

    def place(path: Path, target: Target, fragment: Fragment | None = None) -> Span | None:
        at = places.get(path)
        if at is None:
            return None
        if fragment is not None and at.exact:
            return find_fragment(document.text, document.file, at, fragment)
        return at.key if target is Target.KEY and at.key is not None else at.value

    def relate(related: Related) -> Related:
        here = related.span is None and related.file in (None, document.file)
        return replace(related, span=place(related.path, Target.VALUE)) if here else related

    return [
        replace(
            d,
            span=d.span or place(d.path, d.target, d.fragment),
            file=document.file,
            document=document.index,
            related=tuple(map(relate, d.related)),
        )
        for d in found
    ]
