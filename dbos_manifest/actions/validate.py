"""Paths in, manifests and every problem of every file out: the part of the program that needs no database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ..checks.forked import Beside, is_possible
from ..checks.lint import check_expansion, find_origin
from ..checks.uniqueness import Uniqueness
from ..core.diagnostic import SOURCE_IN_QUOTES, Diagnostic, Related, Severity
from ..core.diagnostic import Path as DiagnosticPath
from ..core.errors import InvalidManifest, UsageError
from ..expansion.expansion import Expansion
from ..expansion.matrix import Matrix
from ..expansion.selection import Selection
from ..files.bundled import read_schema
from ..files.folder_tree import FolderTree
from ..files.sources import Source, parse_source, read_sources
from ..manifest.manifest import Manifest, parse_manifest
from ..manifest.variables import Given, check_given
from ..reading.document import Document, locate_diagnostics
from ..reading.json_schema import Schema, check_schema
from ..workflows.batch import Batch, make_batches
from ..workflows.spec import WorkflowSpec

BESIDE_FROM = 20_000  # workflows: a second's work, and a copy of the process takes milliseconds


class LoadedManifest(NamedTuple):
    """A manifest that was read, ready to expand, and what of it this call is about."""

    expansion: Expansion
    path: Path | None  # None: standard input
    alone: bool  # the only manifest of its file
    selection: Selection | None = None

    @property
    def manifest(self) -> Manifest:
        return self.expansion.manifest

    @property
    def name(self) -> str:
        return self.expansion.manifest.name

    @property
    def file(self) -> str:
        """As the user wrote it."""
        return self.expansion.manifest.document.file

    @property
    def document(self) -> int:
        return self.expansion.manifest.document.index

    @property
    def queues(self) -> dict[str, bool]:
        return self.expansion.manifest.queues

    @property
    def complete(self) -> bool:
        """Whether `specs` are all of the manifest's."""
        return self.selection is None

    def specs(self) -> Iterator[WorkflowSpec]:
        return specs_of(self)

    def batches(self, size: int) -> Iterator[Batch]:
        if self.selection is None:
            return self.expansion.batches(size, _not_expected)
        return make_batches(self.specs(), size)

    def written_at(self, path: DiagnosticPath, workflow: str | None) -> DiagnosticPath:
        """Find where the option of a workflow that `path` leads to is written; other paths stay."""
        return find_origin(self.expansion, workflow, path) if len(path) > 2 else path

    def locate(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        placed = [
            replace(found, path=self.written_at(found.path, None), file=self.file, document=self.document)
            for found in diagnostics
        ]
        return locate({(self.file, self.document): self.manifest.document}, placed)

    def matrix_of(self, entry: int) -> Matrix | None:
        return self.expansion.matrix_of(entry)


@dataclass(slots=True)
class Validation:
    """The manifests that were read and every problem found, sorted by place."""

    files: int = 0
    inputs: list[Path] = field(default_factory=list)  # every file that was read, or is named to be
    manifests: list[LoadedManifest] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    documents: dict[tuple[str, int], Document] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)  # by file, for showing the line
    notes: list[str] = field(default_factory=list)  # what was not checked, or not used
    selected: int = 0  # workflows that the selection chooses, if there is one
    unsettled: Callable[[], list[Diagnostic]] | None = None  # gives what a check beside this process found

    @property
    def workflows(self) -> int:
        return sum(loaded.expansion.count for loaded in self.manifests)

    @property
    def unchecked(self) -> dict[str, frozenset[str]]:
        """The variables that were not given though entries need them, by manifest."""
        return {
            loaded.name: frozenset[str]().union(*loaded.expansion.unchecked.values())
            for loaded in self.manifests
            if loaded.expansion.unchecked
        }

    def settle(self) -> bool:
        """Wait for the checks beside this process; whether they added diagnostics."""
        unsettled, self.unsettled = self.unsettled, None
        found = unsettled() if unsettled is not None else []
        self.diagnostics += locate(self.documents, found)
        return bool(found)

    @property
    def errors(self) -> int:
        return sum(diagnostic.severity is Severity.ERROR for diagnostic in self.diagnostics)

    @property
    def warnings(self) -> int:
        return len(self.diagnostics) - self.errors


def validate_files(
    paths: Sequence[str],
    stdin: bytes = b"",
    given: Given = Given(),  # noqa: B008 - it has nothing that could change
    selection: Selection | None = None,
    *,
    beside: bool = False,
    skip_others: bool = False,
) -> Validation:
    """Read and check every manifest that the paths stand for: files, folders, `-` for `stdin`.

    With `skip_others`, files that do not look like manifests are skipped also where they are named.
    With `beside` many workflows may be checked in a process of their own while the caller continues: nothing
    may be changed before `settle`.
    Shape:  of a workflow that the selection leaves out, only what its id and expressions need is checked.
    Raises: UsageError when a path cannot be read, no manifest is found, a variable is unknown, or the
            selection chooses nothing.
    """
    reading = _Reading(given, selection, beside=beside and selection is None and is_possible())
    for source in read_sources(paths, stdin, skip_others=skip_others):
        reading.read(source)
    validation = reading.validation
    if not validation.files and not skip_others:
        raise UsageError(
            f"no manifest found in {', '.join(paths)}",
            "name a YAML or JSON file with `version` and `workflows` at its top level",
        )
    if validation.diagnostics or not reading.postponed:
        validation.diagnostics += reading.check_workflows()
    else:
        validation.unsettled = reading.check_beside()
    validation.diagnostics = locate(validation.documents, validation.diagnostics)
    for name, missing in validation.unchecked.items():
        values = ", ".join(f"`{variable}`" for variable in sorted(missing))
        what = f"`{name}`: no value for {values}, so expressions that use it were not checked"
        validation.notes.append(f"{what}; give --var {min(missing)}=…")
    if not validation.errors:
        _check_use(validation, given, selection)
    return validation


