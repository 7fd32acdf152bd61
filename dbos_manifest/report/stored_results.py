"""Decode stored errors and outputs for display. Only JSON is decoded, never a pickled or native value."""

from __future__ import annotations

import json

from ..planning.rows import LiveRow
from .text import plain_value, printable, shorten, show_value

_JSON_FORMATS = ("portable_json", "rust_serde")  # Rust's own format is plain JSON
MISSING = object()


def read_json(row: LiveRow, text: str | None) -> object:
    """Decode an output or error. Returns MISSING if it is absent or its format is not JSON."""
    if text is None or row.serialization not in _JSON_FORMATS:
        return MISSING
    try:
        return plain_value(json.loads(text))
    except (ValueError, RecursionError):
        return MISSING


def _not_json(text: str) -> str:
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
    if error is MISSING:
        if row.serialization in _JSON_FORMATS:
            return {"message": _not_json(row.error)}
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


def error_parts(row: LiveRow) -> tuple[str | None, str | None]:
    """Return name and message of the error; the name is None where it is unknown, both without an error."""
    error = read_error(row)
    if error is None:
        return None, None
    message = str(error["message"])
    if "name" not in error:
        return None, message
    name = error["name"] or "error"
    return (name if isinstance(name, str) else show_value(name)), message


def error_message(row: LiveRow) -> str | None:
    """Return the error as `ValueError: no such region`; None without an error."""
    name, message = error_parts(row)
    return message if name is None else f"{name}: {message}"


def describe_output(row: LiveRow) -> str | None:
    """Return the output on one line; None without one, or if its format is not JSON."""
    output = read_json(row, row.output)
    if output is not MISSING:
        return show_value(output)
    unreadable = row.output is not None and row.serialization in _JSON_FORMATS
    return _not_json(row.output or "") if unreadable else None
