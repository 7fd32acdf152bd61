"""Render a plan as text for a terminal, once all its changes have arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from ..core.plural import count_of
from ..expansion.workflow_source import WorkflowSource
from ..planning.manifest_plan import ManifestPlan
from ..planning.states import ABSENT, Change, Changes, Difference, State
from ..planning.summary import PlanSummary
from .groups import Group, Groups, describe_group, ids_of, singled_out
from .text import Paint, plain, printable, show_value

SIGNS = {
    State.CREATE: ("+", "green"),
    State.UNCHANGED: ("=", "dim"),
    State.DRIFTED: ("~", "yellow"),
    State.CONFLICT: ("!", "red"),
    State.VANISHED: ("?", "yellow"),
    State.MISSING: ("!", "red"),
    State.ORPHANED: ("-", "dim"),
}
_MOST_IN_FULL = 20  # drifted, conflicting and vanished workflows shown one by one beyond a screenful


@dataclass(slots=True)
class _Shown:
    lines: list[Change] = field(default_factory=list)  # in full, up to a screenful
    singled_out: list[Change] = field(default_factory=list)
    count: int = 0


class PlanText:
    """Collect a bounded number of changes, and render the plan of each manifest."""

    def __init__(
        self,
        screenful: int,
        show_values: bool,
        paint: Paint = plain,
        write: Callable[[str], object] = lambda text: None,
        *,
        verdict: bool = False,
    ) -> None:
        """Prepare a view. With `verdict` it ends with what apply would do, and in which database."""
        self._screenful = screenful
        self._show_values = show_values
        self._paint = paint
        self._write = write
        self._verdict = verdict
        self._shown: dict[str, _Shown] = {}
        self._groups = Groups()

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        """Collect a batch of changes."""
        shown = self._shown.setdefault(source.name, _Shown())
        shown.count += len(changes.shared)
        if shown.count <= self._screenful:
            shown.lines += changes.each()
        self._groups.add(source, changes)
        if room := _MOST_IN_FULL - len(shown.singled_out):
            shown.singled_out += islice(_singled_out(changes), room)

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        """Write the plans."""
        for plan in plans:
            for line in self.lines(plan):
                self._write(f"{line}\n")
        if self._verdict and plans:
            for line in verdict_lines(plans, strict):
                self._write(f"{line}\n")

    def lines(self, plan: ManifestPlan) -> Iterator[str]:
        """Yield the plan of one manifest: its workflows, notes and summary."""
        shown = self._shown.get(plan.name, _Shown())
        yield self._paint("bold", f"{printable(plan.name)}  ({printable(plan.file)})")
        if shown.count <= self._screenful:
            for change in shown.lines:
                yield from self._line(change)
        else:
            for group in self._groups.of(plan.name):
                sign, style = SIGNS[group.first.state]
                yield f"  {self._paint(style, sign)} {ids_of(group)}  {describe_group(group)}"
                for text in self._group_differences(group):
                    yield f"      {self._paint(style, text)}"
            for change in shown.singled_out:
                yield from self._line(change)
        for queue, count in plan.waiting_behind.items():
            rows = count_of(count, "workflow")
            yield f"  {printable(queue)}: {rows} already queued there would start later"
        for note in plan.summary.notes():
            yield f"  note: {note}"
        yield printable(plan.summary.closing_line())

    def _group_differences(self, group: Group) -> Iterator[str]:
        for difference in group.first.differences:
            if group.uniform:
                yield describe_difference(difference, self._show_values)
            else:
                yield f"{printable(difference.field)} (differs between workflows)"

    def _line(self, change: Change) -> Iterator[str]:
        sign, style = SIGNS[change.state]
        yield f"  {self._paint(style, sign)} {printable(change.id)}  {printable(', '.join(notes_of(change)))}"
        for difference in change.differences:
            yield f"      {self._paint(style, describe_difference(difference, self._show_values))}"


def _singled_out(changes: Changes) -> Iterator[Change]:
    """Yield the workflows to list one by one, except those whose group already shows every difference."""
    shown = {
        (group.first.state, group.first.status, group.first.fields)
        for group in changes.groups
        if group.first.differences and group.uniform and group.size > 1
    }
    for change in singled_out(changes):
        if (change.state, change.status, change.fields) not in shown:
            yield change


def verdict_lines(plans: Sequence[ManifestPlan], strict: bool) -> Iterator[str]:
    """Yield the total of several manifests, then what apply would do, and in which database."""
    if len(plans) > 1:
        total = sum((plan.summary for plan in plans), PlanSummary())
        yield f"Total of {len(plans)} manifests: {printable(total.closing_line().removeprefix('Plan: '))}"
    refusing = [plan for plan in plans if plan.refuses(strict)]
    count = sum(plan.to_enqueue for plan in plans)
    if refusing:
        reasons = [", ".join(plan.reasons_to_refuse(strict)) for plan in refusing]
        if len(plans) > 1:
            pairs = zip(refusing, reasons, strict=True)
            reasons = [f"`{printable(plan.name)}` has {reason}" for plan, reason in pairs]
        verdict = f"Apply would refuse: {'; '.join(reasons)}"
    else:
        verdict = f"Apply would enqueue {count_of(count, 'workflow') if count else 'nothing'}"
    origin = plans[0].origin
    context = [f"target {origin.target}"] if origin.target else []
    context.append(f"database {origin.database}" if origin.database else "compared with the lockfile only")
    yield f"{verdict}  ({printable(', '.join(context))})"


def notes_of(change: Change) -> list[str]:
    """List what is printed after an ID: state, workflow, DBOS status and reasons."""
    notes = [part for part in (change.workflow, change.status, change.reason) if part]
    if change.held_by:
        notes.append(f"held by {change.held_by}")
    if change.state not in (State.CREATE, State.UNCHANGED):
        notes.insert(0, change.state.value)
    if not change.comparable:
        notes.append("not comparable")
    return notes


def describe_difference(difference: Difference, show_values: bool) -> str:
    """Return `kwargs.region: "eu" -> "us"`, from the value in the database to that of the manifest."""
    field = printable(difference.field)
    if not show_values:
        return field
    values = [
        str(value) if value is ABSENT else show_value(value)
        for value in (difference.database, difference.manifest)
    ]
    return f"{field}: {' -> '.join(values)}"
