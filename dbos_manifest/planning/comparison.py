"""Compare the workflows of a manifest with their rows in the database and their lock entries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

from ..core.canonical_json import canonical_json
from ..core.columns import Repeated, distinct
from ..workflows.batch import Batch
from ..workflows.encoded_arguments import encode_inputs
from ..workflows.spec import WorkflowSpec
from .missing_rows import Absence
from .never_started import compare_steering_options, is_never_started, show_time
from .rows import SnapshotRow
from .states import ABSENT, Change, Changes, Difference, State, group_changes, make_change, one_change

PORTABLE = "portable_json"
MAX_DIFFERENCES = 50  # of one workflow's arguments
_COMPARED = (  # besides the arguments
    "workflow", "class_name", "instance_name", "application", "timeout_ms", "priority", "authenticated_user",
    "authenticated_roles", "assumed_role", "queue", "queue_partition_key", "deduplication_id",
    "application_version", "deadline_ms", "delay_ms", "not_before_ms", "schedule",
)  # fmt: skip
Holders = Mapping[tuple[str, str], str]
"""The ID of the workflow that holds a deduplication ID, by queue and deduplication ID."""


def compare_workflows(
    batch: Batch, rows: Mapping[str, SnapshotRow], absent: Mapping[str, Absence], holders: Holders
) -> Changes:
    """Compare the workflows of a batch with their rows, or with what is known of those without a row.

    `rows` and `absent` are by workflow ID; `absent` has the workflows with a lock entry and no row.
    Workflows with the same options and the same shared row are compared once, and without their arguments:
    the lockfile has the digests of these workflows.
    Source: SPEC §3; DBOS.md §4 and §8 for what DBOS itself changes in a row.
    """
    if not rows and not holders and not absent:
        return one_change(_compare_without_row(batch[0], absent, holders), batch)
    ids, found = batch.ids, [*map(rows.get, batch.ids)]
    options, first = batch.varying(_COMPARED), found[0]
    if first is not None and first.shared and not options and len({*map(id, found)}) == 1:
        return one_change(_compare_row(batch[0], "", first), batch)
    own = _compare_own_rows(batch, found)
    shareable = isinstance(batch.columns["authenticated_roles"], Repeated)  # a list cannot be part of a key
    known: dict[object, Change] = {}  # by what was compared
    changes = []
    for place, row in enumerate(found):
        if place in own:
            changes.append(own[place])
            continue
        key: object = place
        if row is not None and shareable:
            key = (id(row), *[column[place] for column in options])
        elif row is None and not holders:
            key = absent.get(ids[place])
        change = known.get(key)
        if change is None:
            spec = batch[place]
            change = _compare_row(spec, "", row) if row else _compare_without_row(spec, absent, holders)
            known[key] = change
        changes.append(change)
    return group_changes(batch, changes)


def _compare_own_rows(batch: Batch, found: Sequence[SnapshotRow | None]) -> dict[int, Change]:
    """Compare the workflows whose rows are not shared, by position; arguments are encoded for these only."""
    own_rows = {id(row) for row in distinct(found) if row is not None and not row.shared}
    places = [place for place, row in enumerate(found) if id(row) in own_rows] if own_rows else []
    if not places:
        return {}
    part = batch.take(places)
    return {
        place: _compare_row(spec, inputs, row)
        for place, spec, inputs in zip(places, part, encode_inputs(part), strict=True)
        if (row := found[place]) is not None
    }


def _compare_row(spec: WorkflowSpec, inputs: str, row: SnapshotRow) -> Change:
    """Compare a workflow with its row; `inputs` are its encoded arguments, unused for a shared row.

    Nothing is unpickled: a row that is not portable, or that a DBOS schedule made, is compared by identity.
    """
    if others := tuple(_identity_differences(spec, row)):
        return make_change(State.CONFLICT, spec, row.status, differences=others)
    if row.serialization != PORTABLE or (row.schedule_name or None) not in (None, spec.schedule):
        return make_change(State.UNCHANGED, spec, row.status, comparable=False)
    differences: list[Difference] = []
    reason = None
    if not row.shared and row.inputs != inputs:  # most rows have equal text, which is the same value
        differences, reason = _input_differences(spec, row.inputs)
    differences += _result_differences(spec, row)
    if row.status == "DELAYED":
        differences += _delay_differences(spec, row)
    outdated: tuple[str, ...] = ()
    started = not is_never_started(row)
    if steering := compare_steering_options(spec, row, started):
        if started:
            outdated = tuple(found.field for found in steering)
        else:
            differences += steering
    state = State.DRIFTED if differences else State.UNCHANGED
    return make_change(
        state, spec, row.status, differences=tuple(differences), reason=reason, outdated=outdated
    )


def _compare_without_row(spec: WorkflowSpec, absent: Mapping[str, Absence], holders: Holders) -> Change:
    absence = absent.get(spec.id)
    holder = holders.get((spec.queue, spec.deduplication_id or ""))
    held = holder is not None and spec.duplication_policy == "return-existing"
    if absence is not None:
        return make_change(absence.state, spec, absence.status, held_by=holder, held=held)
    state = State.CREATE if holder is None else State.CONFLICT
    return make_change(state, spec, held_by=holder, held=held)


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
    """Compare arguments by value. Text that is no portable envelope is drift: DBOS cannot run it either."""
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


def compare_values(field: str, wanted: object, stored: object) -> Iterator[Difference]:
    """Yield the places below `field` where two JSON values differ: `kwargs.region`, `args[0].days`."""
    if isinstance(wanted, dict) and isinstance(stored, dict):
        for key in [*wanted, *(key for key in stored if key not in wanted)]:
            name = f"{field}.{key}" if key.isidentifier() else f"{field}[{canonical_json(key)}]"
            yield from compare_values(name, wanted.get(key, ABSENT), stored.get(key, ABSENT))
    elif isinstance(wanted, list) and isinstance(stored, list):
        for index in range(max(len(wanted), len(stored))):
            ours, theirs = (v[index] if index < len(v) else ABSENT for v in (wanted, stored))
            yield from compare_values(f"{field}[{index}]", ours, theirs)
    elif (
        wanted is ABSENT or stored is ABSENT or canonical_json(wanted) != canonical_json(stored)
    ) and wanted is not stored:
        yield Difference(field, wanted, stored)


def _stored(envelope: dict[str, object] | None, key: str, empty: object) -> object:
    value = envelope.get(key) if envelope else None
    return empty if value is None else value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _result_differences(spec: WorkflowSpec, row: SnapshotRow) -> list[Difference]:
    """Compare the options that determine a workflow's result as its arguments do."""
    differences = []
    if spec.authenticated_user != (row.authenticated_user or None):
        differences.append(
            Difference("authenticated_user", spec.authenticated_user, row.authenticated_user or None)
        )
    if spec.assumed_role != (row.assumed_role or None):
        differences.append(Difference("assumed_role", spec.assumed_role, row.assumed_role or None))
    roles, stored_roles = spec.authenticated_roles or None, _read_roles(row.authenticated_roles)
    if roles != stored_roles:
        differences.append(Difference("authenticated_roles", roles, stored_roles))
    return differences


def _read_roles(text: str | None) -> object:
    """Parse stored roles; text that is not JSON is returned as text, which no list equals."""
    if not text:
        return None
    try:
        roles = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return None if roles == [] else roles


def _delay_differences(spec: WorkflowSpec, row: SnapshotRow) -> list[Difference]:
    """Compare `not_before` of a row that is DELAYED: it only matters then."""
    # A delay counts from the moment of an apply that is recorded nowhere, so it is not compared.
    if spec.delay_ms is None and spec.not_before_ms != row.delay_until_ms:
        return [Difference("not_before", *map(show_time, (spec.not_before_ms, row.delay_until_ms)))]
    return []
