"""Render a plan as one JSON document, as JSON lines, or as the IDs to enqueue."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ..expansion.workflow_source import WorkflowSource
from ..planning.manifest_plan import ManifestPlan
from ..planning.states import Change, Changes, State
from .diagnostics import diagnostic_json
from .differences import difference_json
from .groups import Groups
from .text import id_line, to_json

FORMAT_VERSION = 1
Write = Callable[[str], object]


def change_json(change: Change, show_values: bool) -> dict[str, object]:
    """Return a change as JSON values; values of both sides only with `show_values`."""
    out: dict[str, object] = {
        "id": change.id,
        "state": change.state.value,
        "workflow": change.workflow,
        "entry": change.entry,
        "status": change.status,
        "comparable": change.comparable,
        "differences": [difference_json(difference, show_values) for difference in change.differences],
    }
    if change.held_by is not None:
        out["held_by"] = change.held_by
    if change.reason is not None:
        out["reason"] = change.reason
    return out


def summary_json(plan: ManifestPlan, strict: bool) -> dict[str, object]:
    """Return the summary of a plan as JSON values."""
    return {
        "name": plan.name,
        "file": plan.file,
        "counts": plan.summary.as_json(),
        "to_enqueue": plan.to_enqueue,
        "refused": plan.refuses(strict),
        "waiting_behind": plan.waiting_behind,
        "notes": plan.summary.notes(),
        "findings": [diagnostic_json(finding) for finding in plan.diagnostics],
    }


def _groups_json(groups: Groups, name: str, show_values: bool) -> dict[str, object]:
    return {"groups": [group.as_json(show_values) for group in groups.of(name)]}


class PlanJson:
    """Write the plan as one document, while changes arrive: a million of them are never held in memory."""

    def __init__(self, write: Write, show_values: bool) -> None:
        self._write = write
        self._show_values = show_values
        self._groups = Groups()
        self._manifest: str | None = None
        self._empty = True
        write(f'{{"format_version": {FORMAT_VERSION}, "manifests": [')

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        self._groups.add(source, changes)
        self._enter(source.name)
        for change in changes.each():
            self._write("\n  " if self._empty else ",\n  ")
            self._write(to_json(change_json(change, self._show_values)))
            self._empty = False

    def _enter(self, name: str) -> None:
        if self._manifest == name:
            return
        if self._manifest is not None:
            self._write("]},")
        self._write(f'\n {{"name": {to_json(name)}, "changes": [')
        self._manifest, self._empty = name, True

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        end = "]}\n" if self._manifest is not None else ""
        summaries = [
            summary_json(plan, strict) | _groups_json(self._groups, plan.name, self._show_values)
            for plan in plans
        ]
        self._write(f'{end}], "summary": {to_json(summaries)}}}\n')


class PlanJsonLines:
    """Write one line per change, then one per manifest for its summary. `type` names the kind of line."""

    def __init__(self, write: Write, show_values: bool) -> None:
        self._write = write
        self._show_values = show_values
        self._groups = Groups()

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        self._groups.add(source, changes)
        for change in changes.each():
            line = {
                "type": "change",
                "format_version": FORMAT_VERSION,
                "manifest": source.name,
                **change_json(change, self._show_values),
            }
            self._write(f"{to_json(line)}\n")

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        for plan in plans:
            line = {
                "type": "summary",
                "format_version": FORMAT_VERSION,
                **summary_json(plan, strict),
                **_groups_json(self._groups, plan.name, self._show_values),
            }
            self._write(f"{to_json(line)}\n")


class PlanIds:
    """Write the IDs of the workflows in some states, one per line."""

    def __init__(self, write: Write, states: Collection[State] = (State.CREATE,)) -> None:
        self._write = write
        self._states = frozenset(states)

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        pairs = zip(changes.ids, changes.shared, strict=True)
        self._write("".join(id_line(one) for one, change in pairs if change.state in self._states))

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        pass
