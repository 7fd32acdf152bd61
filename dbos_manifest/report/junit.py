"""Diagnostics as JUnit XML, for pipelines that show test reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from ..diagnostic import Diagnostic, Severity
from .text import printable


def junit_document(files: Mapping[str, Sequence[Diagnostic]], strict: bool) -> str:
    """One suite a file, one case a finding; a file without findings is one case that passed.

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
    cases = [_case(file, diagnostic, strict) for diagnostic in found]
    if not found:
        cases = [(f"    <testcase classname={_text(file)} name={_text('no problem')}/>\n", False)]
    failures = sum(failed for _, failed in cases)
    head = f'  <testsuite name={_text(file)} tests="{len(cases)}" failures="{failures}">\n'
    return f"{head}{''.join(text for text, _ in cases)}  </testsuite>\n", len(cases), failures


def _case(file: str, found: Diagnostic, strict: bool) -> tuple[str, bool]:
    place = f"{found.span.line}:{found.span.column} " if found.span else ""
    head = f"    <testcase classname={_text(file)} name={_text(f'{place}{found.code}')}>"
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
