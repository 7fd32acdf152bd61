"""Find the places of diagnostics in the texts of their documents. Every file is read once for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..core.diagnostic import SOURCE_IN_QUOTES, Diagnostic, Fragment, Related, Span, ValuePath
from ..core.lines import LineIndex
from .document import Document
from .positions import Place, find_fragment, find_json_places
from .yaml_positions import find_yaml_places

_Key = tuple[str, int]  # of a document: its file and its number
_PLAIN_SCALAR = re.compile(r"[-+.\w]{1,60}")  # as numbers, booleans and null are written


def locate_all(documents: Mapping[_Key, Document], diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return the diagnostics with their spans and those of related places, sorted by place."""
    located = _locate(documents, [*diagnostics])
    return sorted(located, key=lambda found: found.span or (found.file or "", 0, 0, 0, 0))


def locate_diagnostics(document: Document, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return the diagnostics of one document with their spans and those of related places, in their order."""
    found = [replace(one, file=document.file, document=document.index) for one in diagnostics]
    return _locate({(document.file, document.index): document}, found)


def _locate(documents: Mapping[_Key, Document], diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    wanted: dict[_Key, set[ValuePath]] = {}
    for diagnostic in diagnostics:
        if diagnostic.span is None:
            wanted.setdefault(_key(diagnostic), set()).add(diagnostic.path)
        for related in diagnostic.related:
            if related.span is None:
                wanted.setdefault(_key(diagnostic, related), set()).add(related.path)
    places = _find_places(documents, wanted)
    return [_place(diagnostic, places) for diagnostic in diagnostics]


def _key(diagnostic: Diagnostic, related: Related | None = None) -> _Key:
    """Return the document of a diagnostic, or of a place that is related to it."""
    if related is None or related.file is None:
        return diagnostic.file or "", diagnostic.document
    return related.file, related.document


class _Places:
    """The places of the paths of one document that are needed."""

    def __init__(self, document: Document, places: Mapping[ValuePath, Place]) -> None:
        self._text = document.text
        self._file = document.file
        self._places = places
        self._lines: LineIndex | None = None

    def span(self, path: ValuePath, *, at_key: bool = False, fragment: Fragment | None = None) -> Span | None:
        """Return the span of a value, of its key, or of a part of it."""
        at = self._places.get(path)
        if at is None:
            return None
        if fragment is not None and at.exact:
            self._lines = self._lines or LineIndex(self._text)
            return find_fragment(self._text, self._file, at, fragment, self._lines)
        return at.key if at_key and at.key is not None else at.value

    def source(self, path: ValuePath) -> str:
        """Return the text of a value as it is written; an empty text if it is not known."""
        at = self._places.get(path)
        return self._text[at.start : at.end] if at is not None and at.exact else ""


def _find_places(
    documents: Mapping[_Key, Document], wanted: Mapping[_Key, set[ValuePath]]
) -> dict[_Key, _Places]:
    found: dict[_Key, _Places] = {}
    files: dict[str, dict[int, set[ValuePath]]] = {}
    for key, paths in wanted.items():
        if (document := documents.get(key)) is None:
            continue
        if document.format == "json":
            found[key] = _Places(document, find_json_places(document.text, document.file, paths))
        else:
            files.setdefault(document.file, {})[document.index] = paths
    for file, by_number in files.items():
        text = documents[file, min(by_number)].text
        for number, places in find_yaml_places(text, file, by_number).items():
            found[file, number] = _Places(documents[file, number], places)
    return found


def _place(diagnostic: Diagnostic, places: Mapping[_Key, _Places]) -> Diagnostic:
    def relate(related: Related) -> Related:
        there = places.get(_key(diagnostic, related))
        return related if related.span or there is None else replace(related, span=there.span(related.path))

    help, span = diagnostic.help, diagnostic.span
    if span is None and (here := places.get(_key(diagnostic))) is not None:
        span = here.span(diagnostic.path, at_key=diagnostic.at_key, fragment=diagnostic.fragment)
        if help == SOURCE_IN_QUOTES and _PLAIN_SCALAR.fullmatch(source := here.source(diagnostic.path)):
            help = f'{SOURCE_IN_QUOTES}: "{source}"'
    return replace(diagnostic, help=help, span=span, related=tuple(map(relate, diagnostic.related)))
