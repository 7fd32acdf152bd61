"""One workflow of a manifest, its row and its lock entry in; what differs and what to do about it out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from operator import attrgetter
from typing import Any, NamedTuple, NoReturn

from .canonical import canonical_json
from .snapshot import INTERNAL_QUEUE, SnapshotRow
from .spec import WorkflowSpec, encode_inputs

PORTABLE = "portable_json"
_QUEUED = ("ENQUEUED", "DELAYED")
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

    __hash__ = str.__hash__  # Enum's own runs in Python, and states are counted a million times


class Decision(str, Enum):
    SEND = "send"
    SKIP = "skip"
    REFUSE = "refuse"


class _Missing:
    """A value that one side does not have at all, which is not the same as null."""

    def __repr__(self) -> str:
        return "(not there)"


MISSING = _Missing()
MAX_DIFFERENCES = 50  # of one workflow's arguments


class Difference(NamedTuple):
    """A field in the manifest's words and units; both values in normal form, None for unset.

    An argument that one side does not have is MISSING there.
    """

    field: str
    manifest: Any
    database: Any


class Change(NamedTuple):
    """A workflow's state, and what it rests on."""

    state: State
    id: str
    workflow: str | None
    entry: int | None  # index in `workflows`; None for an orphan
    status: str | None  # of DBOS, None without a row
    differences: tuple[Difference, ...] = ()
    comparable: bool = True  # False: only the identity could be compared
    held_by: str | None = None  # the live workflow that has its deduplication id
    held: bool = False  # with return-existing: `held_by` stands in for it, which is no conflict
    reason: str | None = None
    spec: WorkflowSpec | None = None  # None for an orphan


def compare_spec(spec: WorkflowSpec, row: SnapshotRow | None, *, locked: bool, holder: str | None) -> Change:
    """What the database (and the lockfile, by `locked`) has of one workflow, against the manifest.

    The arguments of a shared row are not compared: the lockfile vouches for them.
    Nothing is unpickled: a row that is not portable, or that a DBOS schedule made, is compared by identity.
    Source: SPEC §3; DBOS.md §4 and §8 for what DBOS itself does to a row.
    """
    if row is None:
        return _compare_missing(spec, locked, holder)
    if others := tuple(_identity_differences(spec, row)):
        return _change(State.CONFLICT, spec, row.status, differences=others)
    if row.serialization != PORTABLE or row.schedule_name:
        return _change(State.UNCHANGED, spec, row.status, comparable=False)
    differences, reason = ([], None) if row.shared else _input_differences(spec, row.inputs)
    differences += _option_differences(spec, row)
    if _never_started(row):
        differences += _placement_differences(spec, row)
    state = State.DRIFTED if differences else State.UNCHANGED
    return _change(state, spec, row.status, differences=tuple(differences), reason=reason)


