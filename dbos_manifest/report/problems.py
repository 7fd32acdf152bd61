"""Make diagnostics of the changes that need attention: one for each entry and state."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ..core.diagnostic import Diagnostic, make_diagnostic
from ..expansion.diagnostic_groups import DiagnosticGroups, EnoughErrors
from ..expansion.workflow_source import WorkflowSource
from ..planning.manifest_plan import ManifestPlan
from ..planning.states import Change, Changes, State
from .groups import singled_out
from .plan_text import notes_of

_CODES = {
    State.DRIFTED: "drifted",
    State.CONFLICT: "conflict",
    State.VANISHED: "vanished",
    State.MISSING: "missing",
}


class PlanProblems:
    """Collect the workflows whose row or lock entry contradicts the manifest."""

    def __init__(self) -> None:
        self._groups: dict[str, DiagnosticGroups] = {}

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        """Collect the problems of a batch of changes."""
        for change in singled_out(changes):
            self._add(source, change)

    def _add(self, source: WorkflowSource, change: Change) -> None:
        code = _CODES.get(change.state)
        if code is None or change.entry is None or change.held:
            return
        groups = self._groups.setdefault(source.name, DiagnosticGroups())
        fields = ", ".join(difference.field for difference in change.differences)
        notes = ", ".join(notes_of(change)[1:])
        what = f"differs in {fields}" if fields else _WITHOUT_ROW.get(change.state)
        found = make_diagnostic(
            code,
            f"`{change.id}` {what or 'cannot be enqueued'} ({notes})",
            ("workflows", change.entry, "id"),
            help=_HELP[change.state],
        ).in_file(source.file, source.document)
        with suppress(EnoughErrors):
            groups.add(found, (lambda: change.id) if source.matrix_of(change.entry) is not None else None)

    def of(self, plan: ManifestPlan) -> list[Diagnostic]:
        """Return the problems of one manifest, after its preflight diagnostics."""
        groups = self._groups.get(plan.name)
        return [*plan.diagnostics, *(groups.merge() if groups else ())]


_WITHOUT_ROW = {
    State.VANISHED: "has no row; retention explains it",
    State.MISSING: "has no row, and the lockfile has no final status",
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
