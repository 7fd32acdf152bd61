"""Render the status of workflows as CSV: a line for each workflow, with a column for each axis."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import Protocol

from ..planning.axis_columns import text_of
from ..planning.status_table import StatusSummary
from ..planning.workflow_status import WorkflowStatus
from .status_json import time_json
from .text import plain_value, printable

_COLUMNS = (
    "manifest", "id", "workflow", "status", "queue", "attempts", "created_at", "started_at", "completed_at",
    "queued_ms", "ran_ms", "error_name", "error_message", "step_number", "step_name",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@")


class _Writer(Protocol):
    def writerow(self, row: Sequence[object], /) -> object: ...


class StatusCsv:
    """Write CSV. A text that a spreadsheet would run as a formula begins with an apostrophe."""

    def __init__(self, write: Callable[[str], object], axes: Sequence[str]) -> None:
        """Write the header. `axes` are the names of all axes; a column of one is `axis.NAME`."""
        self._axes = axes
        self._writer: _Writer = csv.writer(_File(write), lineterminator="\n")
        self._writer.writerow([*_COLUMNS, *(f"axis.{name}" for name in axes)])

    def add(self, found: WorkflowStatus) -> None:
        """Write a workflow."""
        row, failure = found.row, found.failure
        cells: list[object] = [found.manifest, found.id, found.spec.workflow, found.status]
        if row is None:
            cells += [None] * (len(_COLUMNS) - len(cells))
        else:
            durations = found.durations or (None, None)
            times = map(time_json, (row.created_at_ms, row.started_at_ms, row.completed_at_ms))
            cells += [row.queue, row.attempts, *times, *durations]
            cells += [failure.name, failure.message] if failure is not None else [None, None]
            step = failure.step if failure is not None else None
            cells += [step.number, step.name] if step is not None else [None, None]
        axes = found.axes
        for name in self._axes:
            value = axes.get(name)
            cells.append(value if value is None or type(value) is int else text_of(plain_value(value)))
        self._writer.writerow([_safe(cell) for cell in cells])

    def finish(self, summaries: Sequence[StatusSummary]) -> None:
        """Write nothing more."""


class _File:
    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write


def _safe(cell: object) -> object:
    """Escape a text: control characters, and what a spreadsheet would run."""
    if not isinstance(cell, str):
        return cell
    text = printable(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
