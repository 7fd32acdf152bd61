"""A manifest in, its workflows out: one WorkflowSpec after the other, in manifest order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from math import prod
from typing import Any

from ..core.diagnostic import Diagnostic, Path, make_diagnostic
from ..expressions.compiled import Unfit, compile_value, contains_mark, resolve_constants
from ..expressions.syntax import MARK
from ..manifest.catalog import Catalog
from ..manifest.manifest import Manifest
from ..workflows.batch import Batch, make_batches, resize_batches
from ..workflows.options import OPTIONS, REQUIRED_OPTIONS
from ..workflows.spec import WorkflowSpec, default_id
from .axis import AxisError
from .entry import (
    MAX_UNMARKED,
    find_marks,
    find_unmarked,
    has_unmarked,
    read_fields,
    read_matrix,
    variables_of,
)
from .grouping import Findings
from .matrix import Matrix
from .template import (
    CheckOption,
    EntryTemplate,
    Option,
    Report,
    label_binding,
    missing_option,
    relocate,
)

MAX_EVALUATIONS = 200_000_000  # a million workflows of two hundred expressions
A_FEW = 1000  # workflows of an entry that are not worth batches of their own
_INHERITED = ("application", "runtime")  # what the manifest says for all its workflows


class Expansion:
    """A manifest made ready to expand: as often as wanted, always the same.

    What can be said without expanding is in `findings`. With an error there, `specs` is for checking only.
    """

    def __init__(self, manifest: Manifest, check_option: CheckOption) -> None:
        self.manifest = manifest
        self.findings = Findings()
        self.catalog = Catalog(manifest.catalog, manifest.tree)
        self.unchecked: dict[int, frozenset[str]] = {}  # entries that need variables which were not given
        self._check = check_option
        self._templates: dict[int, EntryTemplate | _ByWorkflow] = {}
        self._broken: set[int] = set()
        for problem in self.catalog.problems:
            self.findings.add(problem)
        self._report_misplaced()
        inherited = {key: getattr(manifest, key) for key in _INHERITED}
        self._inherited = {key: None if contains_mark(text) else text for key, text in inherited.items()}
        self._defaults = self._resolve_defaults()
        self._shared = read_fields(self._defaults, ("defaults",), self.findings.add)
        self._defaults_vary = contains_mark(self._defaults)
        for index, entry in enumerate(manifest.entries):
            if self._defaults_vary or "matrix" in entry or contains_mark(entry):
                self._compile(index, entry)
        self.too_many = self._count_workflows()
        if has_unmarked(manifest.document.text):
            for found in islice(self._unmarked(), MAX_UNMARKED):
                self.findings.add(found)

    @property
    def count(self) -> int:
        """How many workflows there are, by arithmetic."""
        return sum(self.entry_count(index) for index in range(len(self.manifest.entries)))

    def entry_count(self, index: int) -> int:
        if index in self._broken or index in self.unchecked:
            return 0
        template = self._templates.get(index)
        return template.count if template is not None else 1

    def matrix_of(self, index: int) -> Matrix | None:
        template = self._templates.get(index)
        return template.matrix if template is not None else None

    def names_of(self, index: int) -> tuple[str, ...]:
        """The names that the bindings of an entry's specs have cells for."""
        matrix = self.matrix_of(index)
        return matrix.names if matrix is not None else ()

    def varying(self, index: int) -> frozenset[str] | None:
        """The options in which an entry's workflows may differ; None for an entry that is one workflow."""
        template = self._templates.get(index)
        if template is None or template.matrix is None:
            return None
        return frozenset(template.names)

    def label(self, spec: WorkflowSpec) -> str:
        """Which of its entry's workflows a spec is: `day=2026-01-01 region=eu`."""
        return label_binding(self.names_of(spec.entry), spec.binding)

    def specs(self, report: Report) -> Iterator[WorkflowSpec]:
        """Every workflow that can be made, in manifest order; what is wrong with the others is reported.

        Shape:  an entry with axes of sizes m and n yields m*n specs, first axis slowest.
        Units:  "30s" becomes `timeout_ms` 30000; instants are epoch milliseconds, UTC.
        """
        for index in range(len(self.manifest.entries)):
            yield from self.entry_specs(index, report)

    def batches(self, size: int, report: Report) -> Iterator[Batch]:
        """`specs` in batches of `size`, the last one smaller."""
        return resize_batches(self._entries_in_batches(size, report), size)

    def _entries_in_batches(self, size: int, report: Report) -> Iterator[Batch]:
        few: list[WorkflowSpec] = []
        for index in range(len(self.manifest.entries)):
            if self.entry_count(index) < A_FEW:
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
        """The workflows of an entry in batches of at most `size`."""
        template = self._templates.get(index)
        if template is None or index in self._broken or index in self.unchecked:
            return make_batches(self.entry_specs(index, report), size)
        return template.batches(size, report)

    def entry_specs(self, index: int, report: Report) -> Iterator[WorkflowSpec]:
        if index in self._broken or index in self.unchecked:
            return
        template = self._templates.get(index)
        if template is not None:
            yield from template.specs(report)
        else:
            yield from self._plain(index, report)

    def _plain(self, index: int, report: Report) -> Iterator[WorkflowSpec]:
        """The one workflow of an entry without expressions, which a manifest may have very many of."""
        entry = self.manifest.entries[index]
        own = read_fields(entry, ("workflows", index), lambda found: report(found, None))
        workflow = own["workflow"] if "workflow" in own else self._shared.get("workflow")
        options = self._inherited | self._shared
        if self.manifest.catalog:
            listed = self.catalog.options(workflow)
            options |= read_fields(listed, ("catalog", str(workflow)), lambda found: report(found, None))
        options |= own
        fields = {name: value for name, value in options.items() if value is not None}
        missing = [option for option in REQUIRED_OPTIONS if option not in fields]
        for option in missing:
            path: Path = ("workflows", index, option) if option in entry else ("workflows", index)
            report(missing_option(option, path), None)
        if not missing:
            spec = WorkflowSpec(**{"id": "", "args": [], "kwargs": {}, **fields, "entry": index})
            yield spec if "id" in fields else spec._replace(id=default_id(self.manifest.name, spec))

    def _report_misplaced(self) -> None:
        data = self.manifest.document.data
        for key, value in data.items():
            if key not in ("defaults", "workflows", "description") and not key.startswith("x-"):
                if key == "catalog":  # a pattern or an example of a schema is no place of ours
                    value = {name: self.catalog.options(name) for name in self.manifest.catalog}
                for path, target in find_marks(value, (key,)):
                    self.findings.add(
                        make_diagnostic(
                            "misplaced-expression",
                            "`${{ }}` is read under `defaults` and `workflows` only",
                            path,
                            target=target,
                            help="write the value itself: an expression cannot stand here",
                        )
                    )

    def _unmarked(self) -> Iterator[Diagnostic]:
        variables = self.manifest.variables.values.keys() | self.manifest.variables.missing
        for index, entry in enumerate(self.manifest.entries):
            names = self.names_of(index)
            workflow = entry.get("workflow", self._defaults.get("workflow"))
            for option in self._options_of(index, entry, workflow).values():
                yield from find_unmarked(option.value, option.path, names, variables)
            yield from find_unmarked(entry.get("matrix"), ("workflows", index, "matrix"), (), variables)

    def _resolve_defaults(self) -> dict[str, Any]:
        """The defaults, those that name variables only being resolved."""
        out = dict(self.manifest.defaults)
        for option, raw in self.manifest.defaults.items():
            if option in OPTIONS and contains_mark(raw) and not self._missing_in(raw):
                path = ("defaults", option)
                try:
                    value = compile_value(raw, path)
                    if value is not None and value.names <= {"vars"}:
                        out[option] = resolve_constants(raw, path, self.manifest.variables.values)
                        for problem in self._check(option, out[option]):
                            self.findings.add(relocate(problem, path))
                            out[option] = None
                except Unfit as unfit:
                    self._take(unfit)
                    out[option] = None
        return out

    def _take(self, unfit: Unfit) -> None:
        for diagnostic in unfit.diagnostics:
            self.findings.add(diagnostic)

    def _missing_in(self, raw: Any) -> frozenset[str]:
        """The variables without a value that a value needs."""
        if not self.manifest.variables.missing:
            return frozenset()
        return variables_of(raw) & self.manifest.variables.missing

    def _options_of(self, index: int, entry: Mapping[str, Any], workflow: str | None) -> dict[str, Option]:
        """Entry over catalog over defaults over the manifest, each with its place."""
        out = {key: Option(key, self._inherited[key], (key,)) for key in _INHERITED}
        for options, path in (
            (self._defaults, ("defaults",)),
            (self.catalog.options(workflow), ("catalog", str(workflow))),
            (entry, ("workflows", index)),
        ):
            for name, value in options.items():
                if name in OPTIONS:
                    out[name] = Option(name, value, (*path, name))
        return out

    def _compile(self, index: int, entry: Mapping[str, Any]) -> None:
        workflow = entry.get("workflow", self._defaults.get("workflow"))
        dynamic = isinstance(workflow, str) and MARK in workflow
        options = self._options_of(index, entry, None if dynamic else workflow)
        needed = [option.value for option in options.values()] + [entry.get("matrix")]
        if missing := self._missing_in(needed):
            self.unchecked[index] = missing
            return
        try:
            matrix = self._read_matrix(index, entry.get("matrix"))
            if dynamic and self.catalog.has_options:
                self._templates[index] = self._by_workflow(index, entry, matrix)
            else:
                self._templates[index] = self._template(index, options, matrix)
        except Unfit as unfit:
            self._broken.add(index)
            self._take(unfit)

    def _template(
        self, index: int, options: Mapping[str, Option], matrix: Matrix | None, *, hoist: bool = True
    ) -> EntryTemplate:
        manifest = self.manifest
        values = manifest.variables.values
        return EntryTemplate(manifest.name, index, options, matrix, values, self._check, hoist=hoist)

    def _by_workflow(self, index: int, entry: Mapping[str, Any], matrix: Matrix | None) -> _ByWorkflow:
        def make(workflow: str | None) -> EntryTemplate:
            options = self._options_of(index, entry, workflow)
            return self._template(index, options, matrix, hoist=False)

        return _ByWorkflow(make, self.manifest.catalog)

    def _read_matrix(self, index: int, raw: Mapping[str, Any] | None) -> Matrix | None:
        if raw is None:
            return None
        path = ("workflows", index, "matrix")
        return read_matrix(raw, path, self.manifest, self._check, self.findings.add)

    def _count_workflows(self) -> bool:
        """Whether there are more workflows than allowed; the counts that can be wrong are reported."""
        limit = self.manifest.max_workflows
        for index, template in self._templates.items():
            matrix = template.matrix
            if matrix is None:
                continue
            path: Path = ("workflows", index, "matrix")
            if any(axis.count > limit for axis in matrix.axes):
                return self._report_too_many(index, matrix.product, matrix)
            try:
                count = matrix.count
            except AxisError as error:
                self._broken.add(index)
                self.findings.add(make_diagnostic(error.code, error.message, path))
                continue
            if count > limit:
                return self._report_too_many(index, count, matrix)
            if count * template.size > MAX_EVALUATIONS:
                self._broken.add(index)
                message = f"{count:,} workflows of {template.size:,} expressions each are too much work"
                self.findings.add(make_diagnostic("too-large", message, path, help="pass lists as values"))
            if not count:
                self.findings.add(make_diagnostic("empty-axis", "`exclude` leaves no combination", path))
            for position in matrix.unused_excludes():
                self.findings.add(
                    make_diagnostic(
                        "unused-exclude",
                        "this `exclude` matches no combination",
                        (*path, "exclude", position),
                        help='look at the kind of its values: a date is text, "2026-01-31"',
                    )
                )
            self._report_colliding(index, template)
        total = self.count
        return total > limit and self._report_too_many(None, total, None)

    def _report_too_many(self, index: int | None, count: int, matrix: Matrix | None) -> bool:
        limit = self.manifest.max_workflows
        set_here = "max_workflows" in (self.manifest.document.data.get("limits") or {})
        axes = " × ".join(f"{axis.name} {_show(axis.count)}" for axis in matrix.axes) if matrix else ""
        least = "at least " if matrix and any(axis.count == limit + 1 for axis in matrix.axes) else ""
        path: Path = ("workflows",) if index is None else ("workflows", index, "matrix")
        self.findings.add(
            make_diagnostic(
                "too-many-workflows",
                f"{least}{_show(count)} workflows{f' ({axes})' if axes else ''} are more than the {limit:,} "
                "that are allowed",
                ("limits", "max_workflows") if set_here else path,
                help="narrow an axis"
                + (f", or write `limits: {{max_workflows: {count}}}`" if count <= 10**9 else ""),
            )
        )
        return True

    def _report_colliding(self, index: int, template: EntryTemplate | _ByWorkflow) -> None:
        matrix = template.matrix
        lost = template.colliding_axes()
        if matrix is None or not lost:
            return
        ids = prod(axis.count for axis in matrix.axes if axis.name not in lost)
        self._broken.add(index)  # every collision would only say it again
        own = "id" in self.manifest.entries[index]
        names = " and ".join(f"`{name}`" for name in lost)
        what = "the id does not name" if own else "the id made of workflow and arguments does not depend on"
        self.findings.add(
            make_diagnostic(
                "axis-not-in-id",
                f"{what} {names}: {matrix.count:,} workflows would share {ids:,} id{'s' if ids > 1 else ''}",
                ("workflows", index, "id") if own else ("workflows", index),
                help=f"put `${{{{ {lost[0]} }}}}` into {'it' if own else 'an `id`'}",
            )
        )


class _ByWorkflow:
    """An entry whose workflow is an expression, and a catalog that has other defaults for each."""

    def __init__(self, make: Callable[[str | None], EntryTemplate], names: Mapping[str, Any]) -> None:
        self._base = make(None)
        self._others = {name: make(name) for name in names}
        self.matrix = self._base.matrix
        self.names = self._base.names
        self.count = self._base.count
        self.size = self._base.size

    def colliding_axes(self) -> tuple[str, ...]:
        return self._base.colliding_axes()

    def specs(self, report: Report) -> Iterator[WorkflowSpec]:
        combinations = self.matrix.combinations({}) if self.matrix is not None else iter([()])
        for combination in combinations:
            try:
                workflow = self._base.value("workflow", combination)
            except Unfit:
                yield from self._base.make(combination, report)
                continue
            yield from self._others.get(workflow, self._base).make(combination, report)

    def batches(self, size: int, report: Report) -> Iterator[Batch]:
        return make_batches(self.specs(report), size)


def _show(count: int) -> str:
    return f"{count:,}" if count < 10**15 else f"about 10^{len(str(count)) - 1}"
