"""Test rows written by other SDKs, SQL and DBOS itself: they are compared by meaning and never changed."""

from __future__ import annotations

import base64
import json
import pickle
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import DBOSClient, WorkflowSerializationFormat
from harness import Cli, Rows, Worker, write_manifest

ARGS = ["2026-01-01", "us"]
INPUTS = json.dumps({"positionalArgs": ARGS})

# What each enqueuer writes for unset options, from its code or by observation.
WRITERS: dict[str, dict[str, object]] = {
    "python": {"authenticated_roles": None, "creator_xid": str(uuid.uuid4()), "attributes": "null"},
    "typescript": {
        "authenticated_user": "",
        "assumed_role": "",
        "authenticated_roles": "[]",
        "executor_id": "",
        "application_id": "",
        "creator_xid": str(uuid.uuid4()),
    },
    "go": {
        "authenticated_user": "",
        "assumed_role": "",
        "authenticated_roles": "null",
        "executor_id": "",
        "application_id": "",
        "inputs": INPUTS,
    },
    "java": {"owner_xid": str(uuid.uuid4()), "inputs": INPUTS},
    "python-2": {"inputs": '{"positionalArgs":["2026-01-01","us"],"namedArgs":{}}'},
    "typescript-4": {
        "authenticated_user": "",
        "assumed_role": "",
        "authenticated_roles": "[]",
        "executor_id": "",
        "application_id": "",
        "inputs": '{"positionalArgs":["2026-01-01","us"],"namedArgs":null}',
    },
}
STATUS_ONLY = {"go", "java", "python-2", "typescript-4"}
"""Return a row of an enqueuer without workflow_input, which writes arguments to workflow_status."""


def insert_foreign(rows: Rows, workflow_id: str, extra: dict[str, object], **changes: object) -> None:
    now_ms = int(time.time() * 1000)
    row: dict[str, object] = {
        "workflow_uuid": workflow_id,
        "status": "ENQUEUED",
        "name": "ingest_orders",
        "queue_name": "etl",
        "created_at": now_ms,
        "updated_at": now_ms,
        "recovery_attempts": 0,
        "priority": 0,
        "serialization": "portable_json",
    }
    rows.insert("workflow_status", row | extra | changes)
    if "inputs" not in extra:
        rows.insert(
            "workflow_input",
            {"workflow_uuid": workflow_id, "inputs": INPUTS, "retention_timestamp": now_ms},
        )


def entry(workflow_id: str, **options: Any) -> dict[str, Any]:
    return {"id": workflow_id, "workflow": "ingest_orders", "queue": "etl", "args": ARGS} | options


def check_untouched(cli: Cli, rows: Rows, manifest: Path, *words: str, expect: int = 0) -> None:
    before = rows.dump()
    cli("apply", manifest, *words, expect=expect)
    assert rows.dump() == before


