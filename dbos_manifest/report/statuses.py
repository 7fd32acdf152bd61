"""Render the DBOS status of workflows as text and JSON. Only JSON results are decoded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator

from ..core.units import format_timestamp
from ..planning.results import WorkflowStatus
from ..planning.rows import NOT_ENQUEUED, LiveRow
from .text import Paint, plain, plain_value, printable, shorten, show_value, to_json

FORMAT_VERSION = 1
_STYLES = {"SUCCESS": "green", "ERROR": "red", "CANCELLED": "yellow", NOT_ENQUEUED: "dim"}
_JSON_FORMATS = ("portable_json", "rust_serde")  # Rust's own format is plain JSON
_MISSING = object()


def read_json(row: LiveRow, text: str | None) -> object:
    """Decode an output or error. Returns a marker if it is absent or its format is not JSON."""
    if text is None or row.serialization not in _JSON_FORMATS:
        return _MISSING
    try:
        return plain_value(json.loads(text))
    except (ValueError, RecursionError):
        return _MISSING


def not_json(text: str) -> str:
    """Describe a text that is invalid although its serialization is JSON."""
    return f"(not JSON) {shorten(printable(text), 60)}"


def read_error(row: LiveRow) -> dict[str, object] | None:
    """Return the error of a failed workflow in one shape for all SDKs: {"name", "message", "code"?, "data"?}.

    None without an error; only a message if the error is not JSON. Source: DBOS's portable errors, and what
    older workers write under the same name (Rust 0.5: {variant: the error}).
    """
    if row.error is None:
        return None
    error = read_json(row, row.error)
    if error is _MISSING:
        if row.serialization in _JSON_FORMATS:
            return {"message": not_json(row.error)}
        return {
            "message": f"(an error in the format {row.serialization or 'unknown'}, which cannot be decoded)"
        }
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return error
    name, content = "error", error
    if isinstance(error, dict) and len(error) == 1:
        ((name, content),) = error.items()
    message = content.get("message") if isinstance(content, dict) else content
    if not isinstance(message, str):
        message = show_value(content, 200)
    return {"name": name, "message": message, "data": content}


def error_message(row: LiveRow) -> str | None:
    """Return the error as `ValueError: no such region`; None without an error."""
    error = read_error(row)
    if error is None:
        return None
    message = str(error["message"])
    if "name" not in error:
        return message
    name = error["name"] or "error"
    return f"{name if isinstance(name, str) else show_value(name)}: {message}"


def status_lines(statuses: Iterable[WorkflowStatus], paint: Paint = plain) -> Iterator[str]:
    """Yield one line per workflow, then the counts."""
    counts: Counter[str] = Counter()
    for status in statuses:
        counts[status.status] += 1
        detail = ""
        if status.row is not None and status.row.error is not None:
            detail = f"  {shorten(printable(error_message(status.row) or ''), 120)}"
        elif status.row is not None:
            detail = _describe_output(status.row)
        state = paint(_STYLES.get(status.status, "cyan"), f"{printable(status.status):<12}")
        yield f"{state}  {printable(status.spec.id)}{detail}"
    total = ", ".join(f"{count:,} {printable(name)}" for name, count in sorted(counts.items()))
    yield f"Status: {total or 'no workflows'}"


def _describe_output(row: LiveRow) -> str:
    output = read_json(row, row.output)
    if output is not _MISSING:
        return f"  {show_value(output)}"
    unreadable = row.output is not None and row.serialization in _JSON_FORMATS
    return f"  {not_json(row.output or '')}" if unreadable else ""


def statuses_json(statuses: Iterable[WorkflowStatus]) -> Iterator[str]:
    """Yield the statuses as one JSON document, in pieces."""
    counts: Counter[str] = Counter()
    yield f'{{"format_version": {FORMAT_VERSION}, "workflows": ['
    separator = "\n  "
    for status in statuses:
        counts[status.status] += 1
        yield separator + to_json(_status_json(status))
        separator = ",\n  "
    yield f'\n], "counts": {to_json(dict(sorted(counts.items())))}}}\n'


def _status_json(status: WorkflowStatus) -> dict[str, object]:
    row = status.row
    out: dict[str, object] = {
        "manifest": status.manifest,
        "id": status.spec.id,
        "workflow": status.spec.workflow,
        "status": status.status,
    }
    if row is None:
        return out
    out |= {
        "queue": row.queue,
        "created_at": format_timestamp(row.created_at_ms),
        "started_at": None if row.started_at_ms is None else format_timestamp(row.started_at_ms),
        "completed_at": None if row.completed_at_ms is None else format_timestamp(row.completed_at_ms),
    }
    if (error := read_error(row)) is not None:  # Go also writes an empty output
        out["error"] = error
    elif (output := read_json(row, row.output)) is not _MISSING:
        out["output"] = output
    return out