def _check_use(validation: Validation, given: Given, selection: Selection | None) -> None:
    """What was given beside the files is used by them, all of it."""
    declared = {name for loaded in validation.manifests for name in _declared(loaded.manifest)}
    if unused := check_given(given, declared):
        validation.notes.append(f"no manifest has the variables {', '.join(unused)} of the variables file")
    if selection is not None:
        selection.check([loaded.expansion for loaded in validation.manifests], validation.selected)


def _declared(manifest: Manifest) -> set[str]:
    return {*manifest.variables.values, *manifest.variables.missing}


class _Reading:
    """One call of validate_files."""

    def __init__(self, given: Given, selection: Selection | None, *, beside: bool) -> None:
        self.validation = Validation()
        self.postponed: list[LoadedManifest] = []
        self._uniqueness = Uniqueness()
        self._beside = beside
        self._given = given
        self._selection = selection

    def read(self, source: Source) -> None:
        documents, diagnostics = parse_source(source)
        if not documents and not diagnostics:
            return
        validation = self.validation
        if source.path is not None:
            validation.inputs.append(source.path)
        validation.files += 1
        validation.diagnostics += diagnostics
        if diagnostics:  # a broken file may have no document to take the lines from
            validation.texts[source.name] = source.content.decode("utf-8-sig", "replace")
        for document in documents:
            self._check(source, document, len(documents) == 1)

    def _check(self, source: Source, document: Document, alone: bool) -> None:
        validation = self.validation
        validation.documents[source.name, document.index] = document
        validation.texts.setdefault(source.name, document.text)
        found = check_schema(document.data, manifest_schema())
        if not any(diagnostic.severity is Severity.ERROR for diagnostic in found):
            tree = FolderTree(source.path.parent if source.path is not None else Path())
            manifest = parse_manifest(document, tree, self._given)
            loaded = LoadedManifest(Expansion(manifest, check_option), source.path, alone, self._selection)
            validation.manifests.append(loaded)
            good = not loaded.expansion.problems.merge()
            if self._beside and good and loaded.expansion.count >= BESIDE_FROM:
                self.postponed.append(loaded)
            else:
                validation.diagnostics += self._check_workflows(loaded)
        validation.diagnostics += _of_document(document, found)

    def _check_workflows(self, loaded: LoadedManifest) -> list[Diagnostic]:
        choose = self._choose if self._selection is not None else None
        found = check_expansion(loaded.expansion, choose, self._uniqueness)
        return _of_document(loaded.manifest.document, found)

    def check_workflows(self) -> list[Diagnostic]:
        """What only all workflows together tell, and whatever was postponed."""
        found = [diagnostic for loaded in self.postponed for diagnostic in self._check_workflows(loaded)]
        return [*found, *self._uniqueness.diagnostics()]

    def check_beside(self) -> Callable[[], list[Diagnostic]]:
        """Begin `check_workflows` in another process; what is returned waits for it."""
        beside = Beside(lambda: not self.check_workflows())
        return lambda: [] if beside.found_nothing() else self.check_workflows()

    def _choose(self, expansion: Expansion, spec: WorkflowSpec) -> bool:
        assert self._selection is not None
        chosen = self._selection.matches(expansion, spec)
        self.validation.selected += chosen
        return chosen


def _of_document(document: Document, found: Iterable[Diagnostic]) -> list[Diagnostic]:
    return [replace(one, file=one.file or document.file, document=document.index) for one in found]


@cache
def manifest_schema() -> Schema:
    return Schema(json.loads(read_schema("manifest.v1")))


@cache
def _option_schema(option: str) -> Schema:
    return manifest_schema().of_option(option)


def check_option(option: str, value: Any) -> list[Diagnostic]:
    """The value that an expression gave an option, beside the manifest schema."""
    found = check_schema({option: value}, _option_schema(option))
    return [replace(diagnostic, help=_expression_help(option, diagnostic.help)) for diagnostic in found]


def _expression_help(option: str, help: str | None) -> str | None:
    """What to do about a value that an expression gave: the expression is to change, not the value."""
    if help == SOURCE_IN_QUOTES:
        return "write `| str` at the end of the expression"
    if help is not None and help.startswith(f"write `{option}: ["):
        return f'write `{option}: ["${{{{ … }}}}"]`'
    return help


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


def specs_of(loaded: LoadedManifest) -> Iterator[WorkflowSpec]:
    """The workflows of a validated manifest that the selection chooses, in manifest order."""
    expansion, selection = loaded.expansion, loaded.selection
    specs = expansion.specs(_not_expected)
    if selection is None:
        return specs
    return (spec for spec in specs if selection.matches(expansion, spec))


def _not_expected(diagnostic: Diagnostic, label: object) -> None:
    raise InvalidManifest([diagnostic])  # a file changed since it was validated
