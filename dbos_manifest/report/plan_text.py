"""Render a plan as text for a terminal, once all its changes have arrived."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..core.plural import count_of
from ..expansion.workflow_source import WorkflowSource
from ..planning.manifest_plan import ManifestPlan
from ..planning.refusal import describe_ways_out
from ..planning.states import ORDER, Changes, State
from ..planning.summary import PlanSummary
from .groups import HELD, NAMED, Group, Groups, is_remarkable
from .text import Paint, count_cells, plain, printable, show_seconds, unstyled

SIGNS = {
    State.CREATE: ("+", "green"),
    State.UNCHANGED: ("=", "dim"),
    State.DRIFTED: ("~", "yellow"),
    State.CONFLICT: ("!", "red"),
    State.VANISHED: ("?", "yellow"),
    State.MISSING: ("!", "red"),
    State.ORPHANED: ("?", "dim"),
}
_MOST_GROUPS = 20  # of one state
_MOST_SETS = 8  # of one group
_MARGIN = 30  # cells before a text at most


class PlanText:
    """Collect the groups of changes, and render the plan of each manifest."""

    def __init__(
        self,
        show_values: bool,
        paint: Paint = plain,
        write: Callable[[str], object] = lambda text: None,
        *,
        width: int = 120,
        elapsed: Callable[[], float] | None = None,
    ) -> None:
        """Prepare a view. With `elapsed`, which returns seconds, it ends with what apply would do."""
        self._show_values = show_values
        self._paint = paint
        self._write = write
        self._width = width
        self._elapsed = elapsed
        self._groups = Groups(is_remarkable)

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        """Collect a batch of changes."""
        self._groups.add(source, changes)

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        """Write the plans."""
        for line in self.lines(plans, strict):
            self._write(f"{line}\n")

    def lines(self, plans: Sequence[ManifestPlan], strict: bool) -> Iterator[str]:
        """Yield the plan of each manifest, then their total and what apply would do."""
        for position, plan in enumerate(plans):
            yield from [""] if position else []
            yield from self._plan(plan)
        if len(plans) > 1:
            yield ""
            total = sum((plan.summary for plan in plans), PlanSummary())
            text = f"Total of {len(plans)} manifests: {total.describe_counts()}"
            yield from self._wrap("", split_words(text), 2)
        if self._elapsed is not None and plans:
            yield from self._verdict(plans, strict, self._elapsed())

    def _verdict(self, plans: Sequence[ManifestPlan], strict: bool, seconds: float) -> Iterator[str]:
        style = "red" if any(plan.refuses(strict) for plan in plans) else "bold"
        basis = "" if plans[0].origin.database else ", compared with the lockfile only"
        planned = f" (planned in {show_seconds(seconds)}{basis})"
        yield from self._wrap("", [*self._styled(style, describe_verdict(plans, strict)), planned], 2)
        start = f"  {self._paint('cyan', 'help')}: "
        for way in describe_ways_out(plans, strict):
            yield from self._wrap(start, split_words(way), 10)
            start = " " * 8

    def _plan(self, plan: ManifestPlan) -> Iterator[str]:
        """Yield the plan of one manifest: its groups, notes and summary."""
        yield from self._header(plan)
        yield ""
        groups, unchanged = self._groups.of(plan.name), plan.summary.count(State.UNCHANGED)
        width = len(f"{max([unchanged, *(group.size for group in groups)]):,}")
        for state in ORDER:
            found = [group for group in groups if group.state is state]
            if state is State.UNCHANGED:
                yield from self._unchanged(plan.summary, found, width) if unchanged else ()
                continue
            for group in found[:_MOST_GROUPS]:
                yield from self._group(group, self._start(state, group.word, group.size, width))
            if others := found[_MOST_GROUPS:]:
                start = self._start(state, state.value, sum(group.size for group in others), width)
                yield f"{start}… in {len(others):,} more groups (-o json lists them)"
        if groups or unchanged:
            yield ""
        for queue, count in plan.waiting_behind.items():
            yield from self._wrap(f"{printable(queue)}: ", split_words(describe_overtaking(count)), 2)
        yield from self._wrap("Plan: ", split_words(plan.summary.describe_counts()), 2)

    def _header(self, plan: ManifestPlan) -> Iterator[str]:
        origin = plan.origin
        name, target = printable(origin.name), printable(origin.target or "")
        where = printable(origin.database)
        if target and where:
            where = f"{target} ({where})"
        parts = [printable(origin.file), *([f"→ {where or target}"] if where or target else [])]
        if origin.lockfile:
            parts.append(f" lockfile {printable(origin.lockfile)}")
        yield from self._wrap(f"{self._paint('bold', name)}  ", parts, count_cells(name) + 2)

    def _start(self, state: State, word: str, count: int, width: int) -> str:
        sign, style = SIGNS[State.UNCHANGED if word == HELD else state]
        return f"  {self._paint(style, f'{sign} {word:<9}')} {count:>{width},}  "

    def _unchanged(self, summary: PlanSummary, failed: Sequence[Group], width: int) -> Iterator[str]:
        """Yield the statuses of unchanged workflows, notes, and which of them have failed."""
        start = self._start(State.UNCHANGED, "unchanged", summary.count(State.UNCHANGED), width)
        indent = count_cells(unstyled(start))
        yield from self._wrap(start, split_words(printable(summary.describe_statuses())), indent)
        for note in summary.notes():
            yield from self._wrap(" " * indent, split_words(note), indent + 2)
        for group in failed[:_MOST_GROUPS]:
            yield from self._failed(group, indent)
        if others := failed[_MOST_GROUPS:]:
            more = sum(group.size for group in others)
            yield f"{' ' * indent}{more:,} failed in {len(others):,} more groups"

    def _failed(self, group: Group, indent: int) -> Iterator[str]:
        """Yield unchanged workflows that have failed: on one line if they fit."""
        title, members = f"{group.size:,} {group.title}", [*self._members(group, indent + 2)]
        if len(members) == 1 and indent + count_cells(f"{title}, {members[0].strip()}") <= self._width:
            yield f"{' ' * indent}{self._paint('red', title)}, {members[0].strip()}"
            return
        yield from self._wrap(" " * indent, self._styled("red", title), indent + 2)
        yield from members

    def _group(self, group: Group, start: str) -> Iterator[str]:
        indent, style = count_cells(unstyled(start)), SIGNS[group.state][1]
        yield from self._wrap(start, split_words(group.heading(self._show_values)), indent + 2)
        for line in group.differences(self._show_values):
            yield from self._wrap(" " * (indent + 2), self._styled(style, line), indent + 4)
        yield from self._members(group, indent + 2)

    def _members(self, group: Group, indent: int) -> Iterator[str]:
        """Yield the IDs of few workflows, and the sets of axis values of many."""
        sets, others = group.sets if group.size > NAMED else ((), 0)
        if not sets:
            yield from self._wrap(" " * indent, [*group.named(), *self._listing_hint(group)], indent + 2)
            return
        others += sum(found.size for found in sets[_MOST_SETS:])
        width = len(f"{max(sets[0].size, others):,}") if others or len(sets) > 1 else 0
        for found in sets[:_MOST_SETS]:
            start = f"{' ' * indent}{found.size:>{width},}  " if width else " " * indent
            yield from self._wrap(start, found.pieces(), len(start) + 2)
        if others:
            yield f"{' ' * indent}{others:>{width},}  in {_more_sets(group)}"

    def _listing_hint(self, group: Group) -> list[str]:
        """Return the words that explain how to list the IDs of a group that shows only one."""
        if self._elapsed is None or group.size <= len(group.ids) or group.state is State.UNCHANGED:
            return []
        state = "" if group.state is State.CREATE else f"--state {group.state.value} "
        return f"(-o ids {state}lists them)".split()

    def _styled(self, style: str, text: str) -> list[str]:
        """Return a text with a style; its words where it does not fit the width, so that it can be broken."""
        fits = _MARGIN + count_cells(text) <= self._width
        return [self._paint(style, part) for part in ([text] if fits else split_words(text))]

    def _wrap(self, start: str, pieces: Iterable[str], indent: int) -> Iterator[str]:
        """Join pieces with spaces to lines that fit the width; further lines are indented."""
        line, used, empty = start, count_cells(unstyled(start)), True
        for piece in pieces:
            cells = count_cells(unstyled(piece))
            if not empty and used + 1 + cells > self._width:
                yield line
                line, used, empty = " " * indent, indent, True
                piece = piece.lstrip()
            line, used, empty = (
                (line + piece, used + cells, False) if empty else (f"{line} {piece}", used + 1 + cells, False)
            )
        yield line


def split_words(text: str) -> list[str]:
    """Split a text where a line can end: not between a number and its noun."""
    return _BREAK.split(text)


_BREAK = re.compile(r"(?<!\d) (?!\(\d)")


def describe_overtaking(count: int) -> str:
    """Return a note about workflows in a queue that have a lower priority than some new ones."""
    queued = count_of(count, "workflow")
    return f"new workflows with a higher priority would start before {queued} already queued there"


def _more_sets(group: Group) -> str:
    more = len(group.sets.sets) - _MOST_SETS
    return (
        f"{count_of(more, 'more set')}: -o json lists them"
        if more > 0 and not group.sets.others
        else "other sets"
    )


def describe_verdict(plans: Sequence[ManifestPlan], strict: bool) -> str:
    """Return `Apply would refuse and enqueue nothing: 200 drifted workflows`."""
    refusing = [plan for plan in plans if plan.refuses(strict)]
    if not refusing:
        count = sum(plan.to_enqueue for plan in plans)
        return f"Apply would enqueue {count_of(count, 'workflow') if count else 'nothing'}"
    reasons = [", ".join(plan.reasons_to_refuse(strict)) for plan in refusing]
    if len(plans) > 1:
        pairs = zip(refusing, reasons, strict=True)
        reasons = [f"`{printable(plan.name)}` has {reason}" for plan, reason in pairs]
    return f"Apply would refuse and enqueue nothing: {'; '.join(reasons)}"
