"""Expand a manifest to its workflows, in manifest order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ..core.columns import weigh
from ..core.diagnostic import Diagnostic, ValuePath, make_diagnostic
from ..core.memory_budget import BUDGET
from ..core.work_budget import current_budget, spend, spend_bytes
from ..expressions.compiled import DiagnosticError, compile_value, contains_mark, resolve_constants
from ..expressions.syntax import MARK
from ..manifest.catalog import read_catalog
from ..manifest.contracts import Contracts
from ..manifest.manifest import Manifest
from ..workflows.batch import Batch, make_batches, resize_batches
from ..workflows.options import OPTIONS, REQUIRED_OPTIONS
from ..workflows.precedence import Layers, Option, find_workflow_name
from ..workflows.spec import WorkflowSpec, default_id, make_workflow
from .compiled_entry import (
    CompiledEntry,
    CompiledEntryByWorkflow,
    Report,
    label_binding,
    missing_option,
)
from .compiled_options import CheckOption, relocate
from .entry import (
    MAX_UNMARKED,
    find_marks,
    find_unmarked,
    has_unmarked,
    read_fields,
    read_matrix,
    variables_of,
)
from .limits import STEPS_PER_WORKFLOW, check_entry, too_many_of_call, too_many_workflows
from .matrix import Matrix

_COMPILE_STEPS = 60  # of work to compile an entry, without its expressions
_INHERITED = ("application", "runtime")  # options at the top level of a manifest


class Expansion:
    """A manifest compiled once, and expanded as often as needed, always to the same workflows.

    Problems that are known without expanding are in `problems`. If one of them is an error, expand only to
    find more problems.
    """

    def __init__(self, manifest: Manifest, check_option: CheckOption, contracts: Contracts) -> None:
        self.manifest = manifest
        self.catalog, found = read_catalog(manifest.catalog, manifest.tree, contracts)
        self.unchecked: dict[int, frozenset[str]] = {}  # by entry, the variables it needs that have no value
        self._check = check_option
        self._compiled: dict[int, CompiledEntry | CompiledEntryByWorkflow] = {}  # the others are plain
        self._broken: set[int] = set()
        self._option_weights: dict[ValuePath, int] = {}  # of those that entries share, in steps
        problems = [*found, *self._find_misplaced()]
        inherited = {key: getattr(manifest, key) for key in _INHERITED}
        self._inherited = {key: None if contains_mark(text) else text for key, text in inherited.items()}
        self._defaults, found = self._resolve_defaults()
        problems += found
        self._shared, found = read_fields(self._defaults, ("defaults",))
        problems += found
        self._defaults_vary = contains_mark(self._defaults)
        for index, entry in enumerate(manifest.entries):
            if self._defaults_vary or "matrix" in entry or contains_mark(entry):
                problems += self._compile(index, entry)
        self.too_many, self.count, found = self._check_limits()
        problems += found
        if has_unmarked(manifest.document.text):
            problems += islice(self._unmarked(), MAX_UNMARKED)
        self.problems = tuple(problems)

    def entry_count(self, index: int) -> int:
        """Return the number of workflows of an entry, without expanding."""
        if index in self._broken or index in self.unchecked:
            return 0
        compiled = self._compiled.get(index)
        return compiled.count if compiled is not None else 1

    def matrix_of(self, index: int) -> Matrix | None:
        """Return the matrix of an entry; None for an entry without one."""
        compiled = self._compiled.get(index)
        return compiled.matrix if compiled is not None else None

    def names_of(self, index: int) -> tuple[str, ...]:
        """Return the names that the bindings of an entry's workflows have cells for."""
        matrix = self.matrix_of(index)
        return matrix.names if matrix is not None else ()

    def varying(self, index: int) -> frozenset[str] | None:
        """Return the options in which an entry's workflows may differ; None for an entry of one workflow."""
        compiled = self._compiled.get(index)
        if compiled is None or compiled.matrix is None:
            return None
        return frozenset(compiled.varying)

    def label(self, spec: WorkflowSpec) -> str:
        """Return the combination of a workflow as text: `day=2026-01-01 region=eu`."""
        return label_binding(self.names_of(spec.entry), spec.binding)

    def specs(self, report: Report) -> Iterator[WorkflowSpec]:
        """Yield every workflow in manifest order; those that cannot be made are reported instead.

        Shape:  an entry with axes of sizes m and n yields m*n workflows, the first axis varying slowest.
        Units:  "30s" becomes `timeout_ms` 30000; instants are epoch milliseconds, UTC.
        """
        for index in range(len(self.manifest.entries)):
            yield from self.entry_specs(index, report)

    def batches(self, size: int, report: Report) -> Iterator[Batch]:
        """Yield the same in batches of `size`, the last one smaller."""
        return resize_batches(self._entries_in_batches(size, report), size)

    def _entries_in_batches(self, size: int, report: Report) -> Iterator[Batch]:
        few: list[WorkflowSpec] = []
        for index in range(len(self.manifest.entries)):
            if self.entry_count(index) < BUDGET.batch_size:  # not worth a batch of its own
                few += self.entry_specs(index, report)
                if len(few) >= size:
                    yield Batch.of(few)
                    few = []
            else:
                if few:
                    yield Batch.of(few)
                    few = []
                yield from self.entry_batches(index, size, report)
        if few:
            yield Batch.of(few)

    def entry_batches(self, index: int, size: int, report: Report) -> Iterator[Batch]:
        """Yield the workflows of an entry in batches of at most `size`."""
        compiled = self._compiled.get(index)
        if compiled is None or index in self._broken or index in self.unchecked:
            return make_batches(self.entry_specs(index, report), size)
        return compiled.batches(size, report)

    def entry_specs(self, index: int, report: Report) -> Iterator[WorkflowSpec]:
        """Yield the workflows of an entry."""
        if index in self._broken or index in self.unchecked:
            return
        compiled = self._compiled.get(index)
        if compiled is not None:
            yield from compiled.specs(report)
        else:
            yield from self._plain(index, report)

    def _plain(self, index: int, report: Report) -> Iterator[WorkflowSpec]:
        """Yield the workflow of an entry without expressions; a manifest may have very many such entries."""
        entry = self.manifest.entries[index]
        own, problems = read_fields(entry, ("workflows", index))
        workflow = find_workflow_name(own, self._shared)
        listed = self.catalog.options(workflow)
        if listed:
            listed, more = read_fields(listed, ("catalog", str(workflow)))
            problems += more
        options = Layers(self._inherited, self._shared, listed, own).merge()
        fields = {name: value for name, value in options.items() if value is not None}
        if "id" not in fields:  # it is made of the arguments
            spend_bytes(sum(weigh(fields.get(option)) for option in ("args", "kwargs")))
        missing = [option for option in REQUIRED_OPTIONS if option not in fields]
        for option in missing:
            path: ValuePath = ("workflows", index, option) if option in entry else ("workflows", index)
            problems.append(missing_option(option, path))
        for problem in problems:
            report(problem, None)
        if not missing:
            spec = make_workflow({**fields, "entry": index})
            yield spec if "id" in fields else spec._replace(id=default_id(self.manifest.name, spec))

    def _find_misplaced(self) -> Iterator[Diagnostic]:
        data = self.manifest.document.data
        for key, value in data.items():
            if key not in ("defaults", "workflows", "description") and not key.startswith("x-"):
                if key == "catalog":  # its schemas may contain the mark, in a pattern or an example
                    value = {name: self.catalog.options(name) for name in self.manifest.catalog}
                for path, at_key in find_marks(value, (key,)):
                    yield make_diagnostic(
                        "misplaced-expression",
                        "`${{ }}` is evaluated only under `defaults` and `workflows`",
                        path,
                        at_key=at_key,
                        help="write the value itself",
                    )

    def _unmarked(self) -> Iterator[Diagnostic]:
        variables = self.manifest.variables.values.keys() | self.manifest.variables.missing
        for index, entry in enumerate(self.manifest.entries):
            names = self.names_of(index)
            workflow = find_workflow_name(entry, self._defaults)
            options = self.layers(index, workflow).locate(index, workflow)
            spend(sum(map(self._weigh_shared, options.values())))
            for option in options.values():
                yield from find_unmarked(option.value, option.path, names, variables)
            yield from find_unmarked(entry.get("matrix"), ("workflows", index, "matrix"), (), variables)

    def _resolve_defaults(self) -> tuple[dict[str, object], list[Diagnostic]]:
        """Return the defaults, with the values of those that depend on variables only, and their problems."""
        out = dict(self.manifest.defaults)
        problems: list[Diagnostic] = []
        for option, raw in self.manifest.defaults.items():
            if option in OPTIONS and contains_mark(raw) and not self._missing_in(raw):
                path = ("defaults", option)
                try:
                    value = compile_value(raw, path)
                    if value is not None and value.names <= {"vars"}:
                        out[option] = resolve_constants(raw, path, self.manifest.variables.values)
                        if found := self._check(option, out[option]):
                            raise DiagnosticError([relocate(problem, path) for problem in found])
                except DiagnosticError as error:
                    problems += error.diagnostics
                    out[option] = None
        return out, problems

    def _missing_in(self, raw: object) -> frozenset[str]:
        """Return the variables without a value that the expressions of an option need."""
        if not self.manifest.variables.missing:
            return frozenset()
        return variables_of(raw) & self.manifest.variables.missing

    def layers(self, index: int, workflow: str | None) -> Layers:
        """Return what each place of the manifest sets for a workflow of an entry."""
        entry = self.manifest.entries[index]
        return Layers(self._inherited, self._defaults, self.catalog.options(workflow), entry)

    def _compile(self, index: int, entry: Mapping[str, Any]) -> list[Diagnostic]:
        """Compile an entry, and return its problems."""
        workflow = find_workflow_name(entry, self._defaults)
        dynamic = isinstance(workflow, str) and MARK in workflow
        known = None if dynamic else workflow
        options = self.layers(index, known).locate(index, known)
        needed = [option.value for option in options.values()] + [entry.get("matrix")]
        if missing := self._missing_in(needed):
            self.unchecked[index] = missing
            return []
        try:
            matrix, warnings = self._read_matrix(index, entry.get("matrix"))
            if dynamic and self.catalog.has_options:
                self._compiled[index] = self._compile_by_workflow(index, matrix)
            else:
                self._compiled[index] = self._compile_options(index, options, matrix)
            return warnings
        except DiagnosticError as error:
            self._broken.add(index)
            return error.diagnostics

    def _compile_options(
        self, index: int, options: Mapping[str, Option], matrix: Matrix | None, *, by_axis: bool = True
    ) -> CompiledEntry:
        spend(_COMPILE_STEPS + sum(map(self._weigh_shared, options.values())))
        values = self.manifest.variables.values
        return CompiledEntry(self.manifest.name, index, options, matrix, values, self._check, by_axis=by_axis)

    def _weigh_shared(self, option: Option) -> int:
        """Return the steps to compile an option again that is written outside of the entry."""
        if option.path[0] == "workflows":
            return 0
        if option.path not in self._option_weights:
            self._option_weights[option.path] = len(repr(option.value)) // 100
        return self._option_weights[option.path]

    def _compile_by_workflow(self, index: int, matrix: Matrix | None) -> CompiledEntryByWorkflow:
        def compile_for(workflow: str | None) -> CompiledEntry:
            options = self.layers(index, workflow).locate(index, workflow)
            return self._compile_options(index, options, matrix, by_axis=False)

        return CompiledEntryByWorkflow(compile_for, self.manifest.catalog)

    def _read_matrix(
        self, index: int, raw: Mapping[str, Any] | None
    ) -> tuple[Matrix | None, list[Diagnostic]]:
        if raw is None:
            return None, []
        return read_matrix(raw, ("workflows", index, "matrix"), self.manifest, self._check)

    def _check_limits(self) -> tuple[bool, int, list[Diagnostic]]:
        """Return whether there are too many workflows, how many, and the problems of entries."""
        manifest, budget = self.manifest, current_budget()
        problems: list[Diagnostic] = []
        for index, compiled in self._compiled.items():
            checked = check_entry(manifest, index, compiled)
            problems += checked.diagnostics
            if checked.is_broken:
                self._broken.add(index)
            if checked.too_many:
                return True, 0, problems
        total = sum(map(self.entry_count, range(len(manifest.entries))))
        if total > manifest.max_workflows:
            return True, 0, [*problems, too_many_workflows(manifest, total)]
        if budget is not None:
            budget.workflows += total
            if budget.workflows > budget.max_workflows:
                return True, 0, [*problems, too_many_of_call(budget)]
            spend(STEPS_PER_WORKFLOW * (len(manifest.entries) - len(self._compiled)))
        return False, total, problems
