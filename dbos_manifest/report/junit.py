"""Render diagnostics as JUnit XML, for pipelines that show test reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from xml.sax.saxutils import escape, quoteattr

from ..core.diagnostic import Diagnostic, Severity
from ..core.plural import count_of
from .groups import Group
from .text import printable, shorten

_MESSAGE_WIDTH = 80
_MOST_SETS = 20  # of one group


def junit_document(
    files: Mapping[str, Sequence[Diagnostic]],
    strict: bool,
    groups: Mapping[str, Sequence[Group]] | None = None,
) -> str:
    """Return one suite per file, one case per diagnostic and one passed case per group of workflows.

    Errors are failures, and with `strict` warnings too. A file without any has one passed case.
    """
    suites = [_suite(file, found, strict, (groups or {}).get(file, ())) for file, found in files.items()]
    body = "".join(text for text, _, _ in suites)
    tests, failures = sum(suite[1] for suite in suites), sum(suite[2] for suite in suites)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="dbos-manifest" tests="{tests}" failures="{failures}">\n{body}</testsuites>\n'
    )


def _suite(
    file: str, found: Sequence[Diagnostic], strict: bool, groups: Sequence[Group]
) -> tuple[str, int, int]:
    names = _make_unique([*_names(found), *(_name_of(group) for group in groups)])
    cases = [_case(file, name, diagnostic, strict) for name, diagnostic in zip(names, found, strict=False)]
    cases += [_group_case(file, name, group) for name, group in zip(names[len(found) :], groups, strict=True)]
    if not cases:
        cases = [(f"    <testcase classname={_text(file)} name={_text('no problem')}/>\n", False)]
    failures = sum(failed for _, failed in cases)
    head = f'  <testsuite name={_text(file)} tests="{len(cases)}" failures="{failures}">\n'
    return f"{head}{''.join(text for text, _ in cases)}  </testsuite>\n", len(cases), failures


def _names(found: Sequence[Diagnostic]) -> Iterator[str]:
    """Name the case of each diagnostic: `6:5 unknown-key`, and where that repeats the message's beginning."""
    plain = [f"{one.span.line}:{one.span.column} {one.code}" if one.span else one.code for one in found]
    repeated = Counter(plain)
    for name, diagnostic in zip(plain, found, strict=True):
        if repeated[name] > 1:
            name = f"{name}: {shorten(printable(diagnostic.message), _MESSAGE_WIDTH)}"
        yield name


def _name_of(group: Group) -> str:
    return f"{group.word}: {shorten(group.title, _MESSAGE_WIDTH)}"


def _make_unique(names: Iterable[str]) -> list[str]:
    """Number repeated names: GitLab and others identify a case by its classname and name only."""
    used: dict[str, None] = {}
    for name in names:
        numbered = (f"{name} ({number})" for number in count(2))
        used[name if name not in used else next(other for other in numbered if other not in used)] = None
    return [*used]


def _group_case(file: str, name: str, group: Group) -> tuple[str, bool]:
    lines = [count_of(group.size, "workflow"), *group.members(_MOST_SETS)]
    detail = escape("\n".join(lines))
    head = f"    <testcase classname={_text(file)} name={_text(name)}>"
    return f"{head}<system-out>{detail}</system-out></testcase>\n", False


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
