"""Test mistakes that DBOS accepts silently and then never runs, or runs wrongly.

Each mistake is enqueued with the official client, together with a good workflow. A real worker runs the good
workflow, and the mistake stays in its status. Then the plan of the same workflow warns, or apply refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from dbos import DBOSClient
from harness import WAIT, Cli, Rows, Worker


def enqueue(
    client: DBOSClient, workflow_id: str, queue: str, workflow: str, *args: Any, **options: Any
) -> None:
    client.enqueue(
        {"workflow_id": workflow_id, "queue_name": queue, "workflow_name": workflow, **options},
        *args,
    )  # type: ignore[call-arg]


def write(cli: Cli, **entry: Any) -> str:
    manifest = {"version": 1, "name": "silent", "application": "orders", "workflows": [entry]}
    (cli.folder / "silent.json").write_text(json.dumps(manifest))
    return "silent.json"


def told(cli: Cli, code: str, said: str, **entry: Any) -> None:
    """Check that the plan has the diagnostic; apply refuses errors, with `--strict` also warnings."""
    manifest = write(cli, **entry)
    plan = cli.plan(manifest, expect=None)
    findings = {found["code"]: found for found in plan.json()["summary"][0]["findings"]}
    assert said in f"{findings[code]['message']} {findings[code]['help']}"
    cli("apply", manifest, "--strict", expect=6)
    if findings[code]["severity"] == "error":
        cli("apply", manifest, expect=6)
        assert plan.code == 6
        cli("plan", manifest, "--exit-code", expect=6)
    cli(
        "plan",
        manifest,
        "--strict",
        *(word for c in findings for word in ("--allow", c)),
        "--exit-code",
        expect=10,
    )


def prove_stuck(
    client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker], status: str, queue: str = "nightly"
) -> None:
    """Check that a good workflow, enqueued after the mistake, completes and the mistake does not."""
    enqueue(client, "good", queue, "ingest_orders", "2026-01-01")
    start_worker()
    rows.wait_for({"good": "SUCCESS", "mistake": status})  # workers poll each queue separately


def test_unknown_workflow_name_is_a_warning(
    cli: Cli, client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    """A worker claims it and it stays PENDING; on a queue of concurrency 1 it blocks all other work."""
    enqueue(client, "mistake", "serial", "ingest_order", "2026-01-01")
    enqueue(client, "behind", "serial", "ingest_orders", "2026-01-01")
    prove_stuck(client, rows, start_worker, "PENDING")
    assert rows.column("status")["behind"] == "ENQUEUED"
    rows.execute(f"DELETE FROM {rows.table('workflow_status')} WHERE workflow_uuid = 'mistake'")
    told(
        cli,
        "workflow-never-seen",
        "did you mean `ingest_orders`",
        id="x",
        workflow="ingest_order",
        queue="serial",
    )


def test_queue_without_a_worker_is_a_warning(
    cli: Cli, client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    enqueue(client, "mistake", "nightyl", "ingest_orders", "2026-01-01")
    prove_stuck(client, rows, start_worker, "ENQUEUED")
    told(
        cli,
        "queue-not-registered",
        "did you mean `nightly`?",
        id="x",
        workflow="ingest_orders",
        queue="nightyl",
    )


def test_partitioned_queue_without_a_key_is_an_error(
    cli: Cli, client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    enqueue(client, "mistake", "per_region", "ingest_orders", "2026-01-01")
    prove_stuck(client, rows, start_worker, "ENQUEUED")
    told(cli, "missing-partition-key", "never runs", id="x", workflow="ingest_orders", queue="per_region")


def test_version_without_a_worker_is_a_warning(
    cli: Cli, client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    enqueue(client, "mistake", "nightly", "ingest_orders", "2026-01-01", app_version="2026.11")
    prove_stuck(client, rows, start_worker, "ENQUEUED")
    told(
        cli, "application-version-unknown", "did you mean `2026.1`?",
        id="x", workflow="ingest_orders", queue="nightly", application_version="2026.11",
    )  # fmt: skip


def test_queue_of_another_application_is_an_error(
    cli: Cli, rows: Rows, start_worker: Callable[..., Worker], database_url: str
) -> None:
    storefront = DBOSClient(system_database_url=database_url, application_name="storefront")
    try:
        start_worker().stop()
        enqueue(storefront, "mistake", "nightly", "ingest_orders", "2026-01-01")
        client = DBOSClient(system_database_url=database_url, application_name="orders")
        prove_stuck(client, rows, start_worker, "ENQUEUED")
        client.destroy()
    finally:
        storefront.destroy()
    entry = {"id": "x", "workflow": "ingest_orders", "queue": "nightly", "application": "storefront"}
    told(cli, "queue-owned-elsewhere", "belongs to the application `orders`", **entry)


def test_existing_id_with_other_arguments_is_drift(cli: Cli, client: DBOSClient, rows: Rows) -> None:
    """The client silently keeps the old arguments; the plan names the argument, and apply refuses."""
    portable = {"serialization_type": _portable()}
    enqueue(client, "mistake", "nightly", "ingest_orders", "2026-01-01", **portable)
    before = rows.dump()
    enqueue(client, "mistake", "nightly", "ingest_orders", "2026-12-31", **portable)
    assert rows.dump() == before
    manifest = write(cli, id="mistake", workflow="ingest_orders", queue="nightly", args=["2026-12-31"])
    change = cli.plan(manifest, expect=6).changes()["mistake"]
    assert (change["state"], [d["field"] for d in change["differences"]]) == ("drifted", ["args[0]"])
    cli("apply", manifest, expect=6)


def test_id_whose_row_was_removed_is_vanished(
    cli: Cli, client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    """The client runs it again; the plan finds in the lockfile that it ran."""
    enqueue(client, "mistake", "nightly", "ingest_orders", "2026-01-01")
    worker = start_worker()
    rows.wait_for({"mistake": "SUCCESS"})
    client.delete_workflow("mistake")
    enqueue(client, "mistake", "nightly", "ingest_orders", "2026-01-01")
    rows.wait_for({"mistake": "SUCCESS"})  # the workflow has run twice
    manifest = write(cli, id="ours", workflow="ingest_orders", queue="nightly", args=["2026-01-01"])
    cli("apply", manifest, *WAIT)
    worker.stop()
    client.delete_workflow("ours")
    assert cli.plan(manifest).states() == {"ours": "vanished"}
    assert "Nothing to enqueue" in cli("apply", manifest).out


def test_arguments_that_the_workflow_does_not_accept_fail_validation(
    cli: Cli, client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    """DBOS reports them only at run time; with a schema in the catalog, `validate` reports them."""
    enqueue(client, "mistake", "nightly", "check_totals", 1, 2, 3)
    start_worker()
    rows.wait_for({"mistake": "ERROR"})
    manifest = {
        "version": 1, "name": "silent",
        "catalog": {"check_totals": {"args": {"minItems": 2, "maxItems": 2, "items": {"type": "integer"}}}},
        "workflows": [{"id": "x", "workflow": "check_totals", "queue": "nightly", "args": [1, 2, 3]}],
    }  # fmt: skip
    (cli.folder / "silent.json").write_text(json.dumps(manifest))
    refused = cli("apply", "silent.json", expect=1)
    assert "catalog-arguments" in refused.err
    assert set(rows.column("status")) == {"mistake"}


def _portable() -> Any:
    from dbos import WorkflowSerializationFormat

    return WorkflowSerializationFormat.PORTABLE


@pytest.mark.parametrize("queued", [0, 3])
def test_queued_workflows_that_would_start_later_are_counted(
    cli: Cli, client: DBOSClient, queued: int
) -> None:
    """The plan counts queued rows that would start after the new workflows."""
    for number in range(queued):
        enqueue(client, f"low-{number}", "nightly", "ingest_orders", "2026-01-01", priority=50)
    enqueue(client, "first", "nightly", "ingest_orders", "2026-01-01", priority=1)
    manifest = write(cli, id="x", workflow="ingest_orders", queue="nightly", priority=10)
    line = f"new workflows with a higher priority would start before {queued} workflows already queued there"
    assert (f"nightly: {line}" in cli("plan", manifest).out.splitlines()) is (queued > 0)
