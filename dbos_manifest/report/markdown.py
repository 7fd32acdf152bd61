"""Render diagnostics and plans as Markdown for a pull request: summary first, details folded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from ..core.diagnostic import Diagnostic, Severity
from ..core.plural import count_of
from ..expansion.workflow_source import WorkflowSource
from ..planning.manifest_plan import ManifestPlan
from ..planning.states import Change, Changes, State
from .groups import SINGLED_OUT, Groups, describe_group, ids_of, singled_out
from .plan_text import SIGNS, describe_difference, notes_of
from .text import printable, shorten

MAX_CHARACTERS = 60_000  # a comment on GitHub takes 65,536
_MOST_ROWS = 100
_MOST_DETAILS = 50
_PUNCTUATION = re.compile(r"""[!"#$&'*<>@\[\]\\^_`{|}~]""")


def code(text: str) -> str:
    """Return text as code. It contains no Markdown, HTML or mention, and cannot end a table cell."""
    return f"<code>{_escape(text)}</code>"


def _escape(text: str) -> str:
    return _PUNCTUATION.sub(lambda match: f"&#{ord(match[0])};", shorten(printable(text), 300))


def _plain(text: str) -> str:
    """Escape text outside of code. A word joiner prevents mentions, references and links."""
    return _LINKS.sub(lambda match: f"{match[0]}&#8288;", _escape(text))


_LINKS = re.compile(r"&#(?:33|35|36|38|64|94|126);(?=\w|&#34;)|%(?=\w)|:(?=//)|[Ww]{3}(?=\.)")


def fold(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines as a folded section; nothing if there are none."""
    found = list(lines)
    if found:
        yield from (f"<details><summary>{title}</summary>", "", *found, "", "</details>", "")


def fit(lines: Iterable[str]) -> str:
    """Join the lines that fit into a comment, and note that the rest is missing. Closes open folds."""
    out: list[str] = []
    size = folds = 0
    for line in lines:
        size += len(line) + 1
        if size > MAX_CHARACTERS - 200:
            out += ["", *["</details>"] * folds, "", "… the rest was cut to fit into a comment"]
            break
        folds += line.startswith("<details>") - line.startswith("</details>")
        out.append(line)
    return "\n".join(out) + "\n"


def diagnostic_lines(diagnostics: Sequence[Diagnostic]) -> Iterator[str]:
    """Yield a list item for each diagnostic."""
    for found in diagnostics[:_MOST_DETAILS]:
        mark = "❌" if found.severity is Severity.ERROR else "⚠️"
        place = f"{found.span.file}:{found.span.line}" if found.span else found.file or ""
        text = f"- {mark} {code(found.code)} {_plain(found.message)} — {code(place)}"
        if found.note:
            text += f"<br>{_plain(found.note)}"
        if found.help:
            text += f"<br>help: {_plain(found.help)}"
        yield text
    if len(diagnostics) > _MOST_DETAILS:
        yield f"- … and {len(diagnostics) - _MOST_DETAILS:,} more"


def validation_markdown(closing_line: str, diagnostics: Sequence[Diagnostic]) -> str:
    """Render the result of validate."""
    return fit(["### dbos-manifest validate", "", _plain(closing_line), "", *diagnostic_lines(diagnostics)])


class PlanMarkdown:
    """Render plans: a table of groups, then diagnostics and single workflows, folded."""

    def __init__(self, write: Callable[[str], object], show_values: bool) -> None:
        self._write = write
        self._show_values = show_values
        self._groups = Groups()
        self._singled_out: dict[str, list[Change]] = {}
        self._counts: dict[str, int] = {}

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        """Collect a batch of changes."""
        self._groups.add(source, changes)
        count = sum(group.size for group in changes.groups if group.first.state in SINGLED_OUT)
        self._counts[source.name] = self._counts.get(source.name, 0) + count
        found = self._singled_out.setdefault(source.name, [])
        found += islice(singled_out(changes), _MOST_DETAILS - len(found))

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        """Write the plans."""
        self._write(fit(line for plan in plans for line in self._lines(plan, strict)))

    def _lines(self, plan: ManifestPlan, strict: bool) -> Iterator[str]:
        verdict = "❌ apply would refuse" if plan.refuses(strict) else "✅"
        if not plan.to_enqueue and not plan.refuses(strict):
            verdict = "✅ nothing to enqueue"
        yield from (f"### Plan of {code(plan.name)} ({code(plan.file)}) {verdict}", "")
        yield from (f"**{_plain(plan.summary.closing_line().removeprefix('Plan: '))}**", "")
        yield from self._table(plan)
        for queue, count in plan.waiting_behind.items():
            yield f"- {code(queue)}: {count_of(count, 'workflow')} already queued there would start later"
            yield ""
        for note in plan.summary.notes():
            yield from (f"- {_plain(note)}", "")
        yield from fold(f"Diagnostics ({len(plan.diagnostics)})", diagnostic_lines(plan.diagnostics))
        total = self._counts.get(plan.name, 0)
        yield from fold(f"Details ({total:,})", self._details(plan.name, total))

    def _table(self, plan: ManifestPlan) -> Iterator[str]:
        groups = self._groups.of(plan.name)
        if not groups:
            return
        yield from ("| | workflows | ids |", "|---|---|---|")
        for group in sorted(groups, key=lambda group: group.first.state is State.UNCHANGED)[:_MOST_ROWS]:
            sign = SIGNS[group.first.state][0]
            yield f"| `{sign}` | {_plain(describe_group(group))} | {code(ids_of(group))} |"
        if len(groups) > _MOST_ROWS:
            yield f"| | … and {len(groups) - _MOST_ROWS:,} more rows | |"
        yield ""

    def _details(self, name: str, total: int) -> Iterator[str]:
        shown = self._singled_out.get(name, [])
        for change in shown:
            yield f"- {code(change.id)} {_plain(', '.join(notes_of(change)))}"
            for difference in change.differences:
                yield f"  - {code(describe_difference(difference, self._show_values))}"
        if total > len(shown):
            yield f"- … and {total - len(shown):,} more"
