"""Test each PostgreSQL version, schemas of other names, and databases that applications share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import servers
from compatibility import expected, hold
from harness import ROOT, WAIT, Cli, Rows
from sdk_harness import App, as_the_sdk_names_it
from toolchains import IN_E2E, require
from waiting import wait_until

E2E = os.environ.get("DBOS_MANIFEST_E2E")  # read before the tests clear the environment
GREET = {"workflow": "greet", "args": [{"name": "Ada", "times": 1}], "queue": "plain"}
ON_POSTGRESQL = pytest.mark.sdks("python", databases=["postgresql"])
SCHEMAS = ["Sales", 'Sales "EU" 2026']


def write(folder: Path, app: App, *workflows: dict[str, Any]) -> None:
    java = {"class_name": "Orders"} if app.sdk.name == "java" else {}
    content = {"version": 1, "name": "jobs", "workflows": [{**GREET, **java, **one} for one in workflows]}
    (folder / "jobs.yaml").write_text(json.dumps(content))


@pytest.mark.parametrize("version", servers.RELEASES)
def test_system_database_tests_pass_on_every_postgresql_version(version: int) -> None:
    """Run tests/system_db and a worker on a server of that version."""
    if E2E is None or (E2E == "latest" and version != max(servers.RELEASES)):
        pytest.skip(IN_E2E)
    require("npm")
    tests = ["tests/system_db", "tests/e2e/test_apply_examples.py", "tests/e2e/test_second_apply.py"]
    with servers.server(version) as url:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-k", "postgres or not sqlite", *tests],
            cwd=ROOT,
            env=os.environ | {"DBOS_MANIFEST_TEST_DATABASE_URL": url},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout
    hold("postgresql", str(version), "result", "all tests of the system database pass")


@pytest.mark.parametrize("schema", SCHEMAS)
@ON_POSTGRESQL
def test_worker_runs_workflows_in_a_schema_of_another_name(
    app: App, url: str, empty_url: str, schema: str, legacy: list[str], tmp_path: Path
) -> None:
    cli = Cli(empty_url, tmp_path)
    write(tmp_path, app, {"id": "greets"})
    with as_the_sdk_names_it(app, empty_url) as app_url:
        try:
            with app.working(app_url, tmp_path / "worker.log", APP_SCHEMA=schema):
                cli("apply", "jobs.yaml", "--schema", schema, *legacy, *WAIT)
            seen = "runs"
        except AssertionError as problem:
            assert "did not start" in str(problem), problem
            seen = "its worker does not start"
    hold("schemas", schema, app.sdk.name, seen)


@ON_POSTGRESQL
def test_worker_skips_workflows_of_another_application(
    app: App, url: str, app_url: str, worker: None, rows: Rows, legacy: list[str], tmp_path: Path
) -> None:
    """The worker belongs to the application `sdks`; the queue is shared by all applications."""
    cli = Cli(url, tmp_path)
    write(tmp_path, app, {"id": "another's", "application": "another"}, {"id": "ours", "application": "sdks"})
    cli("apply", "jobs.yaml", *legacy, "--allow", "queue-owned-elsewhere")
    rows.wait_for({"ours": "SUCCESS"})  # second in the queue
    cell = ("applications", "the work of another application", app.sdk.name)
    if expected(*cell) == "is taken":
        wait_until(lambda: rows.column("status")["another's"] != "ENQUEUED")
    left = rows.column("status")["another's"] == "ENQUEUED"
    hold(*cell, "is left" if left else "is taken")
