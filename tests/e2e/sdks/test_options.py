"""Test every option with a real worker of each SDK, and compare rows with the SDK's own client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from compatibility import hold
from harness import WAIT, Cli, Rows
from sdk_harness import App

GREET = {"workflow": "greet", "args": [{"name": "Zoë 🚀", "times": 41}]}
GREETED = {"greeting": "hello Zoë 🚀", "times": 42}
# how each SDK names a workflow of a class or an instance
INSTANCES: dict[str, dict[str, Any]] = {
    "python": {"class_name": "Warehouse", "instance_name": "berlin"},
    "typescript": {"class_name": "Warehouse", "instance_name": "berlin"},
    "go": {"instance_name": "berlin"},
    "java": {"class_name": "Orders", "instance_name": "berlin"},
    "rust": {"class_name": "Warehouse", "instance_name": "berlin"},
}
DEFAULTS = {"java": {"class_name": "Orders"}}  # Java finds workflows by class
# options that the SDK's worker supports and its client lacks
UNKNOWN = {
    "typescript": {"deadline", "assumed_role"},
    "go": {"deadline"},
    "java": {"application"},
    "rust": {"deadline", "assumed_role", "authenticated_user"},
}
# entry name in docs/reference/compatibility.json
LABELS = {
    "plain": "nothing but queue and id",
    "deduplicated": "deduplication_id",
    "version": "application_version",
    "partition-a": "queue_partition_key",
    "partition-b": "queue_partition_key",
    "user": "authenticated_user, authenticated_roles",
    "assumed-role": "assumed_role",
    "deadline-passed": "deadline, passed",
    "delayed": "delay",
    "in-time": "timeout",
    "too-late": "timeout, exceeded",
    "all-at-once": "all that go together",
    "fails": "an error of the workflow",
    "instance": "class_name, instance_name",
    **{f"limited-{n}": "a rate-limited queue" for n in range(4)},
    **{f"priority-{n}": "priority" for n in range(4)},
}
OPTIONS: list[dict[str, Any]] = [
    {"id": "plain", **GREET},
    {"id": "deduplicated", **GREET, "deduplication_id": "only-one"},
    {"id": "version", **GREET, "application_version": "v1"},
    {"id": "application", **GREET, "application": "sdks"},
    {"id": "attributes", **GREET, "attributes": {"team": "data", "tries": 3}},
    {"id": "delayed", **GREET, "delay_ms": 2500},
    {"id": "partition-a", **GREET, "queue": "partitioned", "queue_partition_key": "a"},
    {"id": "partition-b", **GREET, "queue": "partitioned", "queue_partition_key": "b"},
    {
        "id": "user",
        "workflow": "identity",
        "authenticated_user": "ada",
        "authenticated_roles": ["admin", "ops"],
    },
    {
        "id": "assumed-role",
        "workflow": "identity",
        "authenticated_user": "ada",
        "authenticated_roles": ["admin", "ops"],
        "assumed_role": "ops",
    },
    {"id": "deadline", **GREET, "deadline": "2099-01-01T00:00:00Z"},
    # a worker may start the workflow before it cancels it, so this one never ends by itself
    {"id": "deadline-passed", "workflow": "slow", "args": [30], "deadline": "2001-01-01T00:00:00Z"},
    {
        "id": "all-at-once",
        **GREET,
        "queue": "partitioned",
        "queue_partition_key": "all",
        "priority": 7,
        "timeout_ms": 600_000,
        "delay_ms": 1000,
        "application_version": "v1",
        "attributes": {"team": {"name": "data"}},
    },
    {"id": "in-time", "workflow": "slow", "args": [0.1], "timeout_ms": 600_000},
    {"id": "too-late", "workflow": "slow", "args": [30], "timeout_ms": 1000},
    {"id": "fails", "workflow": "fail", "args": ["the reason"]},
    *({"id": f"limited-{n}", **GREET, "queue": "limited"} for n in range(4)),
    *({"id": f"priority-{n}", **GREET, "queue": "serial", "priority": n} for n in (3, 1, 2)),
]


CANCELLED = {"too-late", "deadline-passed"}


def entries(app: App) -> list[dict[str, Any]]:
    instance = INSTANCES.get(app.sdk.name)
    found = [*OPTIONS]
    if instance is not None:
        found.append({"id": "instance", "workflow": "restock", "args": ["bolts"], **instance})
    return [{"queue": "plain", **DEFAULTS.get(app.sdk.name, {}), **entry} for entry in found]


def write(folder: Path, app: App, workflows: list[dict[str, Any]]) -> None:
    units = {"delay_ms": "delay", "timeout_ms": "timeout"}
    listed = [
        {units.get(key, key): f"{value}ms" if key in units else value for key, value in entry.items()}
        for entry in workflows
    ]
    runtime = "any" if app.sdk.name == "any" else app.sdk.name
    content = {"version": 1, "name": "sdks", "runtime": runtime, "workflows": listed}
    (folder / "jobs.yaml").write_text(json.dumps(content))


def outcomes(cli: Cli) -> dict[str, dict[str, Any]]:
    shown = cli("status", "jobs.yaml", "--show-values", "-o", "json", expect=0).json()
    return {found["id"]: found for found in shown["workflows"]}


def check(found: dict[str, dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    for entry in expected:
        row = found[entry["id"]]
        if entry["workflow"] == "greet":
            assert (row["status"], row["output"]) == ("SUCCESS", GREETED), row
        elif entry["workflow"] == "identity":
            assert row["output"] == {"user": "ada", "roles": ["admin", "ops"]}, row
        elif entry["workflow"] == "fail":
            assert row["status"] == "ERROR" and "the reason" in row["error"]["message"], row
        elif entry["workflow"] == "restock":
            assert row["output"] == "berlin: bolts", row
        else:
            assert row["status"] == ("CANCELLED" if entry["id"] in CANCELLED else "SUCCESS"), row


def test_every_option_reaches_the_worker(
    app: App, url: str, app_url: str, worker: None, rows: Rows, legacy: list[str], tmp_path: Path
) -> None:
    cli = Cli(url, tmp_path)
    expected = entries(app)
    write(tmp_path, app, expected)
    done = cli("apply", "jobs.yaml", *WAIT, *legacy, expect=7)  # some workflows fail and some are cancelled
    assert "the reason" in done.out + done.err
    found = outcomes(cli)
    check(found, expected)
    order = rows.column("started_at_epoch_ms")
    assert order["priority-1"] <= order["priority-2"] <= order["priority-3"]
    created = rows.column("created_at")
    assert (
        order["delayed"] - created["delayed"] >= 1500
    )  # times on SQLite are whole seconds with old Python versions
    limited = sorted(order[f"limited-{n}"] for n in range(4))
    assert limited[2] - limited[0] >= 900
    assert rows.column("attributes")["attributes"] is not None
    keyless = [{**entry, "queue_partition_key": None} for entry in expected if entry["id"] == "partition-a"]
    write(tmp_path, app, [{**entry, "id": "keyless"} for entry in keyless])
    told = cli("plan", "jobs.yaml", expect=None).err
    # newer SDKs no longer read the column in which Java 1.1 marks partitioned queues
    assert ("missing-partition-key" in told) is (app.sdk.name != "java")
    for entry in expected:
        hold("options", LABELS.get(entry["id"], entry["id"]), app.sdk.name, "as meant")
    hold("latest", "releases", app.sdk.name, str(app.sdk))
    if app.sdk.name != "python":
        assert app.result(app_url, "plain") == GREETED


SAME = (
    "status, name, class_name, config_name, queue_name, queue_partition_key, priority, workflow_timeout_ms, "
    "workflow_deadline_epoch_ms, "
    "deduplication_id, application_version, application_name, authenticated_user, authenticated_roles, "
    "assumed_role, attributes, serialization, recovery_attempts"
)


def normal(row: dict[str, Any]) -> dict[str, Any]:
    """Normalize a row as readers do: '' is NULL, JSON is parsed, an empty list of roles is None."""
    out = {key: None if value == "" else value for key, value in row.items()}
    for key in ("authenticated_roles", "attributes", "inputs"):
        if isinstance(out[key], (str, bytes)):  # Go stores some values as BLOB on SQLite
            out[key] = json.loads(out[key])
    out["authenticated_roles"] = out["authenticated_roles"] or None
    out["attributes"] = {k: v for k, v in (out["attributes"] or {}).items() if k != "dbos_manifest"}
    out["inputs"] = [out["inputs"].get(key) or [] for key in ("positionalArgs", "namedArgs")]
    out["deduplication_id"] = out["deduplication_id"] and out["deduplication_id"].removesuffix("-theirs")
    out["delayed"] = out["status"] == "DELAYED"
    return out


def read_all(rows: Rows) -> dict[str, dict[str, Any]]:
    status, inputs = rows.table("workflow_status"), rows.table("workflow_input")
    with rows.engine.connect() as connection:
        found = connection.execute(
            sa.text(
                f"SELECT s.workflow_uuid, {SAME.replace('serialization', 's.serialization')}, "
                f"COALESCE(i.inputs, s.inputs) AS inputs FROM {status} s "
                f"LEFT JOIN {inputs} i ON i.workflow_uuid = s.workflow_uuid"
            )
        ).mappings()
        named = {row["workflow_uuid"]: dict(row) for row in found}
    return {key: normal({k: v for k, v in row.items() if k != "workflow_uuid"}) for key, row in named.items()}


@pytest.mark.sdks("typescript", other_than="python")
def test_rows_match_those_of_the_sdk_client(
    app: App, url: str, app_url: str, rows: Rows, legacy: list[str], tmp_path: Path
) -> None:
    """Compare the rows before a worker runs them, then let it run both.

    tests/system_db/test_rows_like_the_client.py compares every column with the Python client.
    """
    cli = Cli(url, tmp_path)
    ours = [entry for entry in entries(app) if UNKNOWN.get(app.sdk.name, set()).isdisjoint(entry)]
    theirs = [{**entry, "id": f"theirs-{entry['id']}"} for entry in ours]
    for entry in theirs:
        if "deduplication_id" in entry:
            entry["deduplication_id"] += "-theirs"
    write(tmp_path, app, ours)
    cli("apply", "jobs.yaml", "--allow", "queue-not-registered", *legacy)
    app.enqueue(app_url, theirs)
    found = read_all(rows)
    for entry in ours:
        mine, other = found[entry["id"]], found[f"theirs-{entry['id']}"]
        if app.sdk.name == "rust":  # 0.5 supports only its own format: the same JSON under another name
            assert (mine.pop("serialization"), other.pop("serialization")) == ("portable_json", "rust_serde")
        assert mine == other, entry
    for entry in entries(app):
        same = "no such option" if f"theirs-{entry['id']}" not in found else "the same row"
        hold("clients", LABELS.get(entry["id"], entry["id"]), app.sdk.name, same)
    with app.working(app_url, tmp_path / "worker.log"):
        write(tmp_path, app, [*ours, *theirs])
        (tmp_path / "jobs.lock.jsonl").unlink()
        cli("apply", "jobs.yaml", *WAIT, expect=7)
        ended = outcomes(cli)
        check(ended, ours)
        for entry in ours:
            mine, other = ended[entry["id"]], ended[f"theirs-{entry['id']}"]
            for key in ("status", "output", "error"):
                assert mine.get(key) == other.get(key)


@pytest.mark.sdks("typescript", other_than="python", databases=["postgresql"])
def test_deduplication_id_in_a_partition_follows_the_sdk(app: App, url: str, app_url: str) -> None:
    """Workers run such a row (test_runtime_rules.py); this tests whether the client writes one.

    The Python client does: see tests/system_db/test_rows_like_the_client.py.
    """
    pair = {"queue_partition_key": "k", "deduplication_id": "d", "queue": "partitioned"}
    try:
        app.enqueue(app_url, [{**GREET, **DEFAULTS.get(app.sdk.name, {}), **pair, "id": "both"}])
        seen = "takes it"
    except AssertionError as refused:
        assert "dedup" in str(refused).lower() and "partition" in str(refused).lower()
        seen = "refuses it"
    hold("clients", "deduplication id in a partition", app.sdk.name, seen)
