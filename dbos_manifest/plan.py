"""What a plan is made of: states, changes, what to do about them, and how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from .blocks import SpecBlock
from .columns import Repeated, convert
from .spec import WorkflowSpec

_STATUS_ORDER = (
    "SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "RETRIES_EXCEEDED", "PENDING",
    "ENQUEUED", "DELAYED",
)  # fmt: skip


class State(str, Enum):
    """Where a workflow stands. Source: SPEC §3."""

    CREATE = "create"  # neither in the database nor in the lockfile
    UNCHANGED = "unchanged"  # its row is what the manifest says
    DRIFTED = "drifted"  # the row of this workflow, but a compared field differs
    CONFLICT = "conflict"  # another identity under its id, or its deduplication id is held
    VANISHED = "vanished"  # in the lockfile, and the row is gone
    ORPHANED = "orphaned"  # in the lockfile, and the manifest has it no longer


class Decision(str, Enum):
    SEND = "send"
    SKIP = "skip"
    REFUSE = "refuse"


class _Missing:
    """A value that one side does not have at all, which is not the same as null."""

    def __repr__(self) -> str:
        return "(not there)"


MISSING = _Missing()


class Difference(NamedTuple):
    """A field in the manifest's words and units; both values in normal form, None for unset.

    An argument that one side does not have is MISSING there.
    """

    field: str
    manifest: Any
    database: Any


class Change(NamedTuple):
    """A workflow's state, and what it rests on."""

    id: str
    workflow: str | None
    entry: int | None  # index in `workflows`; None for an orphan
    state: State
    status: str | None  # of DBOS, None without a row
    differences: tuple[Difference, ...] = ()
    comparable: bool = True  # False: only the identity could be compared
    held_by: str | None = None  # the live workflow that has its deduplication id
    held: bool = False  # with return-existing: `held_by` stands in for it, which is no conflict
    reason: str | None = None
    spec: WorkflowSpec | None = None  # None for an orphan

    def of(self, spec: WorkflowSpec) -> Change:
        """The same said of another workflow."""
        return self._replace(id=spec.id, workflow=spec.workflow, entry=spec.entry, spec=spec)


def make_change(state: State, spec: WorkflowSpec, status: str | None = None, **facts: Any) -> Change:
    """What is to be said of a workflow of the manifest."""
    return Change(spec.id, spec.workflow, spec.entry, state, status, spec=spec, **facts)


class Alike(NamedTuple):
    """Workflows in one state and status. They may differ in what differs, and in who holds their place."""

    first: Change
    block: SpecBlock | None  # them, in manifest order; None for an orphan

    @property
    def size(self) -> int:
        return len(self.block) if self.block is not None else 1

    @property
    def ids(self) -> Sequence[str]:
        return self.block.ids if self.block is not None else (self.first.id,)

    @property
    def last(self) -> Change:
        return self.first.of(self.block[-1]) if self.block is not None else self.first


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be said of the workflows of a block, of each in its place.

    Shape:  `said` has one for each workflow, though it may name another one of whom the same is to be said.
            `alike` has those in one state together, in the order of the first ones.
    """

    block: SpecBlock | None  # None for one orphan
    said: Sequence[Change]
    alike: Sequence[Alike]

    @property
    def ids(self) -> Sequence[str]:
        return self.block.ids if self.block is not None else (self.said[0].id,)

    def select(self, wanted: Callable[[Change], bool]) -> Iterator[Change]:
        """Those of whom something is said that is wanted, one by one, made as they are asked for."""
        for place, change in enumerate(self.said):
            if wanted(change):
                yield change.of(self.block[place]) if self.block is not None else change

    def each(self) -> Iterator[Change]:
        return self.select(lambda change: True)


def say_of_all(change: Change, block: SpecBlock | None) -> Changes:
    """The same of a whole block, or of one orphan."""
    return Changes(block, Repeated(change, len(block) if block is not None else 1), [Alike(change, block)])


def say_of_each(block: SpecBlock, said: Sequence[Change]) -> Changes:
    """Something of each workflow."""
    places: dict[tuple[object, ...], list[int]] = {}
    for place, kind in enumerate(convert(said, _kind)):
        places.setdefault(kind, []).append(place)
    parts = [(said[same[0]], block.at(same)) for same in places.values()]
    return Changes(block, said, [Alike(change.of(part[0]), part) for change, part in parts])


def _kind(change: Change) -> tuple[object, ...]:
    """What is decided and counted by."""
    return (change.state, change.status, change.comparable, change.held, change.held_by is None)


def decide(change: Change, *, allow_drift: bool, skip_conflicts: bool, recreate_vanished: bool) -> Decision:
    """What apply does about a change. Source: SPEC §3, third column."""
    if change.state is State.CREATE:
        return Decision.SEND
    if change.state is State.DRIFTED:
        return Decision.SKIP if allow_drift else Decision.REFUSE
    if change.state is State.VANISHED and recreate_vanished and change.held_by is None:
        return Decision.SEND
    if change.state is State.CONFLICT or (change.state is State.VANISHED and recreate_vanished):
        return Decision.SKIP if change.held or skip_conflicts else Decision.REFUSE
    return Decision.SKIP


class PlanSummary:
    """How many workflows are in which state. One that another stands in for counts as held instead."""

    def __init__(self) -> None:
        self._states: Counter[State] = Counter()
        self.unchanged_by_status: Counter[str] = Counter()
        self.not_comparable = 0
        self.held = 0
        self.recreated = 0  # vanished, and sent again

    def add(self, alike: Alike, decision: Decision | None = None) -> None:
        """Count workflows; vanished ones that are decided to be sent count as some to enqueue too."""
        change, count = alike.first, alike.size
        if change.state is State.CONFLICT and change.held:
            self.held += count
            return
        self._states[change.state] += count
        if change.state is State.UNCHANGED:
            self.unchanged_by_status[change.status or "unknown"] += count
            self.not_comparable += 0 if change.comparable else count
        elif change.state is State.VANISHED and decision is Decision.SEND:
            self.recreated += count

    def count(self, state: State) -> int:
        return self._states[state]

    @property
    def to_enqueue(self) -> int:
        return self._states[State.CREATE] + self.recreated

    def closing_line(self) -> str:
        """`Plan: 178 to enqueue, 2 unchanged (1 SUCCESS, 1 ERROR), 0 drifted, 0 conflicts`."""
        conflicts = self.count(State.CONFLICT)
        parts = [
            f"{self.to_enqueue:,} to enqueue",
            f"{self.count(State.UNCHANGED):,} unchanged{self._statuses()}",
            f"{self.count(State.DRIFTED):,} drifted",
            f"{conflicts:,} conflict{'' if conflicts == 1 else 's'}",
        ]
        for count, word in (
            (self.count(State.VANISHED), "vanished"),
            (self.count(State.ORPHANED), "orphaned"),
            (self.held, "held"),
        ):
            if count:
                parts.append(f"{count:,} {word}")
        return "Plan: " + ", ".join(parts)

    def _statuses(self) -> str:
        found = self.unchanged_by_status
        known = [status for status in _STATUS_ORDER if status in found]
        others = sorted(set(found).difference(known))
        text = ", ".join(f"{found[status]:,} {status}" for status in [*known, *others])
        if self.not_comparable:
            text += f"; {self.not_comparable:,} not comparable"
        return f" ({text})" if text else ""

    def as_json(self) -> dict[str, Any]:
        return {
            **{state.value: self._states[state] for state in State},
            "held": self.held,
            "not_comparable": self.not_comparable,
            "unchanged_by_status": dict(sorted(self.unchanged_by_status.items())),
        }
