"""Paths in, manifests and every problem of every file out: the part of the program that needs no database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .diagnostic import Diagnostic, Related, Severity, make_diagnostic
from .document import MAX_FILE_BYTES, Document, locate_diagnostics, parse_documents
from .errors import UsageError
from .expand import expand_manifest
from .files import find_manifests, read_manifest, read_schema
from .lint import Uniqueness, check_manifest
from .manifest import Manifest, parse_manifest
from .schema import Schema, check_schema
from .spec import WorkflowSpec

STDIN = "-"
_TOP_LEVEL = re.compile(rb"""^["']?(version|workflows)["']?[ \t]*:""", re.MULTILINE)


class Source(NamedTuple):
    """A file to read. `chosen` files were named by the user; others must prove to be manifests."""

    name: str  # as the user wrote it
    path: Path | None  # None: standard input
    content: bytes
    chosen: bool


class LoadedManifest(NamedTuple):
    manifest: Manifest
    path: Path | None  # None: standard input
    alone: bool  # the only manifest of its file

    @property
    def workflows(self) -> int:
        return len(self.manifest.entries)


@dataclass(slots=True)
class Validation:
    """The manifests that were read and every problem found, sorted by place."""

    files: int = 0
    manifests: list[LoadedManifest] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    documents: dict[tuple[str, int], Document] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)  # by file, for showing the line

    @property
    def workflows(self) -> int:
        return sum(loaded.workflows for loaded in self.manifests)

    @property
    def errors(self) -> int:
        return sum(diagnostic.severity is Severity.ERROR for diagnostic in self.diagnostics)

    @property
    def warnings(self) -> int:
        return len(self.diagnostics) - self.errors


def validate_files(paths: Sequence[str], stdin: bytes = b"") -> Validation:
    """Read and check every manifest that the paths stand for: files, folders, `-` for `stdin`.

    Raises: UsageError when a path cannot be read or no manifest is found.
    """
    validation = Validation()
    uniqueness = Uniqueness()
    for source in _read_sources(paths, stdin):
        _validate_source(source, validation, uniqueness)
    if not validation.files:
        raise UsageError(
            f"no manifest found in {', '.join(paths)}",
            "a manifest is a YAML file with `version` and `workflows` at its top level",
        )
    validation.diagnostics = locate(validation.documents, validation.diagnostics)
    return validation


def _read_sources(paths: Sequence[str], stdin: bytes) -> Iterable[Source]:
    seen: set[Path] = set()
    for name in paths:
        if name == STDIN:
            yield Source("<stdin>", None, stdin, chosen=True)
            continue
        chosen = not Path(name).is_dir()
        for path in find_manifests(Path(name)):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield Source(str(path), path, read_manifest(path, MAX_FILE_BYTES), chosen)


def _validate_source(source: Source, validation: Validation, uniqueness: Uniqueness) -> None:
    if not source.chosen and {found.lower() for found in _TOP_LEVEL.findall(source.content)} != {
        b"version",
        b"workflows",
    }:
        return
    documents, diagnostics = parse_documents(source.content, source.name)
    if not source.chosen and not diagnostics:
        documents = [document for document in documents if _is_manifest(document)]
        if not documents:
            return
    validation.files += 1
    validation.diagnostics += diagnostics
    if diagnostics:  # a broken file may have no document to take the lines from
        validation.texts[source.name] = source.content.decode("utf-8", "replace")
    if not documents and not diagnostics:
        validation.diagnostics.append(
            make_diagnostic(
                "not-a-manifest",
                "the file is empty",
                file=source.name,
                help="a manifest starts with `version: 1`, `name: …` and `workflows:`",
            )
        )
    for document in documents:
        validation.documents[source.name, document.index] = document
        validation.texts.setdefault(source.name, document.text)
        found = check_schema(document.data, manifest_schema())
        if not any(diagnostic.severity is Severity.ERROR for diagnostic in found):
            manifest = parse_manifest(document)
            found += check_manifest(manifest, uniqueness)
            validation.manifests.append(LoadedManifest(manifest, source.path, len(documents) == 1))
        validation.diagnostics += (
            replace(diagnostic, file=diagnostic.file or source.name, document=document.index)
            for diagnostic in found
        )


def _is_manifest(document: Document) -> bool:
    return isinstance(document.data, dict) and {"version", "workflows"} <= document.data.keys()


@cache
def manifest_schema() -> Schema:
    return Schema(read_schema("manifest.v1"))


def locate(documents: dict[tuple[str, int], Document], diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics with their places in the text, and the places of what they relate to, sorted."""
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
    asked = Diagnostic(diagnostic.code, related.message, related.path)
    return replace(related, span=locate_diagnostics(document, [asked])[0].span)


def specs_of(manifest: Manifest) -> Iterator[WorkflowSpec]:
    """The workflows of a manifest that validation has accepted, in manifest order."""
    return expand_manifest(manifest, report=_not_expected)


def _not_expected(diagnostic: Diagnostic) -> None:
    raise AssertionError(f"a validated manifest did not expand: {diagnostic}")
