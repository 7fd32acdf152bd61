"""Entries compiled once, and expanded to batches of workflows as often as needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ..core.canonical_json import canonical_json
from ..core.columns import Repeated
from ..core.diagnostic import Diagnostic, ValuePath, make_diagnostic
from ..core.memory_budget import BUDGET
from ..expressions.compiled import DiagnosticError, MemoryBudgetExceeded
from ..expressions.filters import UNSET
from ..workflows.batch import Batch, make_batches
from ..workflows.options import POSITIONS, REQUIRED_OPTIONS
from ..workflows.precedence import Option
from ..workflows.spec import WorkflowSpec, default_id
from .compiled_options import CheckOption, CompiledOptions
from .matrix import Combination, Matrix, MemoryMeter, read_part

_KEPT = 100  # of the entries compiled for a name
Report = Callable[[Diagnostic, Callable[[], str] | None], None]
"""Takes a diagnostic, and a function that returns the label of the combination that has it."""


class CompiledEntry:
    """An entry whose options are known before its workflows are: none depends on the name of the workflow."""

    def __init__(
        self,
        manifest: str,
        entry: int,
        options: Mapping[str, Option],
        matrix: Matrix | None,
        variables: Mapping[str, object],
        check: CheckOption,
        *,
        by_axis: bool = True,
    ) -> None:
        """Compile the options of an entry.

        Raises: DiagnosticError with every option that cannot be compiled.
        """
        self.matrix = matrix
        self.entry = entry
        self._manifest = manifest
        self._options = CompiledOptions(entry, options, matrix, variables, check, by_axis=by_axis)
        self._has_id = self._options.sets("id")
        self._required = ("id", *REQUIRED_OPTIONS) if self._has_id else REQUIRED_OPTIONS

    @property
    def count(self) -> int:
        return self.matrix.count if self.matrix is not None else 1

    @property
    def size(self) -> int:
        """Return the number of expressions of one workflow."""
        return self._options.size

    @property
    def varying(self) -> Collection[str]:
        """Return the options in which the workflows may differ."""
        return self._options.names.keys()

    def workflow_of(self, combination: Combination) -> str:
        """Return the name of the workflow of one combination.

        Raises: DiagnosticError when it cannot be made.
        """
        name = self._options.value("workflow", combination)
        assert isinstance(name, str)
        return name

    def colliding_axes(self) -> tuple[str, ...]:
        """Return the axes of two or more values that the ID does not depend on: it occurs more than once."""
        if self.matrix is None or self.matrix.excludes:
            return ()
        options = ("id",) if self._has_id else ("workflow", "class_name", "instance_name", "args", "kwargs")
        names = self._options.names
        named = frozenset[str]().union(*(names.get(option, frozenset()) for option in options))
        return tuple(axis.name for axis in self.matrix.axes if axis.count > 1 and axis.name not in named)

    def specs(self, report: Report) -> Iterator[WorkflowSpec]:
        """Yield the entry's workflows; one that cannot be made is reported and left out."""
        for batch in self.batches(BUDGET.batch_size, report):
            yield from batch

    def batches(self, size: int, report: Report) -> Iterator[Batch]:
        """Yield the same in batches of at most `size`, smaller ones where the values are large."""
        meter = MemoryMeter()
        combinations: Iterator[Combination] = iter([()])
        if self.matrix is not None:
            combinations = self.matrix.combinations(self._options.columns, meter)
        while part := read_part(combinations, size, meter):
            yield from self._make_batches(part, report)

    def _make_batches(self, combinations: list[Combination], report: Report) -> Iterator[Batch]:
        try:
            batch = self._make_batch(combinations)
        except MemoryBudgetExceeded:
            middle = len(combinations) // 2
            yield from self._make_batches(combinations[:middle], report)
            yield from self._make_batches(combinations[middle:], report)
            return
        if batch is not None:
            yield batch
        elif specs := [spec for combination in combinations for spec in self.make(combination, report)]:
            yield Batch.of(specs)

    def _make_batch(self, combinations: list[Combination]) -> Batch | None:
        """Make the workflows of some combinations; None when one of them cannot be made."""
        count = len(combinations)
        columns: dict[str, Sequence[Any]] = {
            field: Repeated(value, count)
            for field, value in zip(WorkflowSpec._fields, self._options.base, strict=True)
        }
        try:
            columns |= self._options.evaluate(combinations)
        except DiagnosticError:
            return None
        columns["binding"] = combinations
        batch = Batch(columns, count)
        if not all(all(columns[option]) for option in self._required):
            return None
        if not self._has_id:
            columns["id"] = [default_id(self._manifest, spec) for spec in batch]
        return batch

    def make(self, combination: Combination, report: Report) -> Iterator[WorkflowSpec]:
        """Yield the workflow of one combination, or report every reason why it cannot be made."""
        values, problems = self._options.evaluate_one(combination)
        values[POSITIONS["binding"]] = combination
        spec = WorkflowSpec._make(values)
        if not problems:
            problems = [self._missing(option) for option in self._required if not getattr(spec, option)]
        for problem in problems:
            report(problem, lambda: self.label(combination))
        if not problems:
            yield spec if self._has_id else spec._replace(id=default_id(self._manifest, spec))

    def _missing(self, option: str) -> Diagnostic:
        written = self._options.written.get(option)
        path = written.path if written is not None else ("workflows", self.entry)
        if not self._options.sets(option):
            return missing_option(option, path)
        help = "give every workflow a value"
        if option == "id":
            help += "; an ID is only generated for an entry without `id`"
        return make_diagnostic("invalid-text", f"`{option}` is blank", path, help=help)

    def label(self, combination: Combination) -> str:
        return label_binding(self.matrix.names if self.matrix else (), combination)


