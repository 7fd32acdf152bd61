"""Test old and new releases: apply, let a worker of that release run the workflows, read the results."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from compatibility import expected, hold
from harness import FINAL, Cli, Rows
from sdk_harness import App, as_the_sdk_names_it
from waiting import PATIENCE_S, wait_until

ENTRIES = [
    {"id": "greets", "workflow": "greet", "args": [{"name": "Ada", "times": 1}]},
    {"id": "fails", "workflow": "fail", "args": ["the reason"]},
]
EMPTY = {"greeting": "hello ", "times": 1}  # zero values of Go
RUNS = "runs"
LEGACY = "with --legacy-inputs"
STUCK_S = 8  # how long to watch a workflow that is documented to be stuck
RELEASES = pytest.mark.sdks("python", old=True)


def try_it(cli: Cli, app: App, known: object, *flags: str) -> str:
    """Return the outcome of a succeeding and a failing workflow; `known` is the documented outcome."""
    java = {"class_name": "Orders"} if app.sdk.name == "java" else {}
    name = f"try{len(flags)}"
    workflows = [{**entry, **java, "queue": "plain", "id": f"{name}-{entry['id']}"} for entry in ENTRIES]
    content = {
        "version": 1,
        "name": name,
        "queues": {"plain": {"partitioned": False}},
        "workflows": workflows,
    }
    (cli.folder / f"{name}.yaml").write_text(json.dumps(content))
    applied = cli("apply", f"{name}.yaml", *flags, expect=None)
    if applied.code == 3:
        return f"refused: {applied.err.removeprefix('error: ').partition(':')[0]}"
    give_up = time.monotonic() + (STUCK_S if str(known).startswith("stays") else PATIENCE_S)
    seen: list[dict[str, Any]] = []

    def is_decided() -> bool:
        seen[:] = cli("status", f"{name}.yaml", "-o", "json", "--show-values").json()["workflows"]
        greets, fails = seen
        # if one does not run as it should, the other may be stuck
        return (
            {greets["status"], fails["status"]} <= FINAL
            or greets["status"] in FINAL - {"SUCCESS"}
            or greets.get("output") == EMPTY
        )

    wait_until(lambda: is_decided() or time.monotonic() > give_up, every_s=0.1)
    greets, fails = seen
    if greets["status"] == "ERROR":
        return f"fails: {greets['error']['message']}"
    if greets["status"] != "SUCCESS":
        return f"stays {greets['status']}"
    if greets["output"] == EMPTY:
        return "runs with empty arguments"
    assert greets["output"] == {"greeting": "hello Ada", "times": 2}
    assert fails["status"] == "ERROR" and "the reason" in fails["error"]["message"], fails
    return RUNS


@RELEASES
def test_worker_runs_workflows_on_its_own_schema(app: App, url: str, empty_url: str, tmp_path: Path) -> None:
    cell = ("releases", str(app.sdk), f"{url.partition(':')[0]}, its own schema")
    known = expected(*cell) or {}
    with (
        as_the_sdk_names_it(app, empty_url) as app_url,
        app.working(app_url, tmp_path / "worker.log"),
    ):
        rows = Rows(empty_url)
        with rows.engine.connect() as connection:
            found = connection.exec_driver_sql(f"SELECT version FROM {rows.table('dbos_migrations')}")
            seen = {"migration": found.scalar_one()}
        seen["result"] = try_it(Cli(empty_url, tmp_path), app, known.get("result"))
        rows.engine.dispose()
    hold(*cell, seen)


@RELEASES
def test_old_worker_on_the_newest_schema_behaves_as_documented(
    app: App, url: str, app_url: str, worker: None, tmp_path: Path
) -> None:
    """Another worker of a newer release has migrated the database."""
    cli = Cli(url, tmp_path)
    cell = ("releases", str(app.sdk), f"{url.partition(':')[0]}, newest schema")
    known = expected(*cell) or {}
    seen = {"result": try_it(cli, app, known.get("result"))}
    if seen["result"] != RUNS:
        seen[LEGACY] = try_it(cli, app, known.get(LEGACY), "--legacy-inputs")
    hold(*cell, seen)
    ran = [result for result in seen.values() if result.startswith(RUNS)]
    if not ran:
        return  # a stuck worker gives no other sign
    left_behind = seen["result"] != RUNS
    checks = cli("doctor", "-o", "json").json()["checks"]
    assert {c["level"] for c in checks if c["what"] == "inputs"} == {"warning" if left_behind else "ok"}
    (tmp_path / "try0.lock.jsonl").unlink()
    (tmp_path / "try0.yaml").write_text((tmp_path / "try0.yaml").read_text().replace("try0", "again"))
    planned = cli("plan", "try0.yaml")
    assert ("worker-behind-schema" in planned.out + planned.err) is left_behind
    applied = cli("apply", "try0.yaml", "--legacy-inputs")
    assert "worker-behind-schema" not in applied.out + applied.err
