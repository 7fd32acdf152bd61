"""Check without expanding whether an entry expands to too many workflows, to none, or to colliding IDs."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from ..core.diagnostic import Diagnostic, ValuePath, make_diagnostic
from ..manifest.manifest import Manifest
from .axis import AxisError
from .compiled_entry import CompiledEntry, CompiledEntryByWorkflow
from .matrix import Matrix

MAX_EVALUATIONS = 200_000_000  # a million workflows of two hundred expressions


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
    too_much = count * entry.size > MAX_EVALUATIONS
    if too_much:
        work = f"{count:,} workflows with {entry.size:,} expressions each"
        message, help = f"{work} exceed {MAX_EVALUATIONS:,} evaluations", "pass a list as one value"
        found.append(make_diagnostic("too-large", message, path, help=help))
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
    least = "at least " if matrix and any(axis.count == limit + 1 for axis in matrix.axes) else ""
    path: ValuePath = ("workflows",) if index is None else ("workflows", index, "matrix")
    return make_diagnostic(
        "too-many-workflows",
        f"{least}{_show(count)} workflows{f' ({axes})' if axes else ''} exceed the limit of {limit:,}",
        ("limits", "max_workflows") if limit_is_written else path,
        help="narrow an axis"
        + (f", or write `limits: {{max_workflows: {count}}}`" if count <= 10**9 else ""),
    )


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
    return f"{count:,}" if count < 10**15 else f"about 10^{len(str(count)) - 1}"
