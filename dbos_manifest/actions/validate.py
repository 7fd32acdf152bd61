"""Read manifests and find every problem of their files, without a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..checks.forked_process import ForkedCheck, can_fork
from ..checks.lint import check_expansion, find_origin
from ..checks.uniqueness import Uniqueness
from ..core.diagnostic import Diagnostic, Severity, Span, ValuePath, make_diagnostic
from ..core.errors import InvalidManifest, UsageError
from ..core.work_budget import MAX_WORKFLOWS, WorkBudget, WorkBudgetExceeded, limited_work
from ..expansion.expansion import Expansion
from ..expansion.matrix import Matrix
from ..expansion.selection import Selection
from ..files.folder_tree import FolderTree
from ..files.manifest_schema import check_option, manifest_schema
from ..files.sources import Source, parse_source, read_sources
from ..manifest.contracts import Contracts
from ..manifest.manifest import Manifest, parse_manifest
from ..manifest.variables import Given, check_given
from ..reading.document import Document
from ..reading.json_schema import check_schema
from ..reading.places import locate_all
from ..workflows.batch import Batch, make_batches
from ..workflows.spec import WorkflowSpec

FORK_FROM = 20_000  # workflows: their check takes a second, a fork milliseconds


class LoadedManifest(NamedTuple):
    """A manifest that can be expanded, and the selection of its workflows."""

    expansion: Expansion
    path: Path | None  # None for standard input
    alone: bool  # whether it is the only manifest of its file
    selection: Selection | None = None

    @property
    def manifest(self) -> Manifest:
        return self.expansion.manifest

    @property
    def name(self) -> str:
        return self.expansion.manifest.name

    @property
    def file(self) -> str:
        """Return the path as the user wrote it."""
        return self.expansion.manifest.document.file

    @property
    def document(self) -> int:
        return self.expansion.manifest.document.index

    @property
    def queues(self) -> dict[str, bool]:
        return self.expansion.manifest.queues

    @property
    def complete(self) -> bool:
        """Return whether `specs` are all workflows of the manifest."""
        return self.selection is None

    def specs(self) -> Iterator[WorkflowSpec]:
        return specs_of(self)

    def batches(self, size: int) -> Iterator[Batch]:
        if self.selection is None:
            return self.expansion.batches(size, _refuse)
        return make_batches(self.specs(), size)

    def written_at(self, path: ValuePath, workflow: str | None) -> ValuePath:
        """Find where the option of a workflow that `path` leads to is written; other paths stay."""
        return find_origin(self.expansion, workflow, path) if len(path) > 2 else path

    def locate(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        placed = [
            replace(found, path=self.written_at(found.path, None), file=self.file, document=self.document)
            for found in diagnostics
        ]
        return locate_all({(self.file, self.document): self.manifest.document}, placed)

    def matrix_of(self, entry: int) -> Matrix | None:
        return self.expansion.matrix_of(entry)


@dataclass(slots=True)
class Validation:
    """The manifests that were read, and every problem, sorted by place."""

    files: int = 0
    inputs: list[Path] = field(default_factory=list)  # every file that was read
    manifests: list[LoadedManifest] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    documents: dict[tuple[str, int], Document] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)  # by file, to print lines of them
    notes: list[str] = field(default_factory=list)  # what was not checked or not used
    selected: int = 0  # workflows
    unsettled: Callable[[], list[Diagnostic]] | None = None  # waits for the checks of a forked process

    @property
    def workflows(self) -> int:
        """Return the number of workflows, selected or not."""
        return sum(loaded.expansion.count for loaded in self.manifests)

    @property
    def unchecked(self) -> dict[str, frozenset[str]]:
        """Return by manifest the variables that entries need and that have no value."""
        return {
            loaded.name: frozenset[str]().union(*loaded.expansion.unchecked.values())
            for loaded in self.manifests
            if loaded.expansion.unchecked
        }

    def settle(self) -> bool:
        """Wait for the checks in the forked process, and return whether they added diagnostics."""
        unsettled, self.unsettled = self.unsettled, None
        found = unsettled() if unsettled is not None else []
        self.diagnostics += locate_all(self.documents, found)
        return bool(found)

    @property
    def errors(self) -> int:
        """Return the number of errors."""
        return sum(diagnostic.severity is Severity.ERROR for diagnostic in self.diagnostics)

    @property
    def warnings(self) -> int:
        """Return the number of warnings."""
        return len(self.diagnostics) - self.errors


def validate_files(
    paths: Sequence[str],
    stdin: bytes = b"",
    given: Given = Given(),  # noqa: B008 - it is immutable
    selection: Selection | None = None,
    *,
    max_workflows: int = MAX_WORKFLOWS,
    fork: bool = False,
    skip_others: bool = False,
) -> Validation:
    """Read and check every manifest of the paths: files, folders, or `-` for `stdin`.

    With `skip_others`, files that do not look like manifests are skipped, even if they are in `paths`.
    All manifests together may have `max_workflows`, and may take as much work as so many need.
    With `fork`, many workflows may be checked in another process while the caller continues. Then the caller
    must call `settle` before it changes anything.
    Shape:  of workflows that are not selected, only IDs and expressions are checked.
    Raises: UsageError when a path cannot be read, no manifest is found, a variable is unknown, or the
            selection matches nothing.
    """
    may_fork = fork and selection is None and can_fork()
    validator = _Validator(given, selection, WorkBudget(max_workflows), may_fork=may_fork)
    with closing(validator):
        for source in read_sources(paths, stdin, skip_others=skip_others):
            validator.read(source)
        validation = validator.validation
        if not validation.files and not skip_others:
            raise UsageError(
                f"no manifest found in {', '.join(paths)}",
                "pass a YAML or JSON file that has `version` and `workflows` at the top level",
            )
        if validation.diagnostics or not validator.postponed:
            validation.diagnostics += validator.finish()
        else:
            validation.unsettled = validator.finish_in_fork()
    validation.diagnostics = locate_all(validation.documents, validation.diagnostics)
    for name, missing in validation.unchecked.items():
        values = ", ".join(f"`{variable}`" for variable in sorted(missing))
        what = f"`{name}`: no value for {values}, so expressions that use it were not checked"
        validation.notes.append(f"{what}; set --var {min(missing)}=…")
    if not validation.errors:
        validation.notes += _find_unused_variables(validation, given)
        if selection is not None:
            expansions = [loaded.expansion for loaded in validation.manifests]
            selection.check(expansions, validation.selected, validator.listed)
    return validation


def _find_unused_variables(validation: Validation, given: Given) -> list[str]:
    declared = {name for loaded in validation.manifests for name in _declared(loaded.manifest)}
    unused = check_given(given, declared)
    return [f"no manifest declares the variables {', '.join(unused)} in the variables file"] if unused else []


def _declared(manifest: Manifest) -> set[str]:
    return {*manifest.variables.values, *manifest.variables.missing}


class _Validator:
    """Reads and checks the sources of one `validate_files`."""

    def __init__(
        self, given: Given, selection: Selection | None, budget: WorkBudget, *, may_fork: bool
    ) -> None:
        self.validation = Validation()
        self.postponed: list[LoadedManifest] = []
        self.listed: set[str] = set()  # the IDs of the selection that the manifests have
        self._uniqueness = Uniqueness()
        self._budget = budget
        self._contracts = Contracts(budget)
        self._is_exhausted = False
        self._may_fork = may_fork
        self._given = given
        self._selection = selection

    def read(self, source: Source) -> None:
        """Read a source, and check its manifests unless their check is postponed."""
        try:
            with limited_work(self._budget):
                documents, diagnostics = parse_source(source)
        except WorkBudgetExceeded:
            start = Span(source.name, 1, 1, 1, 1)
            documents, diagnostics = [], [one.in_file(source.name, span=start) for one in self._exhausted()]
        if not documents and not diagnostics:
            return
        validation = self.validation
        if source.path is not None:
            validation.inputs.append(source.path)
        validation.files += 1
        validation.diagnostics += diagnostics
        if diagnostics:  # an invalid file may have no document to take the lines from
            validation.texts[source.name] = source.content.decode("utf-8-sig", "replace")
        for document in documents:
            validation.documents[source.name, document.index] = document
            validation.texts.setdefault(source.name, document.text)
            check = partial(self._check, source, document, len(documents) == 1)
            validation.diagnostics += self._within_budget(document, check)

    def _check(self, source: Source, document: Document, alone: bool) -> list[Diagnostic]:
        found = _of_document(document, check_schema(document.data, manifest_schema()))
        if any(diagnostic.severity is Severity.ERROR for diagnostic in found):
            return found
        tree = FolderTree(source.path.parent if source.path is not None else Path())
        manifest = parse_manifest(document, tree, self._given)
        loaded = LoadedManifest(
            Expansion(manifest, check_option, self._contracts), source.path, alone, self._selection
        )
        self.validation.manifests.append(loaded)
        if self._may_fork and not loaded.expansion.problems and loaded.expansion.count >= FORK_FROM:
            self.postponed.append(loaded)
            return found
        return [*self._check_workflows(loaded), *found]

    def _check_workflows(self, loaded: LoadedManifest) -> list[Diagnostic]:
        checked = check_expansion(loaded.expansion, self._selection, self._uniqueness)
        self.validation.selected += checked.selected
        self.listed |= checked.listed
        return _of_document(loaded.manifest.document, checked.diagnostics)

    def _within_budget(self, document: Document, check: Callable[[], list[Diagnostic]]) -> list[Diagnostic]:
        """Return what a check finds; when no work is left, the first such check reports that."""
        try:
            with limited_work(self._budget):
                return check()
        except WorkBudgetExceeded:
            return _of_document(document, self._exhausted())

    def _exhausted(self) -> list[Diagnostic]:
        """Return the diagnostic that no work is left, the first time."""
        first, self._is_exhausted = not self._is_exhausted, True
        return [_too_much_work(self._budget)] if first else []

    def finish(self) -> list[Diagnostic]:
        """Make the postponed checks and find duplicates."""
        found: list[Diagnostic] = []
        for loaded in self.postponed:
            check = partial(self._check_workflows, loaded)
            found += self._within_budget(loaded.manifest.document, check)
        if self.validation.manifests:
            last = self.validation.manifests[-1].manifest.document
            found += self._within_budget(last, self._uniqueness.diagnostics)
        return found

    def finish_in_fork(self) -> Callable[[], list[Diagnostic]]:
        """Start `finish` in another process, and return a function that waits for its result."""
        check = ForkedCheck(lambda: not self.finish())

        def wait() -> list[Diagnostic]:
            if check.passed():
                return []
            with closing(self):
                return self.finish()

        return wait

    def close(self) -> None:
        """End the process that checks contracts."""
        self._contracts.close()


def _too_much_work(budget: WorkBudget) -> Diagnostic:
    message = "checking the manifests takes more work than one call may do"
    more = f"--max-workflows {2 * max(budget.max_workflows, MAX_WORKFLOWS)}"
    help = f"name fewer manifests, shorten expressions and texts, or allow more work with `{more}`"
    return make_diagnostic("too-large", message, ("workflows",), help=help)


def _of_document(document: Document, found: Iterable[Diagnostic]) -> list[Diagnostic]:
    return [replace(one, file=one.file or document.file, document=document.index) for one in found]


def specs_of(loaded: LoadedManifest) -> Iterator[WorkflowSpec]:
    """Yield the selected workflows of a validated manifest, in manifest order."""
    expansion, selection = loaded.expansion, loaded.selection
    specs = expansion.specs(_refuse)
    if selection is None:
        return specs
    return (spec for spec in specs if selection.matches(expansion, spec))


def _refuse(diagnostic: Diagnostic, label: object) -> None:
    raise InvalidManifest([diagnostic])  # a file of an axis changed after it was validated
