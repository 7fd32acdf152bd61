"""Test the comparison rules: equal values in any notation are unchanged, and changes are drift."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.planning.comparison import compare_workflows
from dbos_manifest.planning.manifest_plan import PlanBuilder, PlanOrigin
from dbos_manifest.planning.missing_rows import Absence, OldestRows, is_explained
from dbos_manifest.planning.rows import INTERNAL_QUEUE, SnapshotRow
from dbos_manifest.planning.states import Changes, Decision, Overrides, State, decide
from dbos_manifest.workflows.batch import Batch
from dbos_manifest.workflows.spec import WorkflowSpec

SPEC = WorkflowSpec(
    "a", "f", "q", [1, "x", None], {"k": 1.5}, class_name="C", instance_name="i", application="app",
    queue_partition_key="p", priority=3, timeout_ms=1000, deduplication_id="d", application_version="v",
    authenticated_user="u", authenticated_roles=["r"], assumed_role="r",
)  # fmt: skip
BARE = WorkflowSpec("a", "f", "q", [], {})


def row_of(spec: WorkflowSpec, **changed: Any) -> SnapshotRow:
    roles = spec.authenticated_roles
    row = SnapshotRow(
        id=spec.id, status="ENQUEUED", workflow=spec.workflow, class_name=spec.class_name,
        instance_name=spec.instance_name, application=spec.application, queue=spec.queue,
        queue_partition_key=spec.queue_partition_key, deduplication_id=spec.deduplication_id,
        application_version=spec.application_version, priority=spec.priority, timeout_ms=spec.timeout_ms,
        deadline_ms=spec.deadline_ms, delay_until_ms=spec.not_before_ms,
        authenticated_user=spec.authenticated_user,
        authenticated_roles=None if roles is None else json.dumps(roles), assumed_role=spec.assumed_role,
        serialization="portable_json",
        inputs=json.dumps({"positionalArgs": spec.args, "namedArgs": spec.kwargs}),
        schedule_name=None, executor_id=None, recovery_attempts=0, started=False, touched=False,
        created_at_ms=1,
        completed_at_ms=None, creator_xid=None,
    )  # fmt: skip
    return row._replace(**changed)


VANISHED = Absence(State.VANISHED, None)
ENDED = Absence(State.VANISHED, "SUCCESS")
MISSING = Absence(State.MISSING, None)


def compare(
    spec: WorkflowSpec, row: SnapshotRow | None, absence: Absence | None = None, holder: str | None = None
) -> Any:
    key = (spec.queue, spec.deduplication_id or "")
    rows, absent = {spec.id: row} if row else {}, {spec.id: absence} if absence else {}
    return compare_workflows(Batch.of([spec]), rows, absent, {key: holder} if holder else {}).shared[0]


def test_row_and_lock_entry_decide_the_state() -> None:
    assert compare(SPEC, None).state is State.CREATE
    assert compare(SPEC, None, VANISHED).state is State.VANISHED
    assert compare(SPEC, None, MISSING).state is State.MISSING
    ended = compare(SPEC, None, ENDED)
    assert (ended.state, ended.status) == (State.VANISHED, "SUCCESS")
    assert compare(SPEC, row_of(SPEC)).state is State.UNCHANGED
    assert compare(SPEC, row_of(SPEC, priority=4)).state is State.DRIFTED
    assert compare(SPEC, row_of(SPEC, workflow="g")).state is State.CONFLICT
    held = compare(SPEC, None, holder="other")
    assert (held.state, held.held_by) == (State.CONFLICT, "other")


@given(
    st.sampled_from([None, ""]),
    st.sampled_from([None, "", "null", "[]"]),
    st.sampled_from([None, 0]),
    st.sampled_from(
        ["{}", '{"positionalArgs":null}', '{"namedArgs":{},"positionalArgs":[]}', '{"namedArgs":null}']
    ),
    st.sampled_from(["ENQUEUED", "SUCCESS", "PENDING"]),
)
def test_every_notation_of_an_unset_option_is_unchanged(
    text: str | None, roles: str | None, number: int | None, inputs: str, status: str
) -> None:
    row = row_of(
        BARE, status=status, class_name=text, instance_name=text, application=text, queue_partition_key=text,
        deduplication_id=text, application_version=text, authenticated_user=text, assumed_role=text,
        authenticated_roles=roles, priority=number, recovery_attempts=number, executor_id=text, inputs=inputs,
    )  # fmt: skip
    change = compare(BARE, row)
    assert (change.state, change.differences) == (State.UNCHANGED, ())


ALWAYS = {
    "args": [2], "kwargs": {"k": 2}, "authenticated_user": "w", "authenticated_roles": ["s"],
    "assumed_role": "s",
}  # fmt: skip
UNTIL_STARTED = {
    "timeout_ms": 5, "priority": 9, "queue": "z", "queue_partition_key": "z", "deduplication_id": "z",
    "application_version": "z",
}  # fmt: skip


@pytest.mark.parametrize("status", ["ENQUEUED", "PENDING", "SUCCESS", "ERROR", "CANCELLED"])
@pytest.mark.parametrize("field", ALWAYS)
def test_changed_argument_is_drift_in_every_status(field: str, status: str) -> None:
    changed = SPEC._replace(**{field: ALWAYS[field]})
    assert compare(changed, row_of(SPEC, status=status)).state is State.DRIFTED


@pytest.mark.parametrize("field", UNTIL_STARTED)
def test_queueing_options_are_compared_until_the_workflow_starts(field: str) -> None:
    changed = SPEC._replace(**{field: UNTIL_STARTED[field]})
    assert compare(changed, row_of(SPEC)).state is State.DRIFTED
    for started in (
        {"status": "PENDING"},
        {"status": "SUCCESS"},
        {"recovery_attempts": 1},
        {"executor_id": "e"},
        {"started": True},
        {"queue": INTERNAL_QUEUE},
        {"touched": True},  # a resumed workflow has another queue and no deduplication ID
    ):
        found = compare(changed, row_of(SPEC, **started))
        assert (found.state, found.differences) == (State.UNCHANGED, ()), started
        if field != "queue" or "queue" not in started:
            assert found.outdated == (field.removesuffix("_ms"),), started


def test_deadline_is_compared_until_the_workflow_starts() -> None:
    stored, changed = BARE._replace(deadline_ms=5), BARE._replace(deadline_ms=6)
    assert compare(changed, row_of(stored)).state is State.DRIFTED
    assert compare(changed, row_of(stored, status="SUCCESS")).outdated == ("deadline",)


@pytest.mark.parametrize(
    "by_dbos",
    [
        {"status": "SUCCESS", "deduplication_id": None},
        {"status": "CANCELLED", "queue": None, "deduplication_id": None},
        {"status": "ENQUEUED", "queue": INTERNAL_QUEUE, "touched": True, "deduplication_id": None},
        {"status": "ENQUEUED", "queue_partition_key": None, "touched": True},  # restarted workflow
        {"status": "PENDING", "deadline_ms": 99},  # set from the timeout when a worker claims it
    ],
)
def test_changes_by_dbos_are_not_noted(by_dbos: dict[str, Any]) -> None:
    found = compare(SPEC, row_of(SPEC, **by_dbos))
    assert (found.state, found.outdated) == (State.UNCHANGED, ())


def test_version_set_by_a_worker_is_not_noted() -> None:
    assert compare(BARE, row_of(BARE, status="PENDING", application_version="v")).outdated == ()


def test_options_of_the_same_workflows_have_one_note() -> None:
    specs = [BARE._replace(id=str(n), timeout_ms=7, priority=n // 8) for n in range(10)]
    statuses = ["SUCCESS"] * 7 + ["PENDING"] * 3
    rows = {s.id: row_of(BARE, id=s.id, status=status) for s, status in zip(specs, statuses, strict=True)}
    assert notes_of(compare_workflows(Batch.of(specs), rows, {}, {})) == [
        "8 started workflows (7 finished) ran with a different `timeout`; they are not changed",
        "2 started workflows ran with different values of `timeout` and `priority`; they are not changed",
    ]
    rows = {key: row._replace(status="SUCCESS") for key, row in rows.items()}
    assert notes_of(compare_workflows(Batch.of(specs[:8]), rows, {}, {})) == [
        "8 finished workflows ran with a different `timeout`; they are not run again"
    ]


def notes_of(changes: Changes) -> list[str]:
    builder = PlanBuilder(Overrides())
    builder.add(changes)
    return builder.build(PlanOrigin("m", "m.yaml", 0)).summary.notes()


def test_not_before_is_compared_only_while_delayed() -> None:
    spec = BARE._replace(not_before_ms=5)
    assert compare(spec, row_of(BARE, status="DELAYED", delay_until_ms=6)).state is State.DRIFTED
    found = compare(spec, row_of(BARE, status="ENQUEUED", delay_until_ms=6))
    assert (found.state, found.outdated) == (State.UNCHANGED, ())


def test_arguments_are_compared_as_json_values() -> None:
    assert compare(BARE._replace(args=[1]), row_of(BARE._replace(args=[1.0]))).state is State.UNCHANGED
    assert compare(BARE._replace(args=[1]), row_of(BARE._replace(args=[True]))).state is State.DRIFTED
    assert compare(BARE, row_of(BARE, inputs="no json")).state is State.DRIFTED


@pytest.mark.parametrize("change", [{"serialization": "py_pickle"}, {"schedule_name": "s"}])
def test_arguments_in_other_formats_are_not_comparable(change: dict[str, str]) -> None:
    found = compare(BARE._replace(args=[1]), row_of(BARE, **change))
    assert (found.state, found.comparable) == (State.UNCHANGED, False)


def test_row_with_the_schedule_of_its_entry_is_compared() -> None:
    """Apply wrote the row; DBOS itself writes rows of schedules in a format that is not portable."""
    spec = BARE._replace(schedule="s", args=[1])
    assert compare(spec, row_of(spec, schedule_name="s")).comparable
    assert compare(spec, row_of(BARE, schedule_name="s")).state is State.DRIFTED
    assert not compare(spec, row_of(BARE, schedule_name="s", serialization="py_pickle")).comparable
    assert not compare(spec, row_of(BARE, schedule_name="t")).comparable
    for stored in (None, ""):  # written before the entry had a schedule; the schedule itself is not compared
        assert compare(spec, row_of(spec, schedule_name=stored)).state is State.UNCHANGED


def test_application_is_compared_only_when_both_sides_have_one() -> None:
    assert compare(SPEC, row_of(SPEC, application=None)).state is State.UNCHANGED
    assert compare(SPEC._replace(application=None), row_of(SPEC)).state is State.UNCHANGED
    assert compare(SPEC, row_of(SPEC, application="other")).state is State.CONFLICT


def test_overrides_decide_what_is_enqueued() -> None:
    def decision(change: Any, **allowed: bool) -> Decision:
        return decide(change, Overrides(**allowed))

    drifted, conflict = compare(SPEC, row_of(SPEC, priority=4)), compare(SPEC, row_of(SPEC, workflow="g"))
    vanished, ended = compare(SPEC, None, VANISHED), compare(SPEC, None, ENDED)
    missing = compare(SPEC, None, MISSING)
    returning = compare(SPEC._replace(duplication_policy="return-existing"), None, holder="other")
    assert decision(compare(SPEC, None)) is Decision.ENQUEUE
    assert decision(compare(SPEC, row_of(SPEC))) is Decision.SKIP
    assert (decision(drifted), decision(drifted, allow_drift=True)) == (Decision.REFUSE, Decision.SKIP)
    assert (decision(conflict), decision(conflict, skip_conflicts=True)) == (Decision.REFUSE, Decision.SKIP)
    assert (decision(vanished), decision(vanished, recreate_vanished=True)) == (
        Decision.SKIP,
        Decision.ENQUEUE,
    )
    assert decision(ended) is Decision.SKIP
    assert decision(ended, recreate_vanished=True, recreate_missing=True) is Decision.SKIP
    assert decision(missing) is decision(missing, recreate_vanished=True) is Decision.REFUSE
    assert (decision(missing, recreate_missing=True), decision(missing, skip_missing=True)) == (
        Decision.ENQUEUE,
        Decision.SKIP,
    )
    assert decision(vanished, recreate_missing=True) is Decision.SKIP
    assert decision(returning) is Decision.SKIP


@pytest.mark.parametrize("absence", [VANISHED, MISSING])
def test_workflow_whose_deduplication_id_is_held_is_not_enqueued_again(absence: Absence) -> None:
    allowed = Overrides(recreate_vanished=True, recreate_missing=True)
    held = compare(SPEC, None, absence, holder="other")
    assert decide(held, allowed) is Decision.REFUSE
    assert decide(held, allowed._replace(skip_conflicts=True)) is Decision.SKIP


ENQUEUED_AT = 1_000_000


@pytest.mark.parametrize(
    ("oldest", "explained"),
    [
        (OldestRows(None, None), False),  # no rows at all: the database was reset
        (OldestRows(ENQUEUED_AT + 1_000, None), True),  # no row of that age is left
        (OldestRows(ENQUEUED_AT + 1_000, ENQUEUED_AT + 1_000), True),
        (OldestRows(ENQUEUED_AT + 1, ENQUEUED_AT + 1), False),  # the first of three rows is missing
        (OldestRows(ENQUEUED_AT, ENQUEUED_AT), False),  # a finished row of that age still exists
        (OldestRows(ENQUEUED_AT - 1, ENQUEUED_AT - 1), False),
        (OldestRows(ENQUEUED_AT - 1, None), False),  # no workflow has ended
        (OldestRows(1, ENQUEUED_AT + 60_000), True),  # the old row is active, so retention keeps it
        (OldestRows(ENQUEUED_AT - 1, ENQUEUED_AT + 1), False),  # one row of an apply is missing
    ],
)
def test_missing_row_is_explained_by_retention_when_no_older_row_exists(
    oldest: OldestRows, explained: bool
) -> None:
    assert is_explained(ENQUEUED_AT, oldest) is explained


SHARED = [
    row_of(BARE, id="", inputs=None, created_at_ms=5),
    row_of(BARE, id="", inputs=None, status="SUCCESS"),
    row_of(BARE, id="", inputs=None, priority=7),
    row_of(BARE, id="", inputs=None, workflow="g"),
    row_of(BARE, id="", inputs=None, queue_partition_key="p"),
]
OWN = [row_of(BARE), row_of(BARE, inputs='{"positionalArgs":[2]}'), row_of(BARE, status="ERROR")]
cases = st.tuples(
    st.sampled_from([None, *SHARED, *OWN]),
    st.sampled_from([None, None, VANISHED, ENDED, MISSING]),
    st.sampled_from([None, None, "held", "free"]),  # deduplication ID
    st.sampled_from([None, "p"]),  # partition key
    st.sampled_from([None, ["r"]]),  # roles
    st.sampled_from(["reject", "return-existing"]),
)


@given(st.lists(cases, min_size=1, max_size=8), st.booleans())
def test_batch_is_compared_like_single_workflows(found: list[Any], alike: bool) -> None:
    if alike:
        found = [found[0]] * len(found)
    specs, rows, holders = [], {}, {}
    for place, (row, _, key, partition, roles, policy) in enumerate(found):
        spec = BARE._replace(
            id=str(place), entry=place, deduplication_id=key, queue_partition_key=partition,
            authenticated_roles=roles, duplication_policy=policy,
        )  # fmt: skip
        specs.append(spec)
        if row is not None:
            rows[spec.id] = row if row.shared else row._replace(id=spec.id)
        elif key == "held":
            holders["q", key] = "other"
    absent = {str(place): absence for place, (row, absence, *_) in enumerate(found) if absence and not row}
    block = Batch.of(specs)
    together = compare_workflows(block, rows, absent, holders)
    each = [*together.each()]
    assert each == [
        compare(
            spec,
            rows.get(spec.id),
            absent.get(spec.id),
            None if spec.id in rows else holders.get((spec.queue, spec.deduplication_id or "")),
        )
        for spec in specs
    ]
    assert together.ids == block.ids
    by_kind: dict[Any, list[Any]] = {}
    for change in each:
        kind = (
            change.state, change.status, change.comparable, change.held, change.held_by is None,
            change.outdated, change.fields,
        )  # fmt: skip
        by_kind.setdefault(kind, []).append(change)
    parts = [(a.first, a.size, [*a.ids]) for a in together.groups]
    assert parts == [(p[0], len(p), [change.id for change in p]) for p in by_kind.values()]
    for group, changes in zip(together.groups, by_kind.values(), strict=True):
        assert [change.differences for change in group.shared] == [change.differences for change in changes]
