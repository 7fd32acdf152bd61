"""Render diagnostics and plans as Markdown for a pull request: summary first, details folded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..core.diagnostic import Diagnostic, Severity
from ..expansion.workflow_source import WorkflowSource
from ..planning.manifest_plan import ManifestPlan
from ..planning.refusal import describe_ways_out
from ..planning.states import Changes, State
from ..planning.summary import PlanSummary
from .groups import HELD, NAMED, Group, Groups, is_remarkable
from .plan_text import SIGNS, describe_overtaking
from .text import printable, shorten

MAX_CHARACTERS = 60_000  # a comment on GitHub takes 65,536
_MOST_ROWS = 100
_MOST_SETS = 12  # of one group
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
    """Render plans: a table of groups, then diagnostics, folded."""

    def __init__(self, write: Callable[[str], object], show_values: bool) -> None:
        self._write = write
        self._show_values = show_values
        self._groups = Groups(is_remarkable)

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        """Collect a batch of changes."""
        self._groups.add(source, changes)

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        """Write the plans."""
        self._write(fit(self._lines(plans, strict)))

    def _lines(self, plans: Sequence[ManifestPlan], strict: bool) -> Iterator[str]:
        if len(plans) > 1:
            total = sum((plan.summary for plan in plans), PlanSummary())
            yield from (f"**Total of {len(plans)} manifests: {_plain(total.describe_counts())}**", "")
        for plan in plans:
            yield from self._plan(plan, strict)

    def _plan(self, plan: ManifestPlan, strict: bool) -> Iterator[str]:
        verdict = "✅" if plan.to_enqueue else "✅ nothing to enqueue"
        if plan.refuses(strict):
            verdict = f"❌ apply would refuse: {_plain(', '.join(plan.reasons_to_refuse(strict)))}"
        target = f" → {code(plan.origin.target)}" if plan.origin.target else ""
        yield from (f"### Plan of {code(plan.name)} ({code(plan.file)}{target}) {verdict}", "")
        yield from (f"**{_plain(plan.summary.describe_counts())}**", "")
        yield from self._table(plan)
        for queue, count in plan.waiting_behind.items():
            yield f"- {code(queue)}: {describe_overtaking(count)}"
            yield ""
        ways_out = describe_ways_out([plan], strict)
        yield from [*(f"- help: {_plain(way)}" for way in ways_out), *([""] if ways_out else [])]
        yield from fold(f"Diagnostics ({len(plan.diagnostics)})", diagnostic_lines(plan.diagnostics))

    def _table(self, plan: ManifestPlan) -> Iterator[str]:
        found = self._groups.of(plan.name)
        groups = [group for group in found if group.state is not State.UNCHANGED]
        unchanged = plan.summary.count(State.UNCHANGED)
        if groups or unchanged:
            yield from ("| | | workflows | |", "|---|---|---|---|")
        for group in groups[:_MOST_ROWS]:
            yield f"{_start(group.state, group.word, group.size)} {'<br>'.join(self._details(group))} |"
        if len(groups) > _MOST_ROWS:
            yield f"| | | … | … and {len(groups) - _MOST_ROWS:,} more groups |"
        if unchanged:
            details = [_plain(text) for text in (plan.summary.describe_statuses(), *plan.summary.notes())]
            failed = [group for group in found if group.state is State.UNCHANGED]
            for group in failed[:_MOST_ROWS]:
                details += [f"{group.size:,} {_plain(group.title)}", *_members(group)]
            if others := failed[_MOST_ROWS:]:
                details.append(
                    f"{sum(group.size for group in others):,} failed in {len(others):,} more groups"
                )
            yield f"{_start(State.UNCHANGED, 'unchanged', unchanged)} {'<br>'.join(details)} |"
        yield ""

    def _details(self, group: Group) -> Iterator[str]:
        yield _plain(group.heading(self._show_values))
        for line in group.differences(self._show_values):
            yield code(line)
        yield from _members(group)


def _members(group: Group) -> Iterator[str]:
    if group.size <= NAMED or not group.sets.sets:
        return iter([" ".join(group.named(code))])
    return map(_plain, group.members(_MOST_SETS))


def _start(state: State, word: str, count: int) -> str:
    sign, _ = SIGNS[State.UNCHANGED if word == HELD else state]
    return f"| `{sign}` | {word} | {count:,} |"
