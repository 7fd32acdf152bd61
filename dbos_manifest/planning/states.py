"""The states of workflows in a plan, their changes, and what apply does about each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from ..core.columns import Repeated, convert, take_values
from ..workflows.batch import Batch
from ..workflows.spec import WorkflowSpec


class State(str, Enum):
    """Where a workflow stands. Source: SPEC §3."""

    CREATE = "create"  # neither in the database nor in the lockfile
    UNCHANGED = "unchanged"  # its row equals the manifest
    DRIFTED = "drifted"  # the row of this workflow, but a compared field differs
    CONFLICT = "conflict"  # another identity has its ID, or its deduplication ID is held
    VANISHED = "vanished"  # in the lockfile, without a row, and retention explains it
    MISSING = "missing"  # in the lockfile, without a row, and nothing explains it
    ORPHANED = "orphaned"  # in the lockfile, and no longer in the manifest


ORDER = (
    State.CREATE, State.DRIFTED, State.CONFLICT, State.MISSING, State.VANISHED, State.UNCHANGED,
    State.ORPHANED,
)  # fmt: skip
"""The states in the order in which they are shown."""


class Overrides(NamedTuple):
    """The options by which a user lets apply pass what it would refuse."""

    allow_drift: bool = False
    skip_conflicts: bool = False
    recreate_vanished: bool = False
    recreate_missing: bool = False
    skip_missing: bool = False
    strict: bool = False
    allow: frozenset[str] = frozenset()  # preflight codes


NO_OVERRIDES = Overrides()


class Decision(str, Enum):
    ENQUEUE = "enqueue"
    SKIP = "skip"
    REFUSE = "refuse"


class _Absent:
    """The type of `ABSENT`: a value that one side does not have, as opposed to null."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()


class Difference(NamedTuple):
    """A field that differs, in the names and units of the manifest; values in normal form, None for unset.

    An argument that one side does not have is ABSENT there.
    """

    field: str
    manifest: Any
    database: Any


class Change(NamedTuple):
    """The state of a workflow, and why."""

    id: str
    workflow: str | None
    entry: int | None  # index in `workflows`; None for an orphan
    state: State
    status: str | None  # of the row; of a vanished workflow the final one in the lockfile, if any
    differences: tuple[Difference, ...] = ()
    comparable: bool = True  # False: only the identity could be compared
    held_by: str | None = None  # the live workflow that has its deduplication id
    held: bool = False  # with return-existing `held_by` is returned instead, which is no conflict
    outdated: tuple[str, ...] = ()  # options that no longer matter and in which the row differs
    reason: str | None = None
    spec: WorkflowSpec | None = None  # None for an orphan

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that differ."""
        return tuple([found.field for found in self.differences]) if self.differences else ()

    def of(self, spec: WorkflowSpec) -> Change:
        """Return the same change for another workflow."""
        return self._replace(id=spec.id, workflow=spec.workflow, entry=spec.entry, spec=spec)


def make_change(state: State, spec: WorkflowSpec, status: str | None = None, **facts: Any) -> Change:
    """Make the change of a workflow of the manifest."""
    return Change(spec.id, spec.workflow, spec.entry, state, status, spec=spec, **facts)


class ChangeGroup(NamedTuple):
    """Workflows in one state and status that differ from their rows in the same fields, if in any."""

    first: Change
    batch: Batch | None  # them, in manifest order; None for an orphan
    shared: Sequence[
        Change
    ]  # one for each, as in `Changes`; a repeated one where all have the same differences

    @property
    def size(self) -> int:
        return len(self.batch) if self.batch is not None else 1

    @property
    def ids(self) -> Sequence[str]:
        return self.batch.ids if self.batch is not None else (self.first.id,)

    def take(self, positions: Sequence[int]) -> ChangeGroup:
        """Return the workflows at ascending positions; the group must have a batch."""
        assert self.batch is not None
        part, shared = self.batch.take(positions), take_values(self.shared, positions)
        return ChangeGroup(shared[0].of(part[0]), part, shared)


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of the workflows of a batch.

    Shape:  `shared` has one change for each workflow, in order. Workflows with equal changes share one, so
            that its ID may be another workflow's; `each` and `select` make those with the right ID.
            `groups` has the workflows by kind of change, in the order of their first ones.
    """

    batch: Batch | None  # None for one orphan
    shared: Sequence[Change]
    groups: Sequence[ChangeGroup]

    @property
    def ids(self) -> Sequence[str]:
        return self.batch.ids if self.batch is not None else (self.shared[0].id,)

    def select(self, wanted: Callable[[Change], bool]) -> Iterator[Change]:
        """Yield the changes that are wanted, each with the ID of its workflow."""
        for place, change in enumerate(self.shared):
            if wanted(change):
                yield change.of(self.batch[place]) if self.batch is not None else change

    def each(self) -> Iterator[Change]:
        return self.select(lambda change: True)


def one_change(change: Change, batch: Batch | None) -> Changes:
    """Give each workflow of a batch, or one orphan, the same change."""
    shared = Repeated(change, len(batch) if batch is not None else 1)
    return Changes(batch, shared, [ChangeGroup(change, batch, shared)])


def group_changes(batch: Batch, shared: Sequence[Change]) -> Changes:
    """Group the workflows of a batch by kind of change."""
    places: dict[tuple[object, ...], list[int]] = {}
    for place, kind in enumerate(convert(shared, _kind)):
        places.setdefault(kind, []).append(place)
    groups = []
    for same in places.values():
        first, part = shared[same[0]], batch.take(same)
        differences = first.differences
        uniform = not differences or all(shared[place].differences == differences for place in same)
        own = Repeated(first, len(same)) if uniform else take_values(shared, same)
        groups.append(ChangeGroup(first.of(part[0]), part, own))
    return Changes(batch, shared, groups)


def _kind(change: Change) -> tuple[object, ...]:
    """Return what changes are decided and counted by."""
    return (
        change.state, change.status, change.comparable, change.held, change.held_by is None,
        change.outdated, change.differences and change.fields,
    )  # fmt: skip


def decide(change: Change, overrides: Overrides) -> Decision:
    """Decide what apply does about a change. Source: SPEC §3, third column."""
    state = change.state
    if state is State.DRIFTED:
        return Decision.SKIP if overrides.allow_drift else Decision.REFUSE
    if state is State.MISSING and not overrides.recreate_missing:
        return Decision.SKIP if overrides.skip_missing else Decision.REFUSE
    # what the lockfile knows to have ended never runs again
    ended = state is State.VANISHED and change.status is not None
    recreated = state is State.MISSING or (state is State.VANISHED and overrides.recreate_vanished)
    if state is State.CONFLICT or (recreated and not ended and change.held_by is not None):
        return Decision.SKIP if change.held or overrides.skip_conflicts else Decision.REFUSE
    if state is State.CREATE or (recreated and not ended):
        return Decision.ENQUEUE
    return Decision.SKIP
