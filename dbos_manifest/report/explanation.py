"""Render the origin of a workflow as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.diagnostic import Span, format_path
from ..core.units import format_duration, format_timestamp
from ..planning.explanation import Explanation, Origin
from ..workflows.batch import Batch
from ..workflows.digest import compute_digests
from ..workflows.options import TIME_OPTIONS
from .stored_results import error_message
from .text import Paint, plain, printable, show_value, to_json

FORMAT_VERSION = 1


def _value(origin: Origin) -> object:
    if origin.option not in TIME_OPTIONS:
        return origin.value
    assert isinstance(origin.value, int)
    is_duration = origin.option in ("timeout", "delay")
    return format_duration(origin.value) if is_duration else format_timestamp(origin.value)


def _place(span: Span | None) -> str:
    return f"{span.file}:{span.line}" if span else "?"


def explanation_lines(explanation: Explanation, paint: Paint = plain) -> Iterator[str]:
    """Describe the workflow: its axis values, options with their origin, digest, lock entry and row."""
    spec = explanation.spec
    label = f" ({spec.name})" if spec.name else ""
    yield paint("bold", printable(spec.id))
    yield f"  entry   workflows[{spec.entry}]{printable(label)} at {printable(_place(explanation.span))}"
    for name, value in explanation.binding.items():
        yield f"  axis    {name} = {show_value(value)}"
    for origin in explanation.origins:
        made = origin.layer == "made"
        where = "generated from the workflow" if made else f"{origin.layer}, {_place(origin.span)}"
        yield f"  option  {origin.option} = {show_value(_value(origin))}  ({printable(where)})"
    yield f"  digest  {_digest(explanation)}"
    yield f"  lock    {printable(_lock(explanation))}"
    if (row := explanation.row) is not None:
        text = f"{row.status}, enqueued {format_timestamp(row.created_at_ms)}"
        if row.completed_at_ms is not None:
            text += f", completed {format_timestamp(row.completed_at_ms)}"
        message = error_message(row)
        yield f"  row     {printable(text + (f': {message}' if message else ''))}"
    else:
        yield f"  row     {'none' if explanation.database_given else 'unknown: no database given'}"


def _digest(explanation: Explanation) -> str:
    return compute_digests(Batch.of([explanation.spec]))[0]


def _lock(explanation: Explanation) -> str:
    entry = explanation.lock_entry
    if entry is None:
        return f"no entry in {explanation.lock_path}" if explanation.lock_path else "no lockfile"
    same = "the same digest" if entry.digest == _digest(explanation) else f"digest {entry.digest}"
    parts = [f"enqueued {format_timestamp(entry.enqueued_at)}", same, entry.outcome, entry.status]
    return f"{explanation.lock_path}: {', '.join(part for part in parts if part)}"


def explanation_json(explanation: Explanation) -> str:
    """Return the origin of a workflow as one document."""
    spec, row, entry = explanation.spec, explanation.row, explanation.lock_entry
    document = {
        "format_version": FORMAT_VERSION,
        "id": spec.id,
        "manifest": explanation.manifest,
        "file": explanation.file,
        "line": explanation.span.line if explanation.span else None,
        "entry": spec.entry,
        "binding": explanation.binding,
        "options": {
            origin.option: {
                "value": _value(origin),
                "from": origin.layer,
                "path": format_path(origin.path),
                "line": origin.span.line if origin.span else None,
            }
            for origin in explanation.origins
        },
        "digest": _digest(explanation),
        "lock": entry and {"enqueued_at": format_timestamp(entry.enqueued_at), "digest": entry.digest,
                           "outcome": entry.outcome, "status": entry.status},
        "row": row and {"status": row.status, "created_at": format_timestamp(row.created_at_ms)},
    }  # fmt: skip
    return to_json(document, indent=2)
