"""Make diagnostics of the changes that need attention: one for each entry and kind of difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core.diagnostic import Diagnostic, make_diagnostic
from ..expansion.workflow_source import WorkflowSource
from ..planning.manifest_plan import ManifestPlan
from ..planning.states import Change, Changes, State
from .groups import Group, Groups

_CODES = {
    State.DRIFTED: "drifted",
    State.CONFLICT: "conflict",
    State.VANISHED: "vanished",
    State.MISSING: "missing",
}
_MOST = 20_000  # of one manifest


class PlanProblems:
    """Collect the workflows whose row or lock entry contradicts the manifest, and if wanted the others."""

    def __init__(self, *, with_others: bool = False) -> None:
        self._groups = Groups(_is_problem, by_entry=True)
        self._others = Groups(lambda change: with_others and not _is_problem(change))

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        """Collect the groups of a batch of changes."""
        self._groups.add(source, changes)
        self._others.add(source, changes)

    def of(self, plan: ManifestPlan) -> list[Diagnostic]:
        """Return the problems of one manifest, after its preflight diagnostics."""
        groups = self._groups.of(plan.name)[:_MOST]
        return [*plan.diagnostics, *(_problem(plan, group) for group in groups)]

    def others(self, plan: ManifestPlan) -> Sequence[Group]:
        """Return the groups of the workflows of one manifest that have no problem."""
        return self._others.of(plan.name)


def _is_problem(change: Change) -> bool:
    return change.state in _CODES and not change.held


def _problem(plan: ManifestPlan, group: Group) -> Diagnostic:
    one = group.size == 1
    subject = f"`{group.first.id}`" if one else f"{group.size:,} workflows"
    what = "cannot be enqueued"
    if group.first.fields:
        what = f"{'differs' if one else 'differ'} in {', '.join(group.first.fields)}"
    elif group.state in _WITHOUT_ROW:
        what = _WITHOUT_ROW[group.state][0 if one else 1]
    found = make_diagnostic(
        _CODES[group.state],
        f"{subject} {what} ({', '.join([group.first.workflow or '', *group.remarks()])})",
        ("workflows", group.first.entry or 0, "id"),
        help=_HELP[group.state],
    ).in_file(plan.file, plan.origin.document)
    return found if one else replace(found, note=f"in {' | '.join(group.members(_SETS_IN_NOTE))}")


_SETS_IN_NOTE = 3


_WITHOUT_ROW = {  # of one workflow, and of several
    State.VANISHED: ("has no row; retention explains it", "have no row; retention explains it"),
    State.MISSING: (
        "has no row, and the lockfile has no final status",
        "have no row, and the lockfile has no final status",
    ),
}
_HELP = {
    State.DRIFTED: "give the changed workflow a new ID: an enqueued workflow cannot be changed",
    State.CONFLICT: "give the workflow its own ID or deduplication ID",
    State.VANISHED: "use --recreate-vanished to enqueue it again, if the lockfile has no final status for it",
    State.MISSING: "use --recreate-missing to enqueue it again, or --skip-missing if it has already run",
}


def problems_by_file(problems: Sequence[Diagnostic], files: Sequence[str]) -> dict[str, list[Diagnostic]]:
    """Group the problems by file; a file without problems has an empty list."""
    out: dict[str, list[Diagnostic]] = {file: [] for file in files}
    for problem in problems:
        file = problem.span.file if problem.span else problem.file or ""
        out.setdefault(file, []).append(problem)
    return out
