"""Render the status of manifests for a terminal: counts, a table or calendar by axis, and the failures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from ..core.plural import count_of
from ..core.units import describe_duration, format_timestamp
from ..planning.rows import FINAL_STATUSES
from ..planning.status_cells import StatusCell
from ..planning.status_table import StatusSummary, order_statuses
from ..planning.workflow_status import WorkflowStatus
from .axis_table import axis_table_lines
from .calendar import calendar_lines, find_date_axis, group_by_day
from .failure_text import MOST_GROUPS, failure_lines
from .screen import Cell, Screen, table_lines
from .status_command import StatusCommand
from .status_marks import describe_status, mark_of_status
from .stored_results import describe_output, error_message
from .text import count_cells, printable, shorten

_MOST_CALENDARS = 12
_LONGEST_BAR = 40
_LONGEST_HEADING = 12


def status_line(screen: Screen, found: WorkflowStatus, *, show_values: bool) -> str:
    """Return the line of one workflow: status, ID, durations, attempts, and its error or output."""
    status = printable(found.status)
    style = mark_of_status(found.status).style
    parts = [screen.paint(style, f"{status:<{_LONGEST_HEADING}}"), printable(found.id)]
    if times := ", ".join(_describe_times(found)):
        parts.append(screen.paint("dim", times))
    if found.row is not None and found.row.error is not None:
        parts.append(shorten(printable(error_message(found.row) or ""), 120))
    elif found.row is not None and show_values and (output := describe_output(found.row)):
        parts.append(output)
    return "  ".join(parts)


def _describe_times(found: WorkflowStatus) -> Iterator[str]:
    if found.row is None or found.durations is None:
        return
    queued_ms, ran_ms = found.durations
    if queued_ms is not None:
        yield f"queued {describe_duration(queued_ms)}"
    if ran_ms is not None:
        yield f"{'ran' if found.status in FINAL_STATUSES else 'running'} {describe_duration(ran_ms)}"
    attempts = found.row.attempts
    if type(attempts) is int and attempts > 1:
        yield f"{attempts:,} attempts"


class StatusText:
    """Lays out summaries on a screen."""

    def __init__(self, screen: Screen, by: Sequence[str], command: StatusCommand) -> None:
        """Prepare a view. `command` shows the status of all manifests."""
        self._screen = screen
        self._by = by
        self._command = command

    def lines(self, summaries: Sequence[StatusSummary]) -> Iterator[str]:
        """Yield the summary of each manifest, and the total of several."""
        for place, summary in enumerate(summaries):
            if place:
                yield ""
            command = self._command.of_file(summary.file) if len(summaries) > 1 else self._command
            yield from self._summary(summary, command)
        if len(summaries) > 1:
            total: StatusCell = StatusCell()
            for summary in summaries:
                total.counts += summary.total.counts
            yield ""
            yield f"Total of {count_of(len(summaries), 'manifest')}: {count_of(total.size, 'workflow')}"
            yield from self._counts(total)

    def _summary(self, summary: StatusSummary, command: StatusCommand) -> Iterator[str]:
        yield from self._header(summary)
        yield ""
        yield from self._counts(summary.total)
        if summary.by and summary.cells and self._by != ("error",) and self._by != ("status",):
            yield ""
            yield from self._by_axis(summary)
        if summary.failures:
            yield ""
            most = None if self._by == ("error",) else MOST_GROUPS
            yield from failure_lines(self._screen, summary, command, most)

    def _header(self, summary: StatusSummary) -> Iterator[str]:
        """Yield name, file, target and time, on two lines where one is too short."""
        width, paint = self._screen.width, self._screen.paint
        name = self._screen.fit(printable(summary.manifest), width // 2)
        as_of = f"as of {format_timestamp(summary.as_of_ms // 1000 * 1000)}"
        arrow = "→" if self._screen.has_unicode else "->"
        place = f"{printable(summary.file)} {arrow} {printable(summary.place)}"
        room = width - count_cells(name) - count_cells(place) - 2
        if room >= len(as_of) + 2:
            yield f"{paint('bold', name)}  {place}{paint('dim', as_of.rjust(room))}"
            return
        yield f"{paint('bold', name)}  {self._screen.fit(place, max(width - count_cells(name) - 2, 20))}"
        yield paint("dim", as_of)

    def _counts(self, total: StatusCell) -> Iterator[str]:
        if not total.size:
            yield "  no workflows"
            return
        statuses = order_statuses([*total.counts])
        rows = [
            [Cell(describe_status(status), mark_of_status(status).style), Cell(f"{total.counts[status]:,}"),
             Cell(describe_share(total.counts[status], total.size))]
            for status in statuses
        ]  # fmt: skip
        lines = [*table_lines(self._screen, rows)]
        plain_lines = table_lines(Screen(self._screen.width), rows)
        room = self._screen.width - max(map(count_cells, plain_lines)) - 3
        for status, line in zip(statuses, lines, strict=True):
            share = total.counts[status] / total.size
            bar = self._screen.bar(share, min(room, _LONGEST_BAR)) if room >= 8 else ""
            yield f"{line}   {self._screen.paint(mark_of_status(status).style, bar)}".rstrip()

    def _by_axis(self, summary: StatusSummary) -> Iterator[str]:
        """Yield a calendar where one of the axes has dates, else a table."""
        place = find_date_axis(summary.cells)
        if place is None:
            yield from axis_table_lines(self._screen, summary)
            return
        calendars = group_by_day(summary.cells, place, StatusCell)
        others_names = summary.by[:place] + summary.by[place + 1 :]
        for number, (others, days) in enumerate(islice(calendars.items(), _MOST_CALENDARS)):
            if number:
                yield ""
            if others:
                pairs = zip(others_names, others, strict=True)
                title = ", ".join(f"{name} {printable(value)}" for name, value in pairs)
                yield self._screen.paint("bold", self._screen.fit(title, self._screen.width))
            yield from calendar_lines(self._screen, {day: cell.counts for day, cell in days.items()})
        dated = sum(cell.size for days in calendars.values() for cell in days.values())
        if undated := sum(cell.size for cell in summary.cells.values()) - dated:
            verb = count_of(undated, "workflow has", "workflows have")
            yield f"  {verb} no date in {printable(summary.by[place])}"
        if len(calendars) > _MOST_CALENDARS:
            yield f"  {count_of(len(calendars) - _MOST_CALENDARS, 'more calendar')}: use --select"


def describe_share(count: int, total: int) -> str:
    """Return a share, rounded so that only all is 100 % and none is 0 %."""
    if count == total:
        return "100 %"
    return f"{min(max(100 * count / total, 0.1), 99.9):.1f} %"
