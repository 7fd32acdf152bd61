"""Test digests and default IDs. They are stored in lockfiles and databases, so they never change."""

from __future__ import annotations

from typing import Any

import pytest

from dbos_manifest.workflows.batch import Batch
from dbos_manifest.workflows.digest import compute_digests
from dbos_manifest.workflows.spec import WorkflowSpec, default_id

SMALL = WorkflowSpec(id="x", workflow="ingest_orders", queue="etl", args=[], kwargs={})
FULL = WorkflowSpec(
    id="orders-1",
    workflow="ingest_orders",
    queue="etl",
    args=["2026-01-01", 3, 0.5, None, True],
    kwargs={"region": "eu", "näme": "😀"},
    class_name="Orders",
    instance_name="berlin",
    application="orders",
    queue_partition_key="eu",
    priority=10,
    timeout_ms=600_000,
    deadline_ms=1_767_225_600_000,
    not_before_ms=1_767_139_200_000,
    delay_ms=1500,
    deduplication_id="d",
    duplication_policy="return-existing",
    application_version="v1",
    authenticated_user="ann",
    authenticated_roles=["admin"],
    assumed_role="admin",
    attributes={"team": "data"},
    schedule="nightly",
    runtime="python",
    name="label",
    entry=3,
)
NOT_DIGESTED = {"id", "duplication_policy", "attributes", "schedule", "runtime", "name", "entry", "binding"}
CHANGED: dict[type, Any] = {str: "other", int: 7, list: ["other"], dict: {"other": 1}}


def digest(spec: WorkflowSpec) -> str:
    return compute_digests(Batch.of([spec]))[0]


def test_digests_never_change() -> None:
    assert digest(SMALL) == "-gS718NbCouQQhfa_sc6gw"
    assert digest(FULL) == "m4DazCf2RPHmrb_-JqEArw"


def test_default_ids_never_change() -> None:
    assert default_id("orders", SMALL) == "orders-ingest_orders-24b92d072c44571c55cc"
    assert default_id("orders", FULL) == "orders-ingest_orders-90f8b267bc4ed8005321"


def test_explicit_defaults_do_not_change_the_digest() -> None:
    assert digest(SMALL._replace(priority=0, authenticated_roles=[])) == digest(SMALL)


@pytest.mark.parametrize("field", sorted(set(WorkflowSpec._fields) - NOT_DIGESTED))
def test_every_compared_field_changes_the_digest(field: str) -> None:
    changed = FULL._replace(**{field: CHANGED[type(getattr(FULL, field))]})
    assert digest(changed) != digest(FULL)
    if field in WorkflowSpec._field_defaults:
        assert digest(FULL._replace(**{field: WorkflowSpec._field_defaults[field]})) != digest(FULL)


@pytest.mark.parametrize("field", sorted(NOT_DIGESTED))
def test_other_fields_do_not_change_the_digest(field: str) -> None:
    assert digest(FULL._replace(**{field: None})) == digest(FULL)


def test_time_0_is_not_treated_as_unset() -> None:
    assert digest(SMALL._replace(deadline_ms=0)) != digest(SMALL)


def test_digest_treats_1_and_1_0_alike_and_true_differently() -> None:
    as_int, as_float, as_bool = (digest(SMALL._replace(args=[value])) for value in (1, 1.0, True))
    assert as_int == as_float != as_bool


@pytest.mark.parametrize("field", ["workflow", "class_name", "instance_name", "args", "kwargs"])
def test_default_id_depends_on_the_workflow_and_its_arguments(field: str) -> None:
    changed = FULL._replace(**{field: CHANGED[type(getattr(FULL, field))]})
    assert default_id("orders", changed) != default_id("orders", FULL)


def test_default_id_does_not_depend_on_other_options() -> None:
    slower = FULL._replace(queue="slow", priority=99, timeout_ms=1, entry=9, attributes=None)
    assert default_id("orders", slower) == default_id("orders", FULL)


def test_digests_of_a_batch_equal_those_of_single_workflows() -> None:
    """Change each field alone, with and without arguments."""
    specs = [SMALL, FULL, SMALL._replace(args=[], kwargs={}), SMALL._replace(deadline_ms=0)]
    for field in sorted(set(WorkflowSpec._fields) - NOT_DIGESTED):
        specs += [FULL, FULL._replace(**{field: CHANGED[type(getattr(FULL, field))]}), SMALL]
    assert compute_digests(Batch.of(specs)) == [digest(spec) for spec in specs]
