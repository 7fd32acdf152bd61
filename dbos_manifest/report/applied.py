"""Render the results of apply as text, Markdown, JSON and JSON lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..actions.apply import ApplyResult
from ..actions.enqueue import Progress
from ..actions.plan import ManifestPlan
from ..core.diagnostic import Diagnostic, make_diagnostic
from ..core.errors import ManifestToolError
from ..core.units import format_timestamp
from ..plan.rows import LiveRow
from ..system_db.retry import RetryNotice
from .markdown import code, fit
from .plan_json import change_json, summary_json
from .statuses import error_message
from .text import Paint, count_of, plain, printable, to_json

FORMAT_VERSION = 1
_MOST_FAULTS = 20


def applied_lines(
    applied: ApplyResult, failures: Mapping[str, LiveRow], paint: Paint = plain
) -> Iterator[str]:
    """Describe the result of one manifest: counts, rejected rows and final statuses."""
    outcome = applied.outcome
    parts = [f"{outcome.enqueued:,} enqueued"]
    if outcome.existing:
        parts.append(f"{outcome.existing:,} enqueued by another writer meanwhile")
    if outcome.held:
        parts.append(f"{outcome.held:,} held by another workflow")
    if outcome.rejected:
        parts.append(f"{len(outcome.rejected):,} failed")
    for fault in outcome.rejected[:_MOST_FAULTS]:
        yield f"  {paint('red', '✗')} {printable(fault.spec.id)}  {printable(fault.reason)}"
    if len(outcome.rejected) > _MOST_FAULTS:
        yield f"  … and {len(outcome.rejected) - _MOST_FAULTS:,} more"
    written = "written" if applied.lock_written else "unchanged"
    name = printable(applied.plan.name)
    yield f"Applied {name}: {', '.join(parts)}; lockfile {printable(str(applied.lock_path))} {written}"
    if applied.wait is not None:
        yield from _wait_lines(applied, failures, paint)


def _wait_lines(applied: ApplyResult, failures: Mapping[str, LiveRow], paint: Paint) -> Iterator[str]:
    assert applied.wait is not None
    for workflow_id, row in failures.items():
        if workflow_id in applied.wait.final:
            message = error_message(row)
            detail = f": {message}" if message else ""
            yield f"  {paint('red', '✗')} {printable(workflow_id)}  {row.status}{printable(detail)}"
    counts = Counter(final.status for final in applied.wait.final.values())
    parts = [f"{count:,} {status}" for status, count in sorted(counts.items())]
    if applied.wait.pending:
        still = Counter(applied.wait.pending.values())
        parts.append(f"{count_of(len(applied.wait.pending), 'workflow')} not finished ({_counts(still)})")
    if applied.wait.gone:
        parts.append(f"{count_of(len(applied.wait.gone), 'row')} disappeared")
    yield f"Waited: {', '.join(parts) or 'nothing to wait for'}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()))


def applied_json(
    plans: Sequence[ManifestPlan],
    results: Sequence[ApplyResult],
    failures: Mapping[str, LiveRow],
    error: ManifestToolError | None,
) -> str:
    """Return the results of apply as one document, also if it refused or failed."""
    document = {"format_version": FORMAT_VERSION, **applied_document(plans, results, failures, error)}
    return to_json(document, indent=2)


def applied_document(
    plans: Sequence[ManifestPlan],
    results: Sequence[ApplyResult],
    failures: Mapping[str, LiveRow],
    error: ManifestToolError | None,
) -> dict[str, Any]:
    """Return the results as JSON values; a manifest that was not reached has its plan only."""
    by_name = {applied.plan.name: applied for applied in results}
    document: dict[str, Any] = {
        "manifests": [_manifest_json(plan, by_name.get(plan.name), failures) for plan in plans],
    }
    if error is not None:
        document["error"] = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
    return document


def _manifest_json(
    plan: ManifestPlan, applied: ApplyResult | None, failures: Mapping[str, LiveRow]
) -> dict[str, Any]:
    out: dict[str, Any] = {
        "name": plan.name,
        "counts": plan.summary.as_json(),
        "refusals": [change_json(change, show_values=False) for change in plan.refusals],
        "findings": [
            {"code": f.code, "severity": f.severity.value, "message": f.message} for f in plan.findings
        ],
    }
    if applied is None:
        return out
    outcome = applied.outcome
    out |= {
        "enqueued": outcome.enqueued,
        "existing": outcome.existing,
        "held": outcome.held,
        "failed": [{"id": fault.spec.id, "reason": fault.reason} for fault in outcome.rejected],
        "lockfile": str(applied.lock_path),
        "lockfile_written": applied.lock_written,
    }
    if applied.wait is not None:
        out["wait"] = {
            "final": {
                workflow_id: {
                    "status": final.status,
                    "completed_at": _time_or_none(final.completed_at_ms),
                    **({"error": error_message(failures[workflow_id])} if workflow_id in failures else {}),
                }
                for workflow_id, final in applied.wait.final.items()
            },
            "pending": applied.wait.pending,
            "gone": applied.wait.gone,
        }
    return out


def _time_or_none(epoch_ms: int | None) -> str | None:
    return None if epoch_ms is None else format_timestamp(epoch_ms)


def fault_diagnostics(results: Sequence[ApplyResult]) -> list[Diagnostic]:
    """Make a diagnostic of each workflow that could not be enqueued, placed at its entry."""
    return [
        make_diagnostic(
            "not-enqueued",
            f"`{fault.spec.id}` was not enqueued: {fault.reason}",
            ("workflows", fault.spec.entry, "id"),
            file=applied.plan.file,
            document=applied.plan.source.document,
        )
        for applied in results
        for fault in applied.outcome.rejected
    ]


def applied_markdown(
    results: Sequence[ApplyResult], failures: Mapping[str, LiveRow], error: ManifestToolError | None
) -> str:
    """Render the results as the section that follows the plan."""

    def lines() -> Iterator[str]:
        yield from ("", "### Applied", "")
        for applied in results:
            for line in applied_lines(applied, failures):
                yield f"- {code(line.strip())}"
        if error is not None:
            yield f"- ❌ {code(error.message)}"

    return fit(lines())


class ApplyEvents:
    """Write what apply does as JSON lines, while it happens. `type` names the kind of line."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def _event(self, kind: str, **fields: Any) -> None:
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
        """Write how many workflows of a manifest are enqueued."""
        self._event("chunk", manifest=progress.manifest, enqueued=progress.enqueued, total=progress.total)

    def finish(
        self,
        plans: Sequence[ManifestPlan],
        results: Sequence[ApplyResult],
        failures: Mapping[str, LiveRow],
        error: ManifestToolError | None,
    ) -> None:
        """Write each rejected workflow, then the whole result."""
        for applied in results:
            for fault in applied.outcome.rejected:
                self._event("failed", manifest=applied.plan.name, id=fault.spec.id, reason=fault.reason)
        self._event("summary", **applied_document(plans, results, failures, error))
