"""Render the results of apply as text, Markdown, JSON and JSON lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..core.diagnostic import Diagnostic, make_diagnostic
from ..core.units import format_timestamp
from ..planning.manifest_plan import ManifestPlan
from ..planning.results import ApplyOutcome, ApplyResult, Progress, RetryNotice, WaitResult
from ..planning.rows import LiveRow
from ..planning.status_table import StatusSummary
from .failure_text import failure_lines
from .markdown import code, fit
from .plan_json import change_json, summary_json
from .progress import describe_statuses
from .screen import Screen
from .status_command import StatusCommand
from .status_json import failure_json
from .status_markdown import failure_rows
from .stored_results import error_message
from .text import printable, show_seconds, to_json

FORMAT_VERSION = 1
_MOST_REJECTED = 20
_PLAIN = Screen()


@dataclass
class Times:
    """How long each manifest took, by name in seconds, as far as it was measured."""

    enqueuing: Mapping[str, float] = field(default_factory=dict)
    waiting: Mapping[str, float] = field(default_factory=dict)


def applied_lines(
    applied: ApplyResult, times: Times, waited: StatusSummary | None = None, screen: Screen = _PLAIN
) -> Iterator[str]:
    """Describe the result of one manifest: counts, rejected rows, final statuses and why workflows failed."""
    for row in applied.rejected[:_MOST_REJECTED]:
        yield f"  {screen.paint('red', '✗')} {printable(row.spec.id)}  {printable(row.reason)}"
    if len(applied.rejected) > _MOST_REJECTED:
        yield f"  … and {len(applied.rejected) - _MOST_REJECTED:,} more"
    name = applied.plan.name
    yield "  ".join(_summary_parts(applied, times.enqueuing.get(name)))
    if applied.wait is not None:
        yield _describe_wait(applied.wait, times.waiting.get(name))
    if waited is not None:
        yield from failure_lines(screen, waited, _status_command(applied.plan))


def _summary_parts(applied: ApplyResult, seconds: float | None) -> Iterator[str]:
    """Yield what was enqueued, where, how long it took, and whether the lockfile was written."""
    plan, counts = applied.plan, ["Nothing to enqueue"]
    if plan.to_enqueue:
        counts = [f"Enqueued {applied.enqueued:,} of {plan.to_enqueue:,}"]
    if applied.existing:
        counts.append(f"{applied.existing:,} enqueued by another writer meanwhile")
    if applied.held:
        counts.append(f"{applied.held:,} held by another workflow")
    if applied.rejected:
        counts.append(f"{len(applied.rejected):,} failed")
    yield ", ".join(counts)
    target = plan.origin.target
    yield printable(f"{plan.name} → {target}" if target else plan.name)
    if seconds is not None:
        yield show_seconds(seconds)
    written = "written" if applied.lock_written else "unchanged"
    yield f"lockfile {printable(str(applied.lock_path))} {written}"


def _status_command(plan: ManifestPlan) -> StatusCommand:
    """Return the command that shows the status of a manifest."""
    target = plan.origin.target
    return StatusCommand((), (("--target", target),) if target else ()).of_file(plan.file)


def _describe_wait(wait: WaitResult, seconds: float | None) -> str:
    statuses = Counter(final.status for final in wait.final.values())
    statuses.update(wait.pending.values())
    counts = describe_statuses(statuses, len(wait.disappeared))
    if not counts:
        return "Finished: nothing to wait for"
    if wait.pending:
        after = "" if seconds is None else f" after {show_seconds(seconds)}"
        return f"Not finished{after}: {counts}"
    return f"Finished: {counts}{'' if seconds is None else f' in {show_seconds(seconds)}'}"


def applied_json(outcome: ApplyOutcome) -> str:
    """Return the results of apply as one document, also if it refused or failed."""
    document = {"format_version": FORMAT_VERSION, **applied_document(outcome)}
    return to_json(document, indent=2)


def applied_document(outcome: ApplyOutcome) -> dict[str, object]:
    """Return the results as JSON values; a manifest that was not reached has its plan only."""
    by_name = {applied.plan.name: applied for applied in outcome.results}
    document: dict[str, object] = {
        "manifests": [_manifest_json(plan, by_name.get(plan.name), outcome) for plan in outcome.plans],
    }
    if (error := outcome.failure) is not None:
        document["error"] = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
    return document


def _manifest_json(
    plan: ManifestPlan, applied: ApplyResult | None, outcome: ApplyOutcome
) -> dict[str, object]:
    out: dict[str, object] = {
        "name": plan.name,
        "counts": plan.summary.as_json(),
        "refusals": [change_json(change, show_values=False) for change in plan.refusals],
        "findings": [
            {"code": f.code, "severity": f.severity.value, "message": f.message} for f in plan.diagnostics
        ],
    }
    if applied is None:
        return out
    out |= {
        "enqueued": applied.enqueued,
        "existing": applied.existing,
        "held": applied.held,
        "failed": [{"id": row.spec.id, "reason": row.reason} for row in applied.rejected],
        "lockfile": str(applied.lock_path),
        "lockfile_written": applied.lock_written,
    }
    if applied.wait is not None:
        wait: dict[str, object] = {
            "final": {
                workflow_id: {
                    "status": final.status,
                    "completed_at": _time_or_none(final.completed_at_ms),
                    **_error_json(outcome.failed_rows.get(workflow_id)),
                }
                for workflow_id, final in applied.wait.final.items()
            },
            "pending": applied.wait.pending,
            "gone": applied.wait.disappeared,
        }
        if plan.name in outcome.waited:
            wait["failures"] = [*map(failure_json, outcome.waited[plan.name].failures)]
        out["wait"] = wait
    return out


def _error_json(row: LiveRow | None) -> dict[str, object]:
    return {} if row is None else {"error": error_message(row)}


def _time_or_none(epoch_ms: int | None) -> str | None:
    return None if epoch_ms is None else format_timestamp(epoch_ms)


def rejected_diagnostics(results: Sequence[ApplyResult]) -> list[Diagnostic]:
    """Make a diagnostic of each workflow that could not be enqueued, placed at its entry."""
    return [
        make_diagnostic(
            "not-enqueued",
            f"`{row.spec.id}` was not enqueued: {row.reason}",
            ("workflows", row.spec.entry, "id"),
        ).in_file(applied.plan.file, applied.plan.origin.document)
        for applied in results
        for row in applied.rejected
    ]


def applied_markdown(outcome: ApplyOutcome, times: Times) -> str:
    """Render the results as the section that follows the plan."""

    def lines() -> Iterator[str]:
        yield from ("", "### Applied", "")
        for applied in outcome.results:
            for line in applied_lines(applied, times):
                yield f"- {code(line.strip())}"
            if applied.plan.name in outcome.waited:
                yield from ("", *failure_rows(outcome.waited[applied.plan.name]))
        if outcome.failure is not None:
            yield f"- ❌ {code(outcome.failure.message)}"

    return fit(lines())


class ApplyEvents:
    """Write what apply does as JSON lines, while it happens. `type` names the kind of line."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def _event(self, kind: str, **fields: object) -> None:
        self._write(f"{to_json({'type': kind, 'format_version': FORMAT_VERSION, **fields})}\n")

    def plans(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        """Write the summary of each plan."""
        for plan in plans:
            self._event("plan", **summary_json(plan, strict))

    def retry(self, notice: RetryNotice) -> None:
        """Write that a step failed and is retried."""
        wait_ms = round(notice.wait_s * 1000)
        self._event("retry", attempt=notice.attempt, reason=notice.reason, wait_ms=wait_ms)

    def progress(self, progress: Progress) -> None:
        self._event("progress", manifest=progress.manifest, enqueued=progress.enqueued, total=progress.total)

    def finish(self, outcome: ApplyOutcome) -> None:
        """Write each rejected workflow, then the whole result."""
        for applied in outcome.results:
            for row in applied.rejected:
                self._event("failed", manifest=applied.plan.name, id=row.spec.id, reason=row.reason)
        self._event("summary", **applied_document(outcome))