class CompiledEntryByWorkflow:
    """An entry whose workflow is an expression, while the catalog sets other options for each workflow."""

    def __init__(self, compile_for: Callable[[str | None], CompiledEntry], names: Collection[str]) -> None:
        """Compile the entry for names that the catalog does not have (None); for others when they occur."""
        self._base = compile_for(None)
        self._compile_for = compile_for
        self._names = frozenset(names)
        self._others: dict[str, CompiledEntry] = {}
        self.matrix = self._base.matrix
        self.varying = self._base.varying
        self.size = self._base.size

    @property
    def count(self) -> int:
        return self._base.count

    def colliding_axes(self) -> tuple[str, ...]:
        return self._base.colliding_axes()

    def specs(self, report: Report) -> Iterator[WorkflowSpec]:
        combinations = self.matrix.combinations({}) if self.matrix is not None else iter([()])
        for combination in combinations:
            try:
                workflow = self._base.workflow_of(combination)
            except DiagnosticError:
                yield from self._base.make(combination, report)
                continue
            try:
                entry = self._of(workflow)
            except DiagnosticError as error:
                for problem in error.diagnostics:
                    report(
                        problem, partial(label_binding, self.matrix.names if self.matrix else (), combination)
                    )
                continue
            yield from entry.make(combination, report)

    def _of(self, workflow: str) -> CompiledEntry:
        if workflow not in self._names:
            return self._base
        if workflow not in self._others:
            if len(self._others) >= _KEPT:
                self._others.clear()
            self._others[workflow] = self._compile_for(workflow)
        return self._others[workflow]

    def batches(self, size: int, report: Report) -> Iterator[Batch]:
        return make_batches(self.specs(report), size)


def label_binding(names: tuple[str, ...], combination: Combination) -> str:
    """Return the values of a combination as text: `day=2026-01-01 region=eu`."""
    shown = []
    for name, cell in zip(names, combination, strict=False):
        if cell[0] is not UNSET:
            text = cell[0] if isinstance(cell[0], str) else canonical_json(cell[0])
            shown.append(f"{name}={text if len(text) <= 60 else text[:59] + '…'}")
    return " ".join(shown)


def missing_option(option: str, path: ValuePath) -> Diagnostic:
    """Make the diagnostic of a workflow without a required option."""
    return make_diagnostic(
        "missing-option",
        f"the workflow has no `{option}`",
        path,
        help=f"write `{option}: …` in the entry or under `defaults`",
    )