def test_rows_of_other_enqueuers_are_unchanged(
    cli: Cli, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    """Compare the rows while they are queued, and again after the worker has run them."""
    for writer, extra in WRITERS.items():
        insert_foreign(rows, writer, extra)
    manifest = write_manifest(cli.folder / "foreign.json", [entry(writer) for writer in WRITERS])
    unchanged = dict.fromkeys(WRITERS, "unchanged")

    changes = cli.plan(manifest).changes()
    assert {i: c["state"] for i, c in changes.items()} == unchanged
    assert all(change["comparable"] for change in changes.values())
    check_untouched(cli, rows, manifest)
    lockfile = (cli.folder / "foreign.lock.jsonl").read_bytes()
    assert {e["outcome"] for e in cli.lock("foreign.lock.jsonl").values()} == {"existing"}

    worker = start_worker("etl")
    rows.wait_for(dict.fromkeys(WRITERS, "SUCCESS"))
    worker.stop()
    assert cli.plan(manifest).states() == unchanged
    check_untouched(cli, rows, manifest)
    assert (cli.folder / "foreign.lock.jsonl").read_bytes() == lockfile


@pytest.mark.parametrize("status", ["ENQUEUED", "SUCCESS", "ERROR", "CANCELLED", "PENDING"])
def test_existing_id_with_other_arguments_is_never_enqueued_again(cli: Cli, rows: Rows, status: str) -> None:
    """Apply refuses it, or skips it when drift is allowed."""
    for writer, extra in WRITERS.items():
        insert_foreign(rows, writer, extra, status=status)
    entries = [entry(writer, args=["2026-12-31", "eu"]) for writer in WRITERS]
    manifest = write_manifest(cli.folder / "again.json", entries)
    changes = cli.plan(manifest, expect=6).changes()
    for change in changes.values():
        assert change["state"] == "drifted"
        assert [difference["field"] for difference in change["differences"]] == ["args[0]", "args[1]"]
    check_untouched(cli, rows, manifest, expect=6)
    check_untouched(cli, rows, manifest, "--allow-drift")
    assert rows.column("inputs", "workflow_input").keys() == WRITERS.keys() - STATUS_ONLY


SQL_FUNCTION = """
    SELECT dbos.enqueue_workflow(
        workflow_name => 'ingest_orders', queue_name => 'etl', workflow_id => :id,
        positional_args => ARRAY['"2026-01-01"'::json], named_args => '{"region": "us"}'::json
        %s)
"""


def test_rows_of_the_sql_function_are_unchanged(postgres_url: str, tmp_path: Path) -> None:
    rows = Rows(postgres_url)
    rows.execute(SQL_FUNCTION % "", id="plain")
    options = """, authenticated_user => 'ann', authenticated_roles => '["admin","auditor"]', priority => 7,
        timeout_ms => 90000, queue_partition_key => 'us', application_name => 'orders',
        app_version => '2026.1', deduplication_id => 'one'"""
    rows.execute(SQL_FUNCTION % options, id="options")
    arguments = {"args": ["2026-01-01"], "kwargs": {"region": "us"}}
    cli = Cli(postgres_url, tmp_path)
    manifest = write_manifest(
        tmp_path / "sql.json",
        [
            entry("plain", **arguments),
            entry(
                "options",
                **arguments,
                authenticated_user="ann",
                authenticated_roles=["admin", "auditor"],
                priority=7,
                timeout="90s",
                queue_partition_key="us",
                application_version="2026.1",
                deduplication_id="one",
            ),
        ],
    )
    assert cli.plan(manifest).states() == {"plain": "unchanged", "options": "unchanged"}
    check_untouched(cli, rows, manifest)
    changed = [entry("plain", **arguments), entry("options", **arguments)]
    write_manifest(manifest, changed)
    differences = cli.plan(manifest, expect=6).changes()["options"]["differences"]
    assert {difference["field"] for difference in differences} == {
        "authenticated_user",
        "authenticated_roles",
        "priority",
        "timeout",
        "queue_partition_key",
        "application_version",
        "deduplication_id",
    }
    check_untouched(cli, rows, manifest, expect=6)
    rows.engine.dispose()


def test_native_row_is_not_comparable(cli: Cli, client: DBOSClient, rows: Rows) -> None:
    """Its arguments are a pickle, which is never loaded, so only the identity is compared."""
    client.enqueue(
        {"workflow_name": "ingest_orders", "queue_name": "etl", "workflow_id": "native"}, "2026-12-31"
    )
    assert rows.column("serialization") == {"native": "py_pickle"}
    manifest = write_manifest(cli.folder / "native.json", [entry("native", priority=3)])
    change = cli.plan(manifest).changes()["native"]
    assert (change["state"], change["comparable"]) == ("unchanged", False)
    assert "not comparable" in cli("plan", manifest).out
    check_untouched(cli, rows, manifest)
    write_manifest(manifest, [entry("native", workflow="another")])
    assert cli.plan(manifest, expect=6).states() == {"native": "conflict"}
    check_untouched(cli, rows, manifest, expect=6)


def test_row_of_a_schedule_is_not_comparable(
    cli: Cli, client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    start_worker("nightly")  # registers the application version that triggering a schedule needs
    client.create_schedule(
        schedule_name="nightly-ingest", workflow_name="ingest_orders", schedule="0 3 * * *", queue_name="etl"
    )
    handle = client.trigger_schedule("nightly-ingest")
    workflow_id = handle.get_workflow_id()
    # the arguments of a schedule's row come from DBOS, in any format
    rows.execute(f"UPDATE {rows.table('workflow_status')} SET serialization = 'portable_json'")
    manifest = write_manifest(cli.folder / "schedule.json", [entry(workflow_id)])
    change = cli.plan(manifest).changes()[workflow_id]
    assert (change["state"], change["comparable"]) == ("unchanged", False)
    check_untouched(cli, rows, manifest)


def test_stored_pickles_are_never_loaded(cli: Cli, rows: Rows) -> None:
    """Store a pickle that would create a file in every column that can contain a pickle."""
    mark = cli.folder / "mark"

    class Bomb:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return (Path.touch, (mark,))

    bomb = base64.b64encode(pickle.dumps(Bomb())).decode()
    now_ms = int(time.time() * 1000)
    for status in ("ENQUEUED", "SUCCESS", "ERROR"):
        insert_foreign(
            rows, status, {"inputs": bomb}, serialization="py_pickle", status=status, completed_at=now_ms
        )
        rows.insert("workflow_output", {"workflow_uuid": status, "output": bomb, "error": bomb})
    manifest = write_manifest(cli.folder / "bombs.json", [entry(i) for i in ("ENQUEUED", "SUCCESS", "ERROR")])
    cli.plan(manifest, "--show-values")
    check_untouched(cli, rows, manifest)
    cli("status", manifest)
    cli("status", manifest, "-o", "json", "--show-values")
    assert not mark.exists()


def test_python_row_of_this_file_matches_the_client(client: DBOSClient, rows: Rows) -> None:
    """Compare the row of this file with a real one, to notice changes in a new release of DBOS."""
    client.enqueue(
        {
            "workflow_name": "ingest_orders",
            "queue_name": "etl",
            "workflow_id": "real",
            "serialization_type": WorkflowSerializationFormat.PORTABLE,
        },
        *ARGS,
    )
    insert_foreign(rows, "ours", WRITERS["python"])
    varying = {
        "workflow_uuid", "creator_xid", "created_at", "updated_at", "application_name", "queue_id",
    }  # fmt: skip
    with rows.engine.connect() as connection:
        found = connection.execute(sa.text(f"SELECT * FROM {rows.table('workflow_status')}")).mappings()
        by_id = {row["workflow_uuid"]: {k: v for k, v in row.items() if k not in varying} for row in found}
    assert by_id["ours"] == by_id["real"]
