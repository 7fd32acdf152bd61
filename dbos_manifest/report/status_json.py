"""Render the status of workflows as JSON, JSON lines and IDs. Only JSON results are decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from ..core.units import format_timestamp
from ..planning.failure_digest import FailureGroup
from ..planning.status_cells import StatusCell
from ..planning.status_table import StatusSummary
from ..planning.workflow_status import WorkflowStatus
from .stored_results import MISSING, read_error, read_json
from .text import id_line, plain_value, to_json

FORMAT_VERSION = 1
_Write = Callable[[str], object]


class StatusJson:
    """Write one document: the workflows as they arrive, then the summaries."""

    def __init__(self, write: _Write, show_values: bool) -> None:
        self._write = write
        self._show_values = show_values
        self._separator = "\n  "
        write(f'{{"format_version": {FORMAT_VERSION}, "workflows": [')

    def add(self, found: WorkflowStatus) -> None:
        """Write a workflow."""
        self._write(self._separator + to_json(workflow_json(found, self._show_values)))
        self._separator = ",\n  "

    def finish(self, summaries: Sequence[StatusSummary]) -> None:
        """Write the end of the document."""
        manifests = ",\n  ".join(to_json(_summary_json(summary)) for summary in summaries)
        counts = to_json(_total_counts(summaries))
        self._write(f'\n], "manifests": [\n  {manifests}\n], "counts": {counts}}}\n')


class StatusJsonLines:
    """Write a line for each workflow, then one for each manifest. `type` names the kind of line."""

    def __init__(self, write: _Write, show_values: bool) -> None:
        self._write = write
        self._show_values = show_values

    def add(self, found: WorkflowStatus) -> None:
        """Write a workflow."""
        self._line("workflow", workflow_json(found, self._show_values))

    def finish(self, summaries: Sequence[StatusSummary]) -> None:
        """Write the summaries."""
        for summary in summaries:
            self._line("manifest", _summary_json(summary))

    def _line(self, kind: str, fields: dict[str, object]) -> None:
        self._write(f"{to_json({'type': kind, 'format_version': FORMAT_VERSION, **fields})}\n")


class StatusIds:
    """Write the ID of each workflow."""

    def __init__(self, write: _Write) -> None:
        self._write = write

    def add(self, found: WorkflowStatus) -> None:
        self._write(id_line(found.id))

    def finish(self, summaries: Sequence[StatusSummary]) -> None:
        """Write nothing more."""


def workflow_json(found: WorkflowStatus, show_values: bool) -> dict[str, object]:
    """Return a workflow as JSON values; its output only with `show_values`."""
    row = found.row
    out: dict[str, object] = {
        "manifest": found.manifest,
        "id": found.id,
        "workflow": found.spec.workflow,
        "status": found.status,
        "axes": plain_value(found.axes),
    }
    if row is None:
        return out
    durations = found.durations
    out |= {
        "queue": row.queue,
        "attempts": row.attempts,
        "created_at": format_timestamp(row.created_at_ms),
        "started_at": time_json(row.started_at_ms),
        "completed_at": time_json(row.completed_at_ms),
        "queued_ms": durations.queued_ms if durations is not None else None,
        "ran_ms": durations.ran_ms if durations is not None else None,
    }
    if found.failure is not None and found.failure.step is not None:
        out["step"] = found.failure.step._asdict()
    if (error := read_error(row)) is not None:  # Go also writes an empty output
        out["error"] = error
    elif show_values and (output := read_json(row, row.output)) is not MISSING:
        out["output"] = output
    return out


def time_json(epoch_ms: int | None) -> str | None:
    """Return a stored time as text."""
    return None if epoch_ms is None else format_timestamp(epoch_ms)


def _summary_json(summary: StatusSummary) -> dict[str, object]:
    return {
        "name": summary.manifest,
        "file": summary.file,
        "as_of": format_timestamp(summary.as_of_ms),
        "counts": _counts(summary.total.counts),
        "by": list(summary.by),
        "rows": [_cell_json(summary.by, key, cell) for key, cell in summary.cells.items()],
        "failures": [*map(failure_json, summary.failures)],
        "steps_known": summary.steps_known,
    }


def _cell_json(by: Sequence[str], key: Sequence[str], cell: StatusCell) -> dict[str, object]:
    return {
        "values": dict(zip(by, key, strict=True)),
        "counts": _counts(cell.counts),
        "ran_ms": {"p50": cell.percentile(50), "p90": cell.percentile(90)},
        "last_completed_at": time_json(cell.last_ms),
    }


def failure_json(group: FailureGroup) -> dict[str, object]:
    """Return a group of failed workflows as JSON values."""
    condition = group.condition
    return {
        "count": group.size,
        "statuses": _counts(group.statuses),
        "name": group.name,
        "message": group.message,
        "step": None if group.step is None else group.step._asdict(),
        "first_completed_at": time_json(group.first_ms),
        "last_completed_at": time_json(group.last_ms),
        "examples": list(group.examples),
        "condition": None
        if condition is None
        else {
            "select": condition.text,
            "covered": condition.covered,
            "finished": condition.matching,
            "terms": [term._asdict() for term in condition.terms],
        },
    }


def _counts(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _total_counts(summaries: Sequence[StatusSummary]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for summary in summaries:
        total += summary.total.counts
    return _counts(total)
