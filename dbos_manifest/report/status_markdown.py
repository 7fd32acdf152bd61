"""Render the status of manifests as Markdown, for a comment or a job summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..core.units import describe_duration, format_timestamp
from ..planning.rows import FAILED_STATUSES
from ..planning.status_table import StatusSummary, order_statuses
from ..planning.workflow_status import WorkflowStatus
from .failure_text import describe_condition, describe_error, describe_step
from .markdown import code, fit, fold
from .status_marks import describe_status

_MOST_ROWS = 100
_MOST_GROUPS = 50


class StatusMarkdown:
    """Write, for each manifest: counts, failures, and a table by axis."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def add(self, found: WorkflowStatus) -> None:
        """Skip a workflow: only summaries are written."""

    def finish(self, summaries: Sequence[StatusSummary]) -> None:
        """Write the summaries."""
        self._write(fit(line for summary in summaries for line in _lines(summary)))


def _lines(summary: StatusSummary) -> Iterator[str]:
    total = summary.total
    mark = "❌" if total.failed else "⏳" if total.unfinished else "✅"
    yield f"### Status of {code(summary.manifest)} → {code(summary.place)} {mark}"
    yield from ("", f"As of {format_timestamp(summary.as_of_ms // 1000 * 1000)}.", "")
    if total.size:
        yield from ("| status | workflows | |", "|---|--:|--:|")
        for status in order_statuses([*total.counts]):
            count = total.counts[status]
            yield f"| {code(describe_status(status))} | {count:,} | {100 * count / total.size:.1f} % |"
        yield ""
    if summary.failures:
        yield from failure_rows(summary)
    if summary.by and summary.cells:
        yield from fold(f"By {', '.join(map(code, summary.by))}", _table(summary))


def failure_rows(summary: StatusSummary) -> Iterator[str]:
    """Yield the table of the groups of failed workflows."""
    yield from ("| failed | error | step | which | since |", "|--:|---|---|---|---|")
    for group in summary.failures[:_MOST_GROUPS]:
        condition = "; ".join(describe_condition(group) or ())
        cells = [code(describe_error(group)), describe_step(group), condition]
        cells[1:] = [code(text) if text else "" for text in cells[1:]]
        since = format_timestamp(group.first_ms // 1000 * 1000) if group.first_ms is not None else ""
        yield f"| {group.size:,} | {' | '.join(map(str, cells))} | {since} |"
    if len(summary.failures) > _MOST_GROUPS:
        yield f"| | … and {len(summary.failures) - _MOST_GROUPS:,} more groups | | | |"
    yield ""


def _table(summary: StatusSummary) -> Iterator[str]:
    statuses = order_statuses([*summary.total.counts])
    headings = [*map(code, summary.by), *map(code, statuses), "run p50", "run p90"]
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(summary.by)}{'--:|' * (len(statuses) + 2)}"
    cells = [*summary.cells.items()]
    if len(cells) > _MOST_ROWS:
        cells.sort(key=lambda item: -item[1].failed)
    for key, cell in cells[:_MOST_ROWS]:
        counts = [_bold(cell.counts[status], status) for status in statuses]
        times = [cell.percentile(percent) for percent in (50, 90)]
        texts = ["" if time is None else describe_duration(time) for time in times]
        yield f"| {' | '.join([*map(code, key), *counts, *texts])} |"
    if len(cells) > _MOST_ROWS:
        yield f"\n… and {len(cells) - _MOST_ROWS:,} more rows, with fewer failures"


def _bold(count: int, status: str) -> str:
    return f"**{count:,}**" if count and status in FAILED_STATUSES else f"{count:,}"
