"""Render diagnostics as JUnit XML, for pipelines that show test reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from xml.sax.saxutils import escape, quoteattr

from ..core.diagnostic import Diagnostic, Severity
from .text import printable, shorten

_MESSAGE_WIDTH = 80


def junit_document(files: Mapping[str, Sequence[Diagnostic]], strict: bool) -> str:
    """Return one suite per file and one case per diagnostic. A file without diagnostics has one passed case.

    Errors are failures, and with `strict` warnings too.
    """
    suites = [_suite(file, found, strict) for file, found in files.items()]
    body = "".join(text for text, _, _ in suites)
    tests, failures = sum(suite[1] for suite in suites), sum(suite[2] for suite in suites)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="dbos-manifest" tests="{tests}" failures="{failures}">\n{body}</testsuites>\n'
    )


def _suite(file: str, found: Sequence[Diagnostic], strict: bool) -> tuple[str, int, int]:
    cases = [
        _case(file, name, diagnostic, strict) for name, diagnostic in zip(_names(found), found, strict=True)
    ]
    if not found:
        cases = [(f"    <testcase classname={_text(file)} name={_text('no problem')}/>\n", False)]
    failures = sum(failed for _, failed in cases)
    head = f'  <testsuite name={_text(file)} tests="{len(cases)}" failures="{failures}">\n'
    return f"{head}{''.join(text for text, _ in cases)}  </testsuite>\n", len(cases), failures


def _names(found: Sequence[Diagnostic]) -> Iterator[str]:
    """Name each case differently: GitLab and others know a case by its classname and name only.

    Shape:  `6:5 unknown-key`; where that repeats, with the message's beginning, and where that repeats too,
            with a number.
    """
    plain = [f"{one.span.line}:{one.span.column} {one.code}" if one.span else one.code for one in found]
    repeated = Counter(plain)
    used: set[str] = set()
    for name, diagnostic in zip(plain, found, strict=True):
        if repeated[name] > 1:
            name = f"{name}: {shorten(printable(diagnostic.message), _MESSAGE_WIDTH)}"
        numbered = (f"{name} ({number})" for number in count(2))
        unique = name if name not in used else next(other for other in numbered if other not in used)
        used.add(unique)
        yield unique


def _case(file: str, name: str, found: Diagnostic, strict: bool) -> tuple[str, bool]:
    head = f"    <testcase classname={_text(file)} name={_text(name)}>"
    parts = (found.message, found.note, f"help: {found.help}" if found.help else None)
    detail = escape("\n".join(printable(part) for part in parts if part))
    failed = strict or found.severity is Severity.ERROR
    if failed:
        body = (
            f"<failure message={_text(found.message)} type={_text(found.severity.value)}>{detail}</failure>"
        )
    else:
        body = f"<system-out>{detail}</system-out>"
    return f"{head}{body}</testcase>\n", failed


def _text(text: str) -> str:
    return quoteattr(printable(text))
