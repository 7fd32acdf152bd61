"""Make the views of `status`: one for each format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..planning.status_table import StatusSummary
from ..planning.workflow_status import WorkflowStatus
from ..report.screen import Screen
from ..report.status_command import StatusCommand
from ..report.status_csv import StatusCsv
from ..report.status_html import StatusHtml
from ..report.status_json import StatusIds, StatusJson, StatusJsonLines
from ..report.status_markdown import StatusMarkdown
from ..report.status_text import StatusText, status_line
from .output_targets import Sink
from .screens import make_screen
from .terminal import on_terminal

STATUS_FORMATS = ("text", "json", "jsonl", "ids", "markdown", "csv", "html")


class StatusView(Protocol):
    """Takes workflows as they are read, and the summaries at the end."""

    def add(self, found: WorkflowStatus) -> None: ...

    def finish(self, summaries: Sequence[StatusSummary]) -> None: ...


class TextView:
    """Writes a line for each workflow if they are listed, then the summaries."""

    def __init__(self, sink: Sink, text: StatusText, screen: Screen, listed: bool, show_values: bool) -> None:
        self._write = sink.write
        self._text = text
        self._screen = screen
        self._listed = listed
        self._show_values = show_values
        self._has_lines = False

    def add(self, found: WorkflowStatus) -> None:
        if self._listed:
            self._write(f"{status_line(self._screen, found, show_values=self._show_values)}\n")
            self._has_lines = True

    def finish(self, summaries: Sequence[StatusSummary]) -> None:
        if self._has_lines:
            self._write("\n")
        for line in self._text.lines(summaries):
            self._write(f"{line}\n")


def make_status_view(
    sink: Sink,
    axes: Sequence[str],
    *,
    by: Sequence[str],
    command: StatusCommand,
    listed: bool,
    show_values: bool | None,
) -> StatusView:
    """Make the view of a format. Values are shown on a terminal or with --show-values."""
    values = bool(show_values)
    if sink.format == "json":
        return StatusJson(sink.write, values)
    if sink.format == "jsonl":
        return StatusJsonLines(sink.write, values)
    if sink.format == "ids":
        return StatusIds(sink.write)
    if sink.format == "csv":
        return StatusCsv(sink.write, axes)
    if sink.format == "markdown":
        return StatusMarkdown(sink.write)
    if sink.format == "html":
        return StatusHtml(sink.write, command)
    screen = make_screen(sink.paint)
    shown = on_terminal() if show_values is None else show_values
    return TextView(sink, StatusText(screen, by, command), screen, listed, shown)
