"""Render diagnostics as GitHub workflow commands."""

from __future__ import annotations

from ..core.diagnostic import Diagnostic
from .text import printable


def github_annotation(diagnostic: Diagnostic) -> str:
    """Return the workflow command that annotates the line. Nothing in the diagnostic can start a command.

    Source: GitHub Actions, workflow commands; the escapes are those of its own toolkit.
    """
    span = diagnostic.span
    where = {"file": diagnostic.file or ""}
    if span is not None:
        where = {"file": span.file, "line": str(span.line), "col": str(span.column)}
        if span.end_line == span.line:
            where["endColumn"] = str(max(span.end_column, span.column))
    where["title"] = diagnostic.code
    parts = (diagnostic.message, diagnostic.note, diagnostic.help)
    message = "\n".join(printable(part) for part in parts if part)
    properties = ",".join(f"{key}={_github_property(value)}" for key, value in where.items())
    return f"::{diagnostic.severity.value} {properties}::{_github_data(message)}"


def _github_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _github_property(text: str) -> str:
    return _github_data(printable(text)).replace(":", "%3A").replace(",", "%2C")
