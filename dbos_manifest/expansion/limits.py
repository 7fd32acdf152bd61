"""Check without expanding whether an entry expands to too many workflows, to none, or to colliding IDs."""

from __future__ import annotations

from math import floor, log10, prod
from typing import NamedTuple

from ..core.diagnostic import Diagnostic, ValuePath, make_diagnostic
from ..core.work_budget import WorkBudget, current_budget
from ..manifest.manifest import Manifest
from .axis import AxisError
from .compiled_entry import CompiledEntry, CompiledEntryByWorkflow
from .matrix import Matrix

STEPS_PER_WORKFLOW = 4  # of work, without its expressions and axes


class EntryCheck(NamedTuple):
    """The problems of one entry."""

    diagnostics: list[Diagnostic]
    is_broken: bool = False  # expanding it would fail, or repeat the same diagnostic for every workflow
    too_many: bool = False  # more workflows than the manifest allows


def check_entry(manifest: Manifest, index: int, entry: CompiledEntry | CompiledEntryByWorkflow) -> EntryCheck:
    """Check the number of an entry's workflows, its `exclude` rules, and whether its IDs can differ."""
    matrix = entry.matrix
    if matrix is None:
        return EntryCheck([])
    path: ValuePath = ("workflows", index, "matrix")
    try:
        # the product first: counting exclusions of very long axes would take too long
        too_long = any(axis.count > manifest.max_workflows for axis in matrix.axes)
        count = matrix.product if too_long else matrix.count
    except AxisError as error:
        return EntryCheck([make_diagnostic(error.code, error.message, path)], is_broken=True)
    if count > manifest.max_workflows:
        return EntryCheck([too_many_workflows(manifest, count, index, matrix)], too_many=True)
    found: list[Diagnostic] = []
    lost = entry.colliding_axes()
    budget = current_budget()
    steps = count * (STEPS_PER_WORKFLOW + entry.size + matrix.steps)
    too_much = budget is not None and not budget.try_spend(steps)
    if too_much:
        found.append(_too_much_work(entry, count, matrix, path))
    if not count:
        found.append(make_diagnostic("empty-axis", "`exclude` removes every combination", path))
    found += [
        make_diagnostic(
            "unused-exclude",
            "this `exclude` matches no combination",
            (*path, "exclude", position),
            help='check the types of its values: a date, for example, must be quoted text, "2026-01-31"',
        )
        for position in matrix.unused_excludes()
    ]
    if lost:
        found.append(_axis_not_in_id(manifest, index, matrix, lost))
    return EntryCheck(found, is_broken=too_much or bool(lost))


def too_many_workflows(
    manifest: Manifest, count: int, index: int | None = None, matrix: Matrix | None = None
) -> Diagnostic:
    """Make the diagnostic of an entry, or without `index` of a manifest, that has too many workflows."""
    limit = manifest.max_workflows
    limit_is_written = "max_workflows" in (manifest.document.data.get("limits") or {})
    axes = " × ".join(f"{axis.name} {_show(axis.count)}" for axis in matrix.axes) if matrix else ""
    budget = current_budget()
    of_call = budget is not None and limit == budget.max_workflows
    least = "at least " if matrix and any(axis.count == limit + 1 for axis in matrix.axes) else ""
    path: ValuePath = ("workflows",) if index is None else ("workflows", index, "matrix")
    return make_diagnostic(
        "too-many-workflows",
        f"{least}{_show(count)} workflows{f' ({axes})' if axes else ''} exceed the limit of {limit:,}",
        ("limits", "max_workflows") if limit_is_written else path,
        help="narrow an axis" + (_advise_limit(count, of_call=of_call) if count <= 10**9 else ""),
    )


def _advise_limit(count: int, *, of_call: bool) -> str:
    if of_call:
        return f", or allow more with `--max-workflows {count}`"
    return f", or write `limits: {{max_workflows: {count}}}`"


def _too_much_work(
    entry: CompiledEntry | CompiledEntryByWorkflow, count: int, matrix: Matrix, path: ValuePath
) -> Diagnostic:
    parts = f"{len(matrix.axes):,} axes and {entry.size:,} expressions"
    message = f"{count:,} workflows with {parts} each are more work than one call may do"
    help = "pass a list as one value, or allow more work with `--max-workflows`"
    return make_diagnostic("too-large", message, path, help=help)


def too_many_of_call(budget: WorkBudget) -> Diagnostic:
    """Make the diagnostic of a manifest with which all manifests of a call have too many workflows."""
    count, most = budget.workflows, budget.max_workflows
    message = f"the manifests have {count:,} workflows together, but at most {most:,} are allowed"
    help = f"name fewer manifests, or allow more with `--max-workflows {count}`"
    return make_diagnostic("too-many-workflows", message, ("workflows",), help=help)


def _axis_not_in_id(manifest: Manifest, index: int, matrix: Matrix, lost: tuple[str, ...]) -> Diagnostic:
    ids = prod(axis.count for axis in matrix.axes if axis.name not in lost)
    own = "id" in manifest.entries[index]
    names = " and ".join(f"`{name}`" for name in lost)
    what = (
        "the ID does not contain"
        if own
        else "the ID generated from workflow and arguments does not depend on"
    )
    return make_diagnostic(
        "axis-not-in-id",
        f"{what} {names}: {matrix.count:,} workflows would share {ids:,} ID{'s' if ids > 1 else ''}",
        ("workflows", index, "id") if own else ("workflows", index),
        help=f"include `${{{{ {lost[0]} }}}}` in {'it' if own else 'an `id` of the entry'}",
    )


def _show(count: int) -> str:
    return f"{count:,}" if count < 10**15 else f"about 10^{floor(log10(count))}"
