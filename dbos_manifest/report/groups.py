"""Summarize the changes of a plan in groups: one for each entry, state and kind of difference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..core.columns import Repeated, convert
from ..core.units import format_duration
from ..expansion.workflow_source import WorkflowSource
from ..planning.rows import FINAL_STATUSES
from ..planning.states import ORDER, Change, ChangeGroup, Changes, State
from ..workflows.spec import DEFAULT_SPEC
from .differences import DifferenceCounts
from .text import printable
from .workflow_sets import SetBuilder, WorkflowSets

HELD = "held"  # a conflict that `return-existing` allows
NAMED = 5  # workflows of a group whose IDs are known
_SHOWN_OPTIONS = ("name", "queue", "priority", "timeout_ms", "application_version")
_FAILED = FINAL_STATUSES - {"SUCCESS"}
_EXPLAINED = {
    State.MISSING: "recorded as enqueued, but the row is gone",
    State.VANISHED: "finished, row removed by retention",
    State.ORPHANED: "no longer in the manifest",
}
_UNKNOWN = object()  # an option in which the workflows of a group differ


@dataclass(eq=False)
class Group:
    """Workflows of one entry in one state. Entries without a matrix are grouped by workflow name."""

    first: Change
    builder: SetBuilder | None  # None: without a matrix, or not wanted
    size: int = 0
    ids: list[str] = field(default_factory=list)  # the first ones
    _differences: DifferenceCounts | None = None  # made when needed: a plan may have very many groups
    options: dict[str, object] = field(default_factory=dict)  # that all of them share

    @property
    def state(self) -> State:
        return self.first.state

    def add(self, part: ChangeGroup) -> None:
        """Add workflows of the same kind."""
        self.size += part.size
        if len(self.ids) < NAMED:
            self.ids += part.ids[: NAMED - len(self.ids)]
        if part.first.differences:
            self._differences = self._differences or DifferenceCounts()
            self._differences.add(part.shared)
        if part.batch is not None:
            self._note_options(part.batch.columns)
            if self.builder is not None:
                self.builder.add(part.batch.columns["binding"])

    def _note_options(self, columns: Mapping[str, Sequence[object]]) -> None:
        for option in _SHOWN_OPTIONS:
            column = columns[option]
            value = column.value if isinstance(column, Repeated) else _UNKNOWN
            if self.options.setdefault(option, value) != value:
                self.options[option] = _UNKNOWN

    @cached_property
    def sets(self) -> WorkflowSets:
        """The workflows as sets of axis values; without a matrix there are none."""
        return self.builder.build() if self.builder is not None else WorkflowSets()

    @property
    def title(self) -> str:
        """Return `ingest_orders on etl, priority 10, timeout 10m`, or `ingest_orders, ENQUEUED`.

        Unchanged workflows that have failed: `ERROR, not run again: ingest_orders`.
        """
        known = {name: value for name, value in self.options.items() if value is not _UNKNOWN}
        text = self.first.workflow or "unknown workflow"
        if known.get("name"):
            text += f" (entry {known['name']})"
        if self.state is State.CREATE:
            if known.get("queue"):
                text += f" on {known['queue']}"
            if priority := known.get("priority", DEFAULT_SPEC.priority):
                text += f", priority {priority}"
            if isinstance(timeout := known.get("timeout_ms"), int):
                text += f", timeout {format_duration(timeout)}"
            if version := known.get("application_version"):
                text += f", version {version}"
        if self.state is State.UNCHANGED and self.first.status in _FAILED:
            _, *remarks = self.remarks()
            return printable(", ".join([f"{self.first.status}, not run again: {text}", *remarks]))
        return printable(", ".join([text, *self.remarks(), *self._explanation()]))

    def heading(self, show_values: bool) -> str:
        """Return the title, and the direction of the differences if their values are shown."""
        return f"{self.title} (row → manifest)" if show_values and self._differences else self.title

    def _explanation(self) -> Iterator[str]:
        if self.state is State.VANISHED and self.first.status:  # it never runs again
            yield "row removed by retention: nothing to do"
        elif self.state in _EXPLAINED:
            yield _EXPLAINED[self.state]

    def as_json(self, show_values: bool) -> dict[str, object]:
        """Return the group as JSON values; stored values only with `show_values`."""
        first, (sets, others) = self.first, self.sets
        return {
            "state": first.state.value,
            "workflow": first.workflow,
            "entry": None if self.builder is None else first.entry,
            "status": first.status,
            "count": self.size,
            "comparable": first.comparable,
            "held": first.held,
            "reason": first.reason,
            "differences": self._differences.as_json(show_values) if self._differences else [],
            "ids": self.ids,
            "sets": [found.as_json() for found in sets],
            "not_in_sets": others if self.builder is not None else self.size,
        }

    def remarks(self) -> Iterator[str]:
        """Yield the DBOS status and the reasons that all share."""
        first = self.first
        if first.status:
            yield first.status
        if first.reason:
            yield first.reason
        if first.state is State.CONFLICT and first.differences:
            yield "another workflow has the ID"
        if first.held_by:
            others = " and others" if self.size > 1 else ""
            result = "not enqueued: " if self.word == HELD else ""
            yield f"{result}deduplication ID held by {first.held_by}{others}"
        if not first.comparable:
            yield "not comparable"

    @property
    def word(self) -> str:
        """Return the state, or `held` where `return-existing` allows the conflict."""
        return HELD if self.state is State.CONFLICT and self.first.held else self.state.value

    def differences(self, show_values: bool) -> Iterator[str]:
        """Yield `queue: etl → elt` for each field that differs."""
        return self._differences.lines(show_values) if self._differences else iter(())

    def named(self, show: Callable[[str], str] = printable) -> list[str]:
        """Return `["IDs a,", "b"]` for few workflows, else the first ID and how many more there are."""
        items = [*map(show, self.ids if self.size <= len(self.ids) else self.ids[:1])]
        if more := self.size - len(items):
            items.append(f"… and {more:,} more")
        items[0] = f"{'ID' if self.size == 1 else 'IDs'} {items[0]}"
        return [*(f"{item}," for item in items[:-1]), items[-1]]

    def members(self, most: int) -> list[str]:
        """Return lines: the IDs of a few workflows, or the largest sets of axis values of many."""
        sets, others = self.sets if self.size > NAMED else WorkflowSets()
        if not sets:
            return [" ".join(self.named())]
        texts = [f"{found.size:,}: {found.text}" for found in sets[:most]]
        if len(sets) == 1 and not others:
            return [sets[0].text]
        others += sum(found.size for found in sets[most:])
        return [*texts, f"{others:,} in other sets"] if others else texts


def is_remarkable(change: Change) -> bool:
    """Return whether the plan describes a workflow: unchanged ones only if they have failed."""
    return change.state is not State.UNCHANGED or change.status in _FAILED


class Groups:
    """The groups of each manifest."""

    def __init__(
        self, wanted: Callable[[Change], bool] = lambda change: True, *, by_entry: bool = False
    ) -> None:
        """Begin without groups, to collect the workflows whose changes are wanted.

        With `by_entry`, workflows of different entries are never in one group.
        """
        self._wanted = wanted
        self._by_entry = by_entry
        self._groups: dict[str, dict[tuple[object, ...], Group]] = {}

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        """Add a batch of changes to the groups."""
        for group in changes.groups:
            if self._wanted(group.first):
                for part in self._split(source, group):
                    self._group_of(source, part.first).add(part)

    def _group_of(self, source: WorkflowSource, change: Change) -> Group:
        groups = self._groups.setdefault(source.name, {})
        matrix = source.matrix_of(change.entry) if change.entry is not None else None
        kind = (
            change.entry if self._by_entry or matrix is not None else None,
            change.workflow, change.state, change.status, change.fields, change.reason, change.comparable,
            change.held, change.held_by is None,
        )  # fmt: skip
        group = groups.get(kind)
        if group is None:
            group = groups[kind] = Group(change, SetBuilder(matrix) if matrix is not None else None)
        return group

    def _split(self, source: WorkflowSource, group: ChangeGroup) -> Iterable[ChangeGroup]:
        """Split a group by entry and workflow name; all entries without a matrix may count as one."""

        def key_of(entry: int) -> int | None:
            return entry if self._by_entry or source.matrix_of(entry) is not None else None

        batch = group.batch
        if batch is None:
            return [group]
        entries, workflows = convert(batch.columns["entry"], key_of), batch.columns["workflow"]
        if isinstance(entries, Repeated) and isinstance(workflows, Repeated):
            return [group]
        places: dict[object, list[int]] = {}
        for place, key in enumerate(zip(entries, workflows, strict=True)):
            places.setdefault(key, []).append(place)
        return map(group.take, places.values())

    def of(self, name: str) -> Sequence[Group]:
        """Return the groups of a manifest by state, within a state in the order of their first workflows."""
        groups = self._groups.get(name, {}).values()
        return sorted(groups, key=lambda group: (ORDER.index(group.state), group.word == HELD))
