"""Databases and workers of old and new releases: apply, run by that release's worker, read the result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compatibility import hold
from harness import Cli, Rows
from sdk_harness import OLD, SDKS, App, as_the_sdk_names_it

ENTRIES = [
    {"id": "greets", "workflow": "greet", "args": [{"name": "Ada", "times": 1}]},
    {"id": "fails", "workflow": "fail", "args": ["the reason"]},
]
RUNS = "runs"
PATIENCE = "8s"
RELEASES = pytest.mark.parametrize("app", [*OLD, *SDKS.values()], ids=str, indirect=True)


def try_it(cli: Cli, app: App, *flags: str) -> str:
    """What becomes of a workflow that succeeds and of one that fails."""
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
    applied = cli("apply", f"{name}.yaml", *flags, "--wait", "--wait-timeout", PATIENCE, expect=None)
    if applied.code == 3:
        return f"refused: {applied.err.removeprefix('error: ').partition(':')[0]}"
    greets, fails = cli("status", f"{name}.yaml", "-o", "json").json()["workflows"]
    if greets["status"] == "ERROR":
        return f"fails: {greets['error']['message']}"
    if greets["status"] != "SUCCESS":
        return f"stays {greets['status']}"
    if greets["output"] == {"greeting": "hello ", "times": 1}:
        return "runs with empty arguments"
    assert greets["output"] == {"greeting": "hello Ada", "times": 2}
    assert fails["status"] == "ERROR" and "the reason" in fails["error"]["message"], fails
    return RUNS


@RELEASES
def test_on_its_own_schema(app: App, url: str, empty_url: str, tmp_path: Path) -> None:
    with (
        as_the_sdk_names_it(app, empty_url) as app_url,
        app.working(app_url, tmp_path / "worker.log"),
    ):
        rows = Rows(empty_url)
        with rows.engine.connect() as connection:
            migration = connection.exec_driver_sql(f"SELECT version FROM {rows.table('dbos_migrations')}")
            seen = {"migration": migration.scalar_one(), "result": try_it(Cli(empty_url, tmp_path), app)}
        rows.engine.dispose()
    hold("releases", str(app.sdk), f"{rows.engine.dialect.name}, its own schema", seen)


@RELEASES
def test_on_the_newest_schema(app: App, url: str, app_url: str, worker: None, tmp_path: Path) -> None:
    """A worker that was left behind, in a fleet whose newest release has migrated the database."""
    cli = Cli(url, tmp_path)
    seen = {"result": try_it(cli, app)}
    if seen["result"] != RUNS:
        seen["with --legacy-inputs"] = try_it(cli, app, "--legacy-inputs")
    hold("releases", str(app.sdk), f"{url.partition(':')[0]}, newest schema", seen)
    ran = [result for result in seen.values() if result.startswith(RUNS)]
    if not ran:
        return  # nothing tells of a worker that finishes nothing
    left_behind = seen["result"] != RUNS
    checks = cli("doctor", "-o", "json").json()["checks"]
    assert {c["level"] for c in checks if c["what"] == "inputs"} == {"warning" if left_behind else "ok"}
    (tmp_path / "try0.lock.jsonl").unlink()
    (tmp_path / "try0.yaml").write_text((tmp_path / "try0.yaml").read_text().replace("try0", "again"))
    planned = cli("plan", "try0.yaml")
    assert ("worker-behind-schema" in planned.out + planned.err) is left_behind
    applied = cli("apply", "try0.yaml", "--legacy-inputs")
    assert "worker-behind-schema" not in applied.out + applied.err
