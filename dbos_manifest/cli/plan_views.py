"""Make the views that plan and apply share: one for each format."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from time import monotonic
from typing import Protocol

from ..actions.validate import Validation
from ..core.diagnostic import Diagnostic
from ..expansion.workflow_source import WorkflowSource
from ..planning.manifest_plan import ManifestPlan
from ..planning.states import Changes, State
from ..reading.places import locate_all
from ..report.diagnostics import format_diagnostics
from ..report.github import github_annotation
from ..report.groups import Group
from ..report.junit import junit_document
from ..report.markdown import PlanMarkdown
from ..report.plan_json import PlanIds, PlanJson, PlanJsonLines
from ..report.plan_text import PlanText
from ..report.problems import PlanProblems, problems_by_file
from ..report.sarif import sarif_document
from .diagnostics import write_annotations
from .output_targets import Sink, Write
from .repository import from_repository
from .terminal import on_terminal, painter, program_version, say, text_width

PLAN_FORMATS = ("text", "json", "jsonl", "ids", "github", "sarif", "junit", "markdown")


class PlanView(Protocol):
    """Takes the changes of a plan as they arrive, and renders it at the end."""

    def add(self, source: WorkflowSource, changes: Changes) -> None: ...

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None: ...


def make_plan_view(
    sink: Sink,
    validation: Validation,
    show_values: bool | None,
    *,
    begun: float | None = None,
    states: Collection[State] = (),
) -> PlanView:
    """Make the view of a format. Values are shown on a terminal or with --show-values.

    With `begun`, of the monotonic clock, text ends with what apply would do. `states` are those of `ids`.
    """
    format, write, paint = sink
    if format == "text":
        shown = on_terminal() if show_values is None else show_values
        elapsed = (lambda: monotonic() - begun) if begun is not None else None
        return PlanText(shown, paint, write, width=text_width(), elapsed=elapsed)
    values = bool(show_values)
    if format in ("github", "sarif", "junit"):
        return ProblemView(format, write, validation)
    if format == "markdown":
        return PlanMarkdown(write, values)
    if format == "ids":
        return PlanIds(write, states or (State.CREATE,))
    return PlanJson(write, values) if format == "json" else PlanJsonLines(write, values)


class ProblemView:
    """Formats that know only problems and their places."""

    def __init__(self, format: str, write: Write, validation: Validation) -> None:
        self._format = format
        self._write = write
        self._validation = validation
        self._problems = PlanProblems(with_others=format == "junit")
        self.more: list[Diagnostic] = []  # after the problems of the plan

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        self._problems.add(source, changes)

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        found = [problem for plan in plans for problem in self._problems.of(plan)]
        found += self.more
        found = [*self._validation.diagnostics, *locate_all(self._validation.documents, found)]
        if self._format == "sarif":
            self._write(sarif_document([*from_repository(found)], program_version()))
        elif self._format == "junit":
            groups: dict[str, list[Group]] = {plan.file: [] for plan in plans}
            for plan in plans:
                groups[plan.file] += self._problems.others(plan)
            self._write(junit_document(problems_by_file(found, [*groups]), strict, groups))
        else:
            for problem in from_repository(found):
                self._write(f"{github_annotation(problem)}\n")


class Views:
    """Several views as one."""

    def __init__(self, views: Sequence[PlanView]) -> None:
        self._views = tuple(views)

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        for view in self._views:
            view.add(source, changes)

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        for view in self._views:
            view.finish(plans, strict)


def print_diagnostics(validation: Validation, plans: Sequence[ManifestPlan]) -> None:
    """Print the preflight diagnostics on stderr, in GitHub Actions also as annotations."""
    found = [diagnostic for plan in plans for diagnostic in plan.diagnostics]
    for block in format_diagnostics(found, validation.texts, painter(err=True)):
        say(block)
    write_annotations(found)
