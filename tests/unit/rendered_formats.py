"""Render a plan and the result of an apply, made by hand, in every format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dbos_manifest.core.diagnostic import Diagnostic, make_diagnostic
from dbos_manifest.core.errors import ManifestToolError
from dbos_manifest.planning.manifest_plan import ManifestPlan, PlanOrigin
from dbos_manifest.planning.results import ApplyOutcome, ApplyResult, Progress, RejectedRow, RetryNotice
from dbos_manifest.planning.states import Change, Decision, Difference, State, make_change, one_change
from dbos_manifest.planning.summary import PlanSummary, kind_of
from dbos_manifest.report.apply_results import (
    ApplyEvents,
    Times,
    applied_json,
    applied_lines,
    applied_markdown,
    rejected_diagnostics,
)
from dbos_manifest.report.diagnostics import format_diagnostics
from dbos_manifest.report.github import github_annotation
from dbos_manifest.report.junit import junit_document
from dbos_manifest.report.markdown import PlanMarkdown
from dbos_manifest.report.plan_json import PlanIds, PlanJson, PlanJsonLines
from dbos_manifest.report.plan_text import PlanText
from dbos_manifest.report.problems import PlanProblems, problems_by_file
from dbos_manifest.report.sarif import sarif_document
from dbos_manifest.workflows.batch import Batch
from dbos_manifest.workflows.spec import WorkflowSpec, make_workflow


def render_plan() -> dict[str, str]:
    """Return the plan of one new and one drifted workflow, by format."""
    texts: dict[str, list[str]] = {name: [] for name in ("text", "json", "jsonl", "ids", "markdown")}
    views = [
        PlanText(True, write=texts["text"].append, elapsed=lambda: 0.25),
        PlanJson(texts["json"].append, True),
        PlanJsonLines(texts["jsonl"].append, True),
        PlanIds(texts["ids"].append),
        PlanMarkdown(texts["markdown"].append, True),
    ]
    problems, source, plan = PlanProblems(), Source(), make_plan()
    for change in make_changes():
        assert change.spec is not None
        changes = one_change(change, Batch.of([change.spec]))
        problems.add(source, changes)
        for view in views:
            view.add(source, changes)
    for view in views:
        view.finish([plan], False)
    found = problems.of(plan)
    return {name: "".join(parts) for name, parts in texts.items()} | {
        "diagnostics": "".join(format_diagnostics(found, {})),
        "github": "\n".join(map(github_annotation, found)),
        "sarif": sarif_document(found, "1.0"),
        "junit": junit_document(problems_by_file(found, [source.file]), False),
    }


def render_apply() -> dict[str, str]:
    """Return the result of applying that plan, of which one row was rejected, by format."""
    plan, (created, _) = make_plan(), make_changes()
    assert created.spec is not None
    rejected = (RejectedRow(created.spec, "value too long"),)
    result = ApplyResult(plan, Path("jobs.lock.jsonl"), enqueued=1, rejected=rejected, lock_written=True)
    outcome = ApplyOutcome([plan], [result], ManifestToolError("1 workflow was not enqueued"))
    lines: list[str] = []
    events = ApplyEvents(lines.append)
    events.plans([plan], False)
    events.retry(RetryNotice(1, "connection lost", 0.5))
    events.progress(Progress("jobs", 1, 2))
    events.finish(outcome)
    found = rejected_diagnostics([result])
    return {
        "text": "\n".join(applied_lines(result, Times({"jobs": 0.25}))),
        "json": applied_json(outcome),
        "jsonl": "".join(lines),
        "markdown": applied_markdown(outcome, Times()),
        "github": "\n".join(map(github_annotation, found)),
        "sarif": sarif_document(found, "1.0"),
        "junit": junit_document(problems_by_file(found, [plan.file]), False),
    }


class Source:
    """A manifest without a matrix, as far as renderers read it."""

    name = "jobs"
    file = "jobs.yaml"
    document = 0
    complete = True

    @property
    def queues(self) -> Mapping[str, bool]:
        return {}

    def specs(self) -> Iterator[WorkflowSpec]:
        return iter(())

    def batches(self, size: int) -> Iterator[Batch]:
        return iter(())

    def locate(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        return list(diagnostics)

    def matrix_of(self, entry: int) -> None:
        return None


def make_changes() -> tuple[Change, Change]:
    """Make the changes of a new and of a drifted workflow."""
    new = make_workflow({"id": "new", "workflow": "ingest", "queue": "etl"})
    moved = make_workflow({"id": "moved", "workflow": "ingest", "queue": "elt", "entry": 1})
    difference = Difference("queue", "elt", "etl")
    return (
        make_change(State.CREATE, new),
        make_change(State.DRIFTED, moved, "ENQUEUED", differences=(difference,)),
    )


def make_plan() -> ManifestPlan:
    """Make the plan that has those changes and one preflight diagnostic."""
    created, drifted = make_changes()
    counts = {kind_of(created, Decision.ENQUEUE): 1, kind_of(drifted, Decision.REFUSE): 1}
    found = make_diagnostic("queue-not-registered", "queue `elt` is not registered").in_file("jobs.yaml")
    return ManifestPlan(
        PlanOrigin("jobs", "jobs.yaml", 0, database="shop"),
        PlanSummary(counts),
        decisions=b"\1\0",
        diagnostics=(found,),
        refused={State.DRIFTED: 1},
        refusals=(drifted,),
    )
