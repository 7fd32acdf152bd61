"""Apply every example with the real command and run it with a real worker."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import pytest
from dbos import DBOSClient
from harness import EXAMPLES, WAIT, Cli, Rows, Worker

from dbos_manifest.core.units import parse_timestamp


class Expected(NamedTuple):
    """Describe how the workflows of an example end."""

    outputs: dict[str, Any]  # of workflows with an explicit ID that end in SUCCESS
    cancelled: frozenset[str] = frozenset()
    lockfiles: dict[str, int] = {}  # noqa: RUF012 - lockfile name -> entries; empty: one, next to the file


def ingested(day: str, region: str = "eu", stored: int = 3) -> dict[str, Any]:
    return {"day": day, "region": region, "fetched": 3, "stored": stored}


PYTHON_EXAMPLES = {
    "quickstart.yaml": Expected(
        {
            "quickstart-first-day": ingested("2026-01-01"),
            "quickstart-rehearsal": ingested("2026-01-02", "us", stored=0),
            "quickstart-urgent": "equal",
            "quickstart-one-at-a-time": "exported",
            "quickstart-report": "New orders of 2026-01-01",
            "quickstart-restock": {"warehouse": "berlin", "sku": "blue-teapot", "shelves": 3},
        }
    ),
    "priorities.yaml": Expected(
        {
            "priorities-backfill-1": ingested("2026-01-01"),
            "priorities-backfill-2": ingested("2026-01-02"),
            "priorities-today": ingested("2026-03-31"),
            "priorities-at-once": "equal",
        }
    ),
    "delayed.yaml": Expected(
        {"delayed-a-moment": ingested("2026-01-01"), "delayed-until": ingested("2026-01-02")}
    ),
    "deduplication.yaml": Expected(
        {"deduplication-export-berlin": "exported", "deduplication-export-austin": "exported"}
    ),
    "partitioned-queue.yaml": Expected(
        {
            "partitioned-eu-1": ingested("2026-01-01"),
            "partitioned-eu-2": ingested("2026-01-02"),
            "partitioned-us-1": ingested("2026-01-01", "us"),
        }
    ),
    "class-methods.yaml": Expected(
        {
            "class-methods-report": "Orders of 2026-01-01",
            "class-methods-berlin": {"warehouse": "berlin", "sku": "blue-teapot", "shelves": 3},
            "class-methods-austin": {"warehouse": "austin", "sku": "red-teapot", "shelves": 1},
        }
    ),
    "authenticated.yaml": Expected(
        {
            "authenticated-close-day": {"closed": "2026-01-01", "by": "ann@example.com"},
            "authenticated-as-auditor": {"user": "ann@example.com", "roles": ["auditor"]},
            "authenticated-without-user": {"user": None, "roles": None},
        }
    ),
    "timeouts-and-deadlines.yaml": Expected(
        {"timeouts-enough-time": "exported", "timeouts-this-century": "exported"},
        cancelled=frozenset({"timeouts-too-slow"}),
    ),
    "attributes.yaml": Expected(
        {
            "attributes-of-the-team": {"team": "data", "ticket": "OPS-17"},
            "attributes-of-its-own": {"customer": {"id": 42, "tier": "gold"}},
        }
    ),
    "several-manifests.yaml": Expected(
        {
            "several-ingest-eu": ingested("2026-01-01"),
            "several-ingest-us": ingested("2026-01-01", "us"),
            "several-report": "Orders of 2026-01-01",
        },
        lockfiles={"several-ingest.lock.jsonl": 2, "several-reports.lock.jsonl": 1},
    ),
    "backfill-daily.yaml": Expected(
        {
            f"backfill-2026-01-0{day}-{region}": ingested(f"2026-01-0{day}", region)
            for day, region in [
                *(
                    (day, region)
                    for day in range(1, 6)
                    for region in ("eu", "us")
                    if (day, region) != (1, "us")
                ),
                (3, "apac"),
            ]
        }
    ),
    "cron-catch-up.yaml": Expected(
        {
            "sched-ingest-nightly-2026-03-27T02:30:00+01:00": ingested("2026-03-27"),
            "sched-ingest-nightly-2026-03-28T02:30:00+01:00": ingested("2026-03-28"),
            "sched-ingest-nightly-2026-03-29T03:00:00+02:00": ingested("2026-03-29"),
            "sched-ingest-nightly-2026-03-30T02:30:00+02:00": ingested("2026-03-30"),
        }
    ),
    "axes-from-variables.yaml": Expected(
        {
            f"variables-2026-02-0{day}-{region}": ingested(f"2026-02-0{day}", region)
            for day in (2, 1)
            for region in ("eu", "us")
        }
    ),
    "spreadsheet.yaml": Expected(
        {"spreadsheet-s-2": "Café Petit: 10.00", "spreadsheet-s-1": "Zürcher: 10.00"}
    ),
    "customers.yaml": Expected(
        {
            "invoice-2026-01-c-001": "Zürcher & Söhne: 114.00",
            "invoice-2026-01-c-003": "Alpenkost: 63.00",
            "invoice-2026-01-c-004": "Meyer, Huber: 10.00",
        }
    ),
    "model-sweep.yaml": Expected(
        {
            f"sweep-d0{depth}-r{rate}": {"depth": depth, "rate": rate, "trees": 500 if depth == 2 else 100}
            for depth in (6, 4, 2)
            for rate in (0.1, 0.2, 0.3)
        }
    ),
    "staggered.yaml": Expected(
        {f"staggered-{slot}": "exported" for slot in ("0200", "0215", "0230", "0245", "0300")}
    ),
    "manifest.json": Expected({"json-ingest": ingested("2026-01-01"), "json-report": "Orders of 2026-01-01"}),
}


def test_every_example_has_an_expected_outcome() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == {
        *PYTHON_EXAMPLES,
        "typescript.yaml",
    }
    for path in EXAMPLES.glob("*.yaml"):
        first, _rest = path.read_text().split("\n", 1)
        assert first == "# yaml-language-server: $schema=../../schemas/manifest.v1.schema.json", path
        assert (path.parent / first.partition("$schema=")[2]).is_file()


def test_python_examples_run_to_completion(
    cli: Cli, client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    """Apply with one command, wait for the end, and apply again."""
    start_worker()
    for name in PYTHON_EXAMPLES:
        shutil.copy(EXAMPLES / name, cli.folder)
    shutil.copytree(EXAMPLES / "data", cli.folder / "data")
    ending_well = [name for name, expected in PYTHON_EXAMPLES.items() if not expected.cancelled]
    cli("apply", *ending_well, *WAIT)
    for name in PYTHON_EXAMPLES.keys() - set(ending_well):
        done = cli("apply", name, *WAIT, expect=7)
        assert "1 CANCELLED" in done.out
    for name, expected in PYTHON_EXAMPLES.items():
        check_results(client, name, expected)
        check_lockfiles(cli, rows, name, expected)
    # DBOS 3.4.0 stores an assumed role only in the row
    assert rows.column("assumed_role")["authenticated-as-auditor"] == "auditor"
    check_second_apply(cli, rows, *PYTHON_EXAMPLES)


def check_results(client: DBOSClient, name: str, expected: Expected) -> None:
    for workflow_id, output in expected.outputs.items():
        status = client.retrieve_workflow(workflow_id).get_status()
        assert status.status == "SUCCESS", workflow_id
        found = status.output
        if name == "attributes.yaml":
            assert found.pop("dbos_manifest")["manifest"] == "attributes"
        assert found == output, workflow_id
    for workflow_id in expected.cancelled:
        assert client.retrieve_workflow(workflow_id).get_status().status == "CANCELLED"


def check_lockfiles(cli: Cli, rows: Rows, name: str, expected: Expected) -> None:
    count = len(cli("expand", name, "-o", "ids").out.splitlines())
    beside = {f"{name.rpartition('.')[0]}.lock.jsonl": count}
    entries: dict[str, dict[str, Any]] = {}
    created_at, completed_at = rows.column("created_at"), rows.column("completed_at")
    for lockfile, lines in (expected.lockfiles or beside).items():
        found = cli.lock(lockfile)
        assert len(found) == lines, lockfile
        entries |= found
    assert set(expected.outputs) | expected.cancelled <= set(entries)
    for workflow_id, entry in entries.items():
        assert entry["status"] == ("CANCELLED" if workflow_id in expected.cancelled else "SUCCESS")
        assert "outcome" not in entry
        assert parse_timestamp(entry["enqueued_at"]) == created_at[workflow_id]
        # on SQLite the worker's times are whole seconds; an entry never ends before it starts
        ended = max(completed_at[workflow_id], created_at[workflow_id])
        assert parse_timestamp(entry["completed_at"]) == ended


def check_second_apply(cli: Cli, rows: Rows, *names: str) -> None:
    """Check that an apply has nothing to enqueue and changes neither the folder nor the database."""
    files_before = files_of(cli.folder)
    rows_before = rows.dump()
    plan = cli.plan(*names)
    assert set(plan.states().values()) == {"unchanged"}
    again = cli("apply", *names)
    assert again.out.count("Plan: 0 to enqueue") == len(plan.json()["manifests"])
    assert files_of(cli.folder) == files_before
    assert rows.dump() == rows_before


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_typescript_example_is_enqueued_for_its_own_application(cli: Cli, rows: Rows) -> None:
    name = "typescript.yaml"
    shutil.copy(EXAMPLES / name, cli.folder)
    cli("apply", name)
    assert rows.column("name") == {
        "typescript-order": "placeOrder",
        "typescript-invoice": "sendInvoice",
        "typescript-refund": "refund",
    }
    assert rows.column("class_name") == {
        "typescript-order": None,
        "typescript-invoice": "Billing",
        "typescript-refund": "PaymentProvider",
    }
    assert rows.column("config_name")["typescript-refund"] == "sandbox"
    assert set(rows.column("application_name").values()) == {"storefront"}
    assert set(rows.column("status").values()) == {"ENQUEUED"}
    inputs = {i: json.loads(text) for i, text in rows.column("inputs", "workflow_input").items()}
    assert inputs["typescript-order"] == {
        "positionalArgs": ["order-1001", {"express": True, "notes": "leave at the door"}],
        "namedArgs": {},
    }
    check_second_apply(cli, rows, name)


def test_failed_workflow_is_reported_and_recorded(cli: Cli, start_worker: Callable[..., Worker]) -> None:
    """`--wait` exits with 7 and shows the error; the lockfile has the status."""
    manifest = cli.folder / "totals.yaml"
    manifest.write_text(
        dedent("""\
            version: 1
            name: totals
            application: orders
            runtime: python
            defaults: {queue: etl, workflow: check_totals}
            workflows:
              - {id: totals-wrong, args: [3, 2]}
              - {id: totals-right, args: [3, 3]}
        """)
    )
    start_worker()
    done = cli("apply", manifest, *WAIT, expect=7)
    assert "expected 3 orders, found 2" in done.out
    assert {i: entry["status"] for i, entry in cli.lock("totals.lock.jsonl").items()} == {
        "totals-wrong": "ERROR",
        "totals-right": "SUCCESS",
    }
    status = cli("status", manifest)
    assert "expected 3 orders, found 2" in status.out
    before = (cli.folder / "totals.lock.jsonl").read_bytes()
    cli("apply", manifest)
    assert (cli.folder / "totals.lock.jsonl").read_bytes() == before


def test_wait_that_times_out_exits_8(cli: Cli, rows: Rows) -> None:
    """Without a worker everything is enqueued and nothing ends; a later wait records the end."""
    shutil.copy(EXAMPLES / "manifest.json", cli.folder)
    cli("apply", "manifest.json", "--wait", "--wait-timeout", "100ms", expect=8)
    assert set(rows.column("status").values()) == {"ENQUEUED"}
    assert all("status" not in entry for entry in cli.lock("manifest.lock.jsonl").values())


@pytest.mark.parametrize("policy", ["reject", "return-existing"])
def test_held_deduplication_id_is_a_conflict_or_returns_the_existing_workflow(
    cli: Cli, client: DBOSClient, rows: Rows, policy: str
) -> None:
    """Another active workflow holds the ID: a conflict, or with `return-existing` it is returned."""
    client.enqueue(
        {
            "workflow_name": "export_orders",
            "queue_name": "nightly",
            "workflow_id": "holder",
            "deduplication_id": "export-berlin",
        },
        1,
    )
    manifest = cli.folder / "held.json"
    entry = {
        "id": "ours",
        "workflow": "export_orders",
        "queue": "nightly",
        "args": [1],
        "deduplication_id": "export-berlin",
        "duplication_policy": policy,
    }
    manifest.write_text(
        json.dumps({"version": 1, "name": "held", "application": "orders", "workflows": [entry]})
    )
    change = cli.plan(manifest, expect=6 if policy == "reject" else 0).changes()["ours"]
    assert change["held_by"] == "holder"
    if policy == "reject":
        assert change["state"] == "conflict"
        cli("apply", manifest, expect=6)
    else:
        done = cli("apply", manifest)
        assert "held" in done.out
    assert set(rows.column("status")) == {"holder"}
