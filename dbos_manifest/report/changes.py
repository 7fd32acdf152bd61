"""A plan as a person and a program read it: changes come one by one, the text when all are there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..manifest import Manifest
from ..plan import Change, State
from ..planning import ManifestPlan
from .diagnostics import diagnostic_json
from .text import Paint, plain, printable, show_value

FORMAT_VERSION = 1
_SIGNS = {
    State.CREATE: ("+", "green"),
    State.UNCHANGED: ("=", "dim"),
    State.DRIFTED: ("~", "yellow"),
    State.CONFLICT: ("!", "red"),
    State.VANISHED: ("?", "yellow"),
    State.ORPHANED: ("-", "dim"),
}
_MOST_IN_FULL = 20  # drifted, conflicting and vanished workflows shown one by one beyond a screenful


@dataclass(slots=True)
class _Group:
    """Workflows of one name, state and status, told in one line."""

    first: Change
    last: Change
    count: int = 1


@dataclass(slots=True)
class _Shown:
    lines: list[Change] = field(default_factory=list)  # in full, up to a screenful
    groups: dict[tuple[str | None, State, str | None], _Group] = field(default_factory=dict)
    singled_out: list[Change] = field(default_factory=list)
    count: int = 0


class PlanText:
    """Collects changes within bounds, and gives the plan of each manifest as text."""

    def __init__(self, screenful: int, show_values: bool, paint: Paint = plain) -> None:
        self._screenful = screenful
        self._show_values = show_values
        self._paint = paint
        self._shown: dict[str, _Shown] = {}

    def add(self, manifest: Manifest, change: Change) -> None:
        shown = self._shown.setdefault(manifest.name, _Shown())
        shown.count += 1
        if len(shown.lines) < self._screenful:
            shown.lines.append(change)
        kind = (change.workflow, change.state, change.status)
        group = shown.groups.get(kind)
        if group is None:
            shown.groups[kind] = _Group(change, change)
        else:
            group.last = change
            group.count += 1
        if change.state not in (State.CREATE, State.UNCHANGED) and len(shown.singled_out) < _MOST_IN_FULL:
            shown.singled_out.append(change)

    def lines(self, plan: ManifestPlan) -> Iterator[str]:
        """The plan of one manifest: its workflows, and the closing line."""
        name = plan.manifest.name
        shown = self._shown.get(name, _Shown())
        yield self._paint("bold", f"{printable(name)}  ({printable(plan.manifest.document.file)})")
        if shown.count <= self._screenful:
            for change in shown.lines:
                yield from self._line(change)
        else:
            for group in shown.groups.values():
                yield self._group_line(group)
            for change in shown.singled_out:
                yield from self._line(change)
        yield plan.summary.closing_line()

    def _line(self, change: Change) -> Iterator[str]:
        sign, style = _SIGNS[change.state]
        notes = [part for part in (change.workflow, change.status, change.reason) if part]
        if change.held_by:
            notes.append(f"held by {change.held_by}")
        if change.state not in (State.CREATE, State.UNCHANGED):
            notes.insert(0, change.state.value)
        if not change.comparable:
            notes.append("not comparable")
        yield f"  {self._paint(style, sign)} {printable(change.id)}  {printable(', '.join(notes))}"
        for difference in change.differences:
            values = ""
            if self._show_values:
                values = f": {show_value(difference.database)} -> {show_value(difference.manifest)}"
            yield f"      {self._paint(style, printable(difference.field))}{values}"

    def _group_line(self, group: _Group) -> str:
        sign, style = _SIGNS[group.first.state]
        ids = printable(group.first.id)
        if group.count > 1:
            ids += f" … {printable(group.last.id)}"
        notes = [group.first.state.value, group.first.workflow, group.first.status]
        text = ", ".join(printable(note) for note in notes if note)
        return f"  {self._paint(style, sign)} {ids}  {group.count:,} × {text}"


def change_json(change: Change, show_values: bool) -> dict[str, Any]:
    """A change as JSON; stored and wanted values only when they may be shown."""
    out: dict[str, Any] = {
        "id": change.id,
        "state": change.state.value,
        "workflow": change.workflow,
        "entry": change.entry,
        "status": change.status,
        "comparable": change.comparable,
        "differences": [
            {"field": d.field, **({"database": d.database, "manifest": d.manifest} if show_values else {})}
            for d in change.differences
        ],
    }
    if change.held_by is not None:
        out["held_by"] = change.held_by
    if change.reason is not None:
        out["reason"] = change.reason
    return out


class PlanJson:
    """Writes the plan's document as the changes come, so that a million of them are never held."""

    def __init__(self, write: Callable[[str], None], show_values: bool) -> None:
        self._write = write
        self._show_values = show_values
        self._manifest: str | None = None
        self._empty = True

    def begin(self) -> None:
        self._write(f'{{"format_version": {FORMAT_VERSION}, "manifests": [')

    def add(self, manifest: Manifest, change: Change) -> None:
        self._enter(manifest.name)
        self._write("\n  " if self._empty else ",\n  ")
        self._write(json.dumps(change_json(change, self._show_values)))
        self._empty = False

    def _enter(self, name: str) -> None:
        if self._manifest == name:
            return
        if self._manifest is not None:
            self._write("]},")
        self._write(f'\n {{"name": {json.dumps(name)}, "changes": [')
        self._manifest, self._empty = name, True

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        summaries = [
            {
                "name": plan.manifest.name,
                "counts": plan.summary.as_json(),
                "to_enqueue": plan.to_send,
                "refused": plan.refuses(strict),
                "findings": [diagnostic_json(finding) for finding in plan.findings],
            }
            for plan in plans
        ]
        end = "]}\n" if self._manifest is not None else ""
        self._write(f'{end}], "summary": {json.dumps(summaries)}}}\n')
