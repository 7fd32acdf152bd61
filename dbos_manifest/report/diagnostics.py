"""Render diagnostics as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..core.diagnostic import Diagnostic, Severity, Span, format_path
from ..core.lines import split_lines
from ..core.plural import count_of
from .text import Paint, count_cells, plain, printable, to_json

FORMAT_VERSION = 1
_MAX_LINE = 200


def format_diagnostics(
    diagnostics: Sequence[Diagnostic], texts: Mapping[str, str], paint: Paint = plain
) -> Iterator[str]:
    """Yield a block for each diagnostic: message, place, the line with a caret, help.

    Source: SPEC §2.
    """
    lines: dict[str, list[str]] = {}
    for diagnostic in diagnostics:
        file = diagnostic.span.file if diagnostic.span else diagnostic.file or ""
        if file not in lines:
            lines[file] = split_lines(texts.get(file, ""))
        yield "\n".join(_format(diagnostic, lines[file], paint)) + "\n"


def _format(diagnostic: Diagnostic, lines: Sequence[str], paint: Paint) -> Iterator[str]:
    style = "red" if diagnostic.severity is Severity.ERROR else "yellow"
    head = paint(style, f"{diagnostic.severity.value}[{diagnostic.code}]")
    yield f"{head}: {paint('bold', printable(diagnostic.message))}"
    span = diagnostic.span
    path = printable(format_path(diagnostic.path)) if diagnostic.path else ""
    if span is None:
        yield f"  --> {printable(diagnostic.file or '?')}  {path}".rstrip()
    else:
        yield f"  --> {_place(span)}  {path}".rstrip()
        if 0 < span.line <= len(lines) and lines[span.line - 1].strip():
            yield from _frame(span, lines[span.line - 1], style, paint)
    if diagnostic.note:
        yield f"  {paint('cyan', 'note')}: {printable(diagnostic.note)}"
    for related in diagnostic.related:
        place = _place(related.span) if related.span else printable(related.file or diagnostic.file or "?")
        yield f"  {paint('cyan', 'note')}: {printable(related.message)}: {place}"
    if diagnostic.help:
        yield f"  {paint('cyan', 'help')}: {printable(diagnostic.help)}"


def _place(span: Span) -> str:
    return f"{printable(span.file)}:{span.line}:{span.column}"


def _frame(span: Span, line: str, style: str, paint: Paint) -> Iterator[str]:
    start, end = span.column - 1, span.end_column - 1 if span.end_line == span.line else len(line)
    cut = max(0, start - 40) if len(line) > _MAX_LINE else 0  # a JSON file may be a single long line
    before, marked = printable(line[cut:start]), printable(line[start : max(end, start + 1)])
    after = printable(line[max(end, start + 1) : cut + _MAX_LINE])
    marked = marked[:_MAX_LINE]
    number = str(span.line)
    margin = " " * len(number)
    yield f"  {number} | {'…' if cut else ''}{before}{marked}{after}".rstrip()
    pad = " " * (count_cells(before) + bool(cut))
    yield f"  {margin} | {pad}{paint(style, '^' * max(1, count_cells(marked.rstrip())))}"


def summarize_validation(files: int, manifests: int, workflows: int, errors: int, warnings: int) -> str:
    """Return the last line of validate."""
    found = f"{count_of(manifests, 'manifest')} with {count_of(workflows, 'workflow')}"
    if errors or warnings:
        return f"{count_of(errors, 'error')}, {count_of(warnings, 'warning')} in {count_of(files, 'file')}"
    return f"ok: {count_of(files, 'file')}, {found}"


def diagnostic_json(diagnostic: Diagnostic) -> dict[str, object]:
    """Return a diagnostic as JSON values. Lines and columns count from 1, ends are exclusive."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "help": diagnostic.help,
        "note": diagnostic.note,
        "file": diagnostic.span.file if diagnostic.span else diagnostic.file,
        "path": format_path(diagnostic.path),
        "span": _span_json(diagnostic.span),
        "related": [
            {"message": r.message, "file": r.span.file if r.span else r.file, "span": _span_json(r.span)}
            for r in diagnostic.related
        ],
    }


def _span_json(span: Span | None) -> dict[str, int] | None:
    if span is None:
        return None
    return {
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def validation_json(files: int, manifests: Sequence[str], diagnostics: Sequence[Diagnostic]) -> str:
    """Return the result of validate as one document."""
    document = {
        "format_version": FORMAT_VERSION,
        "files": files,
        "manifests": list(manifests),
        "diagnostics": [diagnostic_json(diagnostic) for diagnostic in diagnostics],
    }
    return to_json(document, indent=2)