class SharedComparison:
    """`compare_spec` for many workflows beside the few records that their rows share.

    Those with the same options and the same record are compared once. The records must outlive this object.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Change] = {}
        self._last: tuple[Any, ...] = ()
        self._last_change: Change | None = None

    def compare(self, spec: WorkflowSpec, row: SnapshotRow) -> Change:
        if spec.authenticated_roles:  # a list is no key
            return compare_spec(spec, row, locked=True, holder=None)
        key = (id(row), _compared_options(spec))
        known = self._last_change
        if known is None or key != self._last:  # most are as the one before
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = compare_spec(spec, row, locked=True, holder=None)
            self._last, self._last_change = key, known
        return Change(
            known.state, spec.id, spec.workflow, spec.entry, known.status, known.differences,
            known.comparable, None, False, known.reason, spec,
        )  # fmt: skip


_compared_options = attrgetter(
    "workflow", "class_name", "instance_name", "application", "timeout_ms", "priority", "authenticated_user",
    "assumed_role", "queue", "queue_partition_key", "deduplication_id", "application_version", "deadline_ms",
    "delay_ms", "not_before_ms",
)  # fmt: skip


def _change(state: State, spec: WorkflowSpec, status: str | None, **facts: Any) -> Change:
    return Change(state, spec.id, spec.workflow, spec.entry, status, spec=spec, **facts)


def _compare_missing(spec: WorkflowSpec, locked: bool, holder: str | None) -> Change:
    held = holder is not None and spec.duplication_policy == "return-existing"
    missing = State.CREATE if holder is None else State.CONFLICT
    state = State.VANISHED if locked else missing
    return Change(  # by position: this is made a million times
        state, spec.id, spec.workflow, spec.entry, None, (), True, holder, held, None, spec
    )


def _identity_differences(spec: WorkflowSpec, row: SnapshotRow) -> Iterator[Difference]:
    if spec.workflow != row.workflow:
        yield Difference("workflow", spec.workflow, row.workflow)
    if spec.class_name != (row.class_name or None):
        yield Difference("class_name", spec.class_name, row.class_name or None)
    if spec.instance_name != (row.instance_name or None):
        yield Difference("instance_name", spec.instance_name, row.instance_name or None)
    if spec.application and row.application and spec.application != row.application:
        yield Difference("application", spec.application, row.application)


def _input_differences(spec: WorkflowSpec, inputs: str | None) -> tuple[list[Difference], str | None]:
    """Arguments by value. Text that is no portable envelope is drift: DBOS could not run it either."""
    if inputs == encode_inputs(spec):
        return [], None  # the same text is the same value: spares most rows the slow comparison
    try:
        envelope = json.loads(inputs, parse_constant=_refuse_constant) if inputs else None
        if envelope is not None and not isinstance(envelope, dict):
            return [Difference("args", spec.args, inputs)], "its stored arguments are not a JSON object"
        args, kwargs = _stored(envelope, "positionalArgs", []), _stored(envelope, "namedArgs", {})
        differences = [
            *compare_values("args", spec.args, args),
            *compare_values("kwargs", spec.kwargs, kwargs),
        ]
        return differences[:MAX_DIFFERENCES], None
    except (ValueError, RecursionError):  # not JSON, NaN, an infinity, or nested without end
        return [Difference("args", spec.args, inputs)], "its stored arguments are not JSON"


def compare_values(field: str, wanted: Any, stored: Any) -> Iterator[Difference]:
    """The places below `field` where two JSON values differ: `kwargs.region`, `args[0].days`."""
    if isinstance(wanted, dict) and isinstance(stored, dict):
        for key in [*wanted, *(key for key in stored if key not in wanted)]:
            name = f"{field}.{key}" if key.isidentifier() else f"{field}[{canonical_json(key)}]"
            yield from compare_values(name, wanted.get(key, MISSING), stored.get(key, MISSING))
    elif isinstance(wanted, list) and isinstance(stored, list):
        for index in range(max(len(wanted), len(stored))):
            ours, theirs = (v[index] if index < len(v) else MISSING for v in (wanted, stored))
            yield from compare_values(f"{field}[{index}]", ours, theirs)
    elif (
        wanted is MISSING or stored is MISSING or canonical_json(wanted) != canonical_json(stored)
    ) and wanted is not stored:
        yield Difference(field, wanted, stored)


def _stored(envelope: dict[str, Any] | None, key: str, empty: Any) -> Any:
    value = envelope.get(key) if envelope else None
    return empty if value is None else value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _option_differences(spec: WorkflowSpec, row: SnapshotRow) -> list[Difference]:
    """What DBOS never rewrites, whatever becomes of the workflow."""
    differences = []
    if spec.timeout_ms != row.timeout_ms:
        differences.append(Difference("timeout", spec.timeout_ms, row.timeout_ms))
    if spec.priority != (row.priority or 0):
        differences.append(Difference("priority", spec.priority, row.priority or 0))
    if spec.authenticated_user != (row.authenticated_user or None):
        differences.append(
            Difference("authenticated_user", spec.authenticated_user, row.authenticated_user or None)
        )
    roles, stored_roles = spec.authenticated_roles or None, _read_roles(row.authenticated_roles)
    if roles != stored_roles:
        differences.append(Difference("authenticated_roles", roles, stored_roles))
    if spec.assumed_role != (row.assumed_role or None):
        differences.append(Difference("assumed_role", spec.assumed_role, row.assumed_role or None))
    return differences


def _read_roles(text: str | None) -> Any:
    """Stored roles as JSON; text that is not JSON stays text, which no list equals."""
    if not text:
        return None
    try:
        roles = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return None if roles == [] else roles


def _never_started(row: SnapshotRow) -> bool:
    """Whether no worker has had it, so that its place in the queue is still what the enqueuer wrote.

    A claim sets version, executor and start time; recovery and resume keep the executor; resume and
    rewind without a queue move the row to DBOS's internal one. A resume onto a named queue leaves only
    ENQUEUED and a later `updated_at`, as a change of attributes does; a delay that elapses does not.
    Source: dbos 3.4.0 `_sys_db.py`: start_queued_workflows, reenqueue_for_recovery, resume_workflows.
    """
    return (
        row.status in _QUEUED
        and not row.recovery_attempts
        and not row.executor_id
        and not row.started
        and row.queue != INTERNAL_QUEUE
        and (row.status == "DELAYED" or not row.touched)
    )


def _placement_differences(spec: WorkflowSpec, row: SnapshotRow) -> list[Difference]:
    differences = []
    if spec.queue != (row.queue or None):
        differences.append(Difference("queue", spec.queue, row.queue or None))
    for field in ("queue_partition_key", "deduplication_id", "application_version"):
        wanted, stored = getattr(spec, field), getattr(row, field) or None
        if wanted != stored:
            differences.append(Difference(field, wanted, stored))
    # DBOS fills a deadline in only at a claim, and only beside a timeout; but resume takes it away, even
    # from a row that never started. So a deadline that is there is compared, a missing one is not.
    if row.timeout_ms is None and row.deadline_ms not in (None, spec.deadline_ms):
        differences.append(Difference("deadline", spec.deadline_ms, row.deadline_ms))
    # A delay counts from an apply that nobody remembers. Without one, a row that waits must be told to.
    if row.status == "DELAYED" and spec.delay_ms is None and spec.not_before_ms != row.delay_until_ms:
        differences.append(Difference("not_before", spec.not_before_ms, row.delay_until_ms))
    return differences


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

    def add(self, change: Change, decision: Decision | None = None) -> None:
        """Count a change; a vanished workflow that is decided to be sent counts as one to enqueue too."""
        if change.state is State.CONFLICT and change.held:
            self.held += 1
            return
        self._states[change.state] += 1
        if change.state is State.UNCHANGED:
            self.unchanged_by_status[change.status or "unknown"] += 1
            self.not_comparable += not change.comparable
        elif change.state is State.VANISHED and decision is Decision.SEND:
            self.recreated += 1

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
