"""Test the next plan and apply for workflows in every status: no change is clean, a real change is drift."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOSClient
from harness import Cli, Done, Rows, Worker, write_manifest

LONG_S = 600  # a workflow that never ends during a test

DEFAULTS = {
    "queue": "etl",
    "priority": 5,
    "timeout": "1h",
    "authenticated_user": "ann",
    "authenticated_roles": ["admin", "auditor"],
    "assumed_role": "admin",
    "attributes": {"team": "data"},
}
INGEST = {"workflow": "ingest_orders", "args": ["2026-01-01"], "kwargs": {"region": "us"}}
EXPORT = {"workflow": "export_orders", "args": [LONG_S]}
WAITING = {"queue": "nightly"}  # no worker of these tests polls it

WORKFLOWS: dict[str, dict[str, Any]] = {
    "enqueued": INGEST | WAITING,
    "attributes-changed": INGEST | WAITING,
    "delayed": INGEST | {"delay": "1h"},
    "not-before": INGEST | {"not_before": "2099-01-01T00:00:00Z"},
    "delay-changed": INGEST | {"delay": "1h"},
    "delay-over": INGEST | {"delay": "200ms"},
    "running": EXPORT,
    "succeeded": INGEST,
    "succeeded-class": {"workflow": "daily_report", "class_name": "Report", "args": ["2026-01-01"]},
    "succeeded-instance": {
        "workflow": "restock",
        "class_name": "Warehouse",
        "instance_name": "berlin",
        "args": ["teapot"],
        "kwargs": {"quantity": 4},
    },
    "succeeded-partition": INGEST | {"queue": "per_region", "queue_partition_key": "us"},
    "succeeded-deduplicated": INGEST | {"deduplication_id": "one-at-a-time"},
    "succeeded-version": INGEST | {"application_version": "2026.1"},
    "succeeded-any-application": INGEST | {"application": None},
    "failed": {"workflow": "check_totals", "args": [3, 2]},
    "cancelled-enqueued": INGEST | WAITING | {"deduplication_id": "cancelled"},
    "cancelled-delayed": INGEST | {"delay": "1h"},
    "cancelled-running": EXPORT,
    "resumed-on-a-queue": INGEST | WAITING,
    "resumed-waiting": INGEST | WAITING,
    "resumed-to-its-end": INGEST | WAITING,
    "timed-out": EXPORT | {"timeout": "300ms"},
    "deadline-passed": INGEST | WAITING | {"timeout": None, "deadline": "2026-01-01T00:00:00Z"},
    "recovered": EXPORT,
    "dead-letter": {"workflow": "import_feed", "args": [LONG_S]},
    "forked": INGEST,
    "rewound-waiting": INGEST,
    "rewound-to-its-end": INGEST,
    "deleted-by-retention": INGEST,
    "deleted-while-enqueued": INGEST | WAITING,
}
STATUSES = {
    "enqueued": "ENQUEUED",
    "attributes-changed": "ENQUEUED",
    "delayed": "DELAYED",
    "not-before": "DELAYED",
    "delay-changed": "DELAYED",
    "delay-over": "SUCCESS",
    "running": "PENDING",
    "succeeded": "SUCCESS",
    "succeeded-class": "SUCCESS",
    "succeeded-instance": "SUCCESS",
    "succeeded-partition": "SUCCESS",
    "succeeded-deduplicated": "SUCCESS",
    "succeeded-version": "SUCCESS",
    "succeeded-any-application": "SUCCESS",
    "failed": "ERROR",
    "cancelled-enqueued": "CANCELLED",
    "cancelled-delayed": "CANCELLED",
    "cancelled-running": "CANCELLED",
    "resumed-on-a-queue": "ENQUEUED",
    "resumed-waiting": "ENQUEUED",
    "resumed-to-its-end": "SUCCESS",
    "timed-out": "CANCELLED",
    "deadline-passed": "CANCELLED",
    "recovered": "PENDING",
    "dead-letter": "MAX_RECOVERY_ATTEMPTS_EXCEEDED",
    "forked": "SUCCESS",
    "rewound-waiting": "ENQUEUED",
    "rewound-to-its-end": "SUCCESS",
}
DELETED = {"deleted-by-retention", "deleted-while-enqueued"}
NEVER_STARTED = {
    "enqueued", "delayed", "not-before", "delay-changed",
}  # fmt: skip
"""Enqueue workflows that stay queued, so that every option is unchanged in its row."""


def write_workflows(path: Path, workflows: Mapping[str, Mapping[str, Any]]) -> Path:
    entries = [{"id": workflow_id, **entry} for workflow_id, entry in workflows.items()]
    return write_manifest(path, entries, defaults=DEFAULTS)


def bring_to_every_status(client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker]) -> None:
    """Run the workflows: a worker that crashes once, and an operator with the official client."""
    listening = ("etl", "serial", "per_region")
    worker = start_worker(*listening)
    rows.wait_for({"recovered": "PENDING", "dead-letter": "PENDING", "running": "PENDING"})
    worker.crash()
    worker = start_worker(*listening)

    client.cancel_workflow("cancelled-enqueued")
    client.cancel_workflow("cancelled-delayed")
    client.set_workflow_delay("delay-changed", delay_seconds=7200)
    client.update_workflow_attributes("attributes-changed", {"team": "finance", "seen": True})
    client.cancel_workflow("resumed-to-its-end")
    client.resume_workflow("resumed-to-its-end")
    client.delete_workflow("deleted-while-enqueued")
    ended = {i: s for i, s in STATUSES.items() if i not in {"cancelled-running", "running", "recovered"}}
    later = {"resumed-on-a-queue": "ENQUEUED", "resumed-waiting": "ENQUEUED", "rewound-waiting": "SUCCESS"}
    rows.wait_for(ended | later | {"deleted-by-retention": "SUCCESS"})
    rows.wait_for(dict.fromkeys(["cancelled-running", "running", "recovered"], "PENDING"))
    client.cancel_workflow("cancelled-running")
    client.fork_workflow("forked", 1)
    client.rewind_workflow("rewound-to-its-end")
    client.delete_workflow("deleted-by-retention")
    client.cancel_workflow("resumed-on-a-queue")
    client.resume_workflow("resumed-on-a-queue", queue_name="nightly")
    rows.wait_for(STATUSES | later)
    worker.stop()

    client.resume_workflow("resumed-waiting")  # both wait on DBOS's internal queue, which no worker polls now
    client.rewind_workflow("rewound-waiting")
    rows.wait_for(STATUSES)


def check_nothing_moves(cli: Cli, rows: Rows, manifest: Path, *words: str, expect: int = 0) -> Done:
    """Check that an apply changes neither the database nor the folder."""
    rows_before = rows.dump()
    files_before = {path: path.read_bytes() for path in cli.folder.iterdir()}
    done = cli("apply", manifest, *words, expect=expect)
    assert rows.dump() == rows_before
    assert {path: path.read_bytes() for path in cli.folder.iterdir()} == files_before
    return done


def check_refused(
    cli: Cli, rows: Rows, workflows: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[str, list[str]]]:
    """Apply workflows that must be refused, and return the state and fields by ID."""
    manifest = write_workflows(cli.folder / "life.json", workflows)
    done = check_nothing_moves(cli, rows, manifest, "--skip-missing", "-o", "json", expect=6)
    (refused,) = done.json()["manifests"]
    assert refused["counts"]["missing"] == len(DELETED)
    return {
        change["id"]: (change["state"], sorted({_option(difference) for difference in change["differences"]}))
        for change in refused["refusals"]
    }


def _option(difference: dict[str, Any]) -> str:
    """Return the option of a field: `kwargs` for `kwargs.dry_run`."""
    return re.split(r"[.\[]", difference["field"])[0]


def test_second_apply_changes_nothing_in_any_status(
    cli: Cli, client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    manifest = write_workflows(cli.folder / "life.json", WORKFLOWS)
    cli("apply", manifest)
    bring_to_every_status(client, rows, start_worker)
    check_the_rows_are_as_meant(rows)

    changes = cli.plan(manifest, expect=6).changes()
    assert {i: c["state"] for i, c in changes.items()} == {
        **dict.fromkeys(STATUSES, "unchanged"),
        **dict.fromkeys(DELETED, "missing"),  # rows of the same age still exist
    }
    assert {i: c["status"] for i, c in changes.items() if i not in DELETED} == STATUSES
    assert all(change["comparable"] for change in changes.values())
    check_nothing_moves(cli, rows, manifest, expect=6)
    assert "Plan: 0 to enqueue" in check_nothing_moves(cli, rows, manifest, "--skip-missing").out
    check_nothing_moves(cli, rows, manifest, "--skip-missing", "--locked")

    check_argument_changes_are_drift(cli, rows)
    check_steering_changes_are_drift_before_the_start(cli, rows)
    check_another_identity_is_a_conflict(cli, rows)


def check_the_rows_are_as_meant(rows: Rows) -> None:
    """Check that worker and client have left the rows in the tested statuses."""
    attempts = rows.column("recovery_attempts")
    assert attempts["recovered"] == 2 and attempts["dead-letter"] == 2
    queues = rows.column("queue_name")
    assert queues["resumed-waiting"] == queues["rewound-waiting"] == "_dbos_internal_queue"
    assert queues["cancelled-enqueued"] is None and queues["timed-out"] is None
    assert rows.column("deduplication_id")["succeeded-deduplicated"] is None
    assert rows.column("application_version")["succeeded"] == "2026.1"
    assert rows.column("application_name")["succeeded-any-application"] == "orders"
    assert rows.column("was_forked_from")["forked"]
    assert not DELETED & rows.column("status").keys()


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "args": lambda entry: [*entry.get("args", []), "more"],
    "kwargs": lambda entry: {**entry.get("kwargs", {}), "dry_run": True},
    "authenticated_user": lambda entry: "bob",
    "authenticated_roles": lambda entry: ["auditor", "admin"],
    "assumed_role": lambda entry: "auditor",
}


def changed(option: str, value: Callable[[dict[str, Any]], object]) -> dict[str, dict[str, Any]]:
    workflows = {workflow_id: dict(entry) for workflow_id, entry in WORKFLOWS.items()}
    for entry in workflows.values():
        entry[option] = value(entry)
        if option == "timeout":
            entry.pop("deadline", None)
    return workflows


def check_argument_changes_are_drift(cli: Cli, rows: Rows) -> None:
    for option, value in CHANGES.items():
        found = check_refused(cli, rows, changed(option, value))
        assert found == dict.fromkeys(STATUSES, ("drifted", [option]))
    check_nothing_moves(cli, rows, cli.folder / "life.json", "--skip-missing", "--allow-drift")


STEERING: dict[str, object] = {
    "timeout": "2h",
    "priority": 6,
    "queue": "serial",
    "queue_partition_key": "eu",
    "deduplication_id": "another",
    "application_version": "2026.2",
}


def check_steering_changes_are_drift_before_the_start(cli: Cli, rows: Rows) -> None:
    """After the start of a workflow these options have no effect, and DBOS has rewritten some columns."""
    for option, value in STEERING.items():
        workflows = changed(option, lambda entry, value=value: value)
        if option == "deduplication_id":
            for workflow_id, entry in workflows.items():
                entry[option] = f"another-{workflow_id}"
        found = check_refused(cli, rows, workflows)
        assert found == dict.fromkeys(NEVER_STARTED, ("drifted", [option]))


IDENTITY = {"workflow": "another", "class_name": "Another", "application": "another-application"}


def check_another_identity_is_a_conflict(cli: Cli, rows: Rows) -> None:
    for option, value in IDENTITY.items():
        found = check_refused(cli, rows, changed(option, lambda entry, value=value: value))
        assert found == dict.fromkeys(STATUSES, ("conflict", [option]))


@pytest.mark.parametrize("changed_by", ["the manifest", "an operator"])
def test_not_before_is_compared_only_while_delayed(
    cli: Cli, client: DBOSClient, rows: Rows, changed_by: str
) -> None:
    workflows = {"later": INGEST | {"not_before": "2099-01-01T00:00:00Z"}}
    manifest = write_workflows(cli.folder / "later.json", workflows)
    cli("apply", manifest)
    if changed_by == "the manifest":
        workflows["later"]["not_before"] = "2099-01-02T00:00:00Z"
        write_workflows(manifest, workflows)
    else:
        client.set_workflow_delay("later", delay_seconds=60)
    change = cli.plan(manifest, expect=6).changes()["later"]
    assert change["state"] == "drifted"
    assert [difference["field"] for difference in change["differences"]] == ["not_before"]
    check_nothing_moves(cli, rows, manifest, expect=6)
    client.cancel_workflow("later")
    assert cli.plan(manifest).states() == {"later": "unchanged"}


def test_missing_workflows_are_recreated_only_on_request(cli: Cli, client: DBOSClient, rows: Rows) -> None:
    manifest = write_workflows(cli.folder / "gone.json", {"gone": INGEST, "here": INGEST})
    cli("apply", manifest)
    client.delete_workflow("gone")
    check_nothing_moves(cli, rows, manifest, expect=6)
    enqueued_at = cli.lock("gone.lock.jsonl")["gone"]["enqueued_at"]
    cli("apply", manifest, "--recreate-missing")
    assert set(rows.column("status")) == {"gone", "here"}
    assert cli.lock("gone.lock.jsonl")["gone"]["enqueued_at"] >= enqueued_at
    check_nothing_moves(cli, rows, manifest)
