"""Test how each SDK handles arguments and names, as docs/reference/compatibility.json records it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from compatibility import expected, hold
from harness import FINAL, Cli, Rows
from sdk_harness import App
from waiting import wait_until

STUCK_S = 10  # how long to watch the workflows when the page is written; workers poll every 50 ms
DAY = "2026-01-02T03:04:05.000Z"
HARD = 'Zoë 🚀 \u202bעברית\u202c \\ " \t\n'
BIG = 2**53 + 1
PROBES: dict[str, dict[str, Any]] = {
    "one argument": {"workflow": "echo", "args": ["a"]},
    "two arguments": {"workflow": "pair", "args": ["a", "b"]},
    "too few": {"workflow": "pair", "args": ["a"]},
    "none where one is due": {"workflow": "echo"},
    "too many": {"workflow": "echo", "args": ["a", "b"]},
    "named": {"workflow": "echo", "kwargs": {"value": "a"}},
    "positional and named": {"workflow": "pair", "args": ["a"], "kwargs": {"b": "b"}},
    "text for an object": {"workflow": "greet", "args": ["text"]},
    "a missing field": {"workflow": "greet", "args": [{"name": "Ada"}]},
    "an unknown field": {"workflow": "greet", "args": [{"name": "Ada", "times": 1, "more": 1}]},
    "2^53 + 1, untyped": {"workflow": "echo", "args": [BIG]},
    "2^53 + 1, typed": {"workflow": "greet", "args": [{"name": "Ada", "times": BIG}]},
    "1.0": {"workflow": "echo", "args": [1.0]},
    "null": {"workflow": "echo", "args": [None]},
    "unicode and escapes": {"workflow": "echo", "args": [HARD]},
    "a date's text, typed as a time": {"workflow": "when", "args": [DAY]},
    "deduplication id in a partition": {
        "workflow": "echo", "args": ["a"], "queue": "partitioned", "queue_partition_key": "k",
        "deduplication_id": "d",
    },
    "an instance method without its names": {"workflow": "restock", "args": ["bolts"]},
    "an instance method without its instance": {
        "workflow": "restock", "args": ["bolts"], "class_name": "Warehouse",
    },
    "an instance method without its class": {
        "workflow": "restock", "args": ["bolts"], "instance_name": "berlin",
    },
    "a function with a class_name": {"workflow": "echo", "args": ["a"], "class_name": "Nobody"},
    "an unknown name": {"workflow": "nobody", "args": ["a"]},
    "all valid, claimed together with an unknown name": {"workflow": "echo", "args": ["a"]},
}  # fmt: skip


def entries(app: App) -> list[dict[str, Any]]:
    """Return the probes for an SDK; the workflows of the Java application are in one class."""
    java = app.sdk.name == "java"
    found = []
    for number, (name, probe) in enumerate(PROBES.items()):
        entry = {"id": f"probe-{number}", "queue": "plain", **probe}
        if java and "without" not in name:
            entry.setdefault("class_name", "Orders")
        if entry.get("class_name") == "Warehouse" and java:
            entry["class_name"] = "Orders"
        found.append(entry)
    return found


def manifest(name: str, *workflows: dict[str, Any]) -> str:
    return json.dumps({"version": 1, "name": name, "workflows": workflows})


@pytest.mark.sdks("python", databases=["postgresql"])
def test_worker_treats_arguments_and_names_as_documented(
    app: App, url: str, app_url: str, worker: None, rows: Rows, legacy: list[str], tmp_path: Path
) -> None:
    """Workflows are enqueued one at a time, because an invalid row may also stop its neighbours."""
    cli = Cli(url, tmp_path)
    probes = entries(app)
    for entry in probes:
        together = [entry]
        if entry is probes[-1]:  # the queue keeps the order of the manifest
            together.insert(0, {**probes[-2], "id": "bad-neighbour"})
        (tmp_path / f"{entry['id']}.yaml").write_text(manifest(entry["id"], *together))
        cli("apply", f"{entry['id']}.yaml", *legacy)
        wait_until(
            lambda entry=entry: rows.column("status")[entry["id"]] != "ENQUEUED", lambda e=entry: str(e)
        )
    known = {
        entry["id"]: (expected("rules", name, app.sdk.name) or {}).get("status")
        for name, entry in zip(PROBES, probes, strict=True)
    }
    if all(known.values()):
        rows.wait_for(known)
    else:
        give_up = time.monotonic() + STUCK_S
        wait_until(
            lambda: FINAL.issuperset(rows.column("status").values()) or time.monotonic() > give_up,
        )
    (tmp_path / "all.yaml").write_text(manifest("all", *probes))
    found = cli("status", "all.yaml", "-o", "json", "--show-values").json()["workflows"]
    for name, workflow in zip(PROBES, found, strict=True):
        seen = {"status": workflow["status"]}
        if "output" in workflow:
            seen["output"] = workflow["output"]
        if "error" in workflow:
            seen["error"] = workflow["error"]["name"]
        hold("rules", name, app.sdk.name, seen)
