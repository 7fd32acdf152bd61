"""Run a real worker and the real command line, and read the raw rows of the database."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import sqlalchemy as sa
from urls import PLANTED, make_engine
from waiting import PATIENCE_S, wait_until

from dbos_manifest.cli.error_boundary import run_guarded
from dbos_manifest.cli.main import cli

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "manifests" / "examples"
FINAL = {"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"}
WAIT = ("--wait", "--wait-timeout", f"{PATIENCE_S}s")


class Worker:
    """Run the orders application in a new process."""

    def __init__(self, database_url: str, queues: Collection[str], log: Path) -> None:
        self._log = log
        with log.open("a") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "examples/orders/app.py"), *queues],
                env={**os.environ, "DBOS_SYSTEM_DATABASE_URL": database_url},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "orders 2026.1 is ready\n", log.read_text()

    def stop(self) -> None:
        """Stop the worker with SIGTERM, as a deployment does; the process must end by itself."""
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(timeout=PATIENCE_S) == 0, self._log.read_text()
        self._close()

    def crash(self) -> None:
        self.process.kill()  # does nothing when the process has ended
        self.process.wait()
        self._close()

    def _close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()


class Done(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def changes(self) -> dict[str, dict[str, Any]]:
        """Return the changes of a plan by workflow ID."""
        manifests = self.json()["manifests"]
        return {change["id"]: change for manifest in manifests for change in manifest["changes"]}

    def states(self) -> dict[str, str]:
        return {workflow_id: change["state"] for workflow_id, change in self.changes().items()}


class Cli:
    """Run `dbos-manifest` in a folder against a database, as a user does.

    Commands run in this process, because starting the program takes longer than most commands. Tests about
    processes (tests/faults, test_demo.py, test_packaging.py, test_pipelines.py) start one.
    """

    def __init__(self, database_url: str, folder: Path) -> None:
        self.folder = folder
        # the environment of the machine must not change what the command does
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DBOS_", "GITHUB_", "CI_")) and name not in ("CI", "COLUMNS")
        } | {"DBOS_SYSTEM_DATABASE_URL": database_url}

    def __call__(self, *words: object, expect: int | None = 0) -> Done:
        """Run a command; `expect` is the required exit code, None for any."""
        out, err = io.StringIO(), io.StringIO()
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            with (
                patch.dict(os.environ, self._environment, clear=True),
                redirect_stdout(out),
                redirect_stderr(err),
            ):
                code = run_guarded(cli, [str(word) for word in words])
        finally:
            os.chdir(here)
        done = Done(code, out.getvalue(), err.getvalue())
        assert PLANTED not in done.out + done.err
        assert expect in (None, code), f"exit {code}\n{done.out}\n{done.err}"
        return done

    def plan(self, *words: object, expect: int | None = 0) -> Done:
        return self("plan", "-o", "json", *words, expect=expect)

    def lock(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the entries of a lockfile by workflow ID."""
        _header, *lines = (self.folder / name).read_text().splitlines()
        return {entry["id"]: entry for entry in map(json.loads, lines)}


class Rows:
    """Read and write the workflow tables of the system database directly."""

    def __init__(self, database_url: str) -> None:
        self.engine = make_engine(database_url)
        self._prefix = "" if self.engine.dialect.name == "sqlite" else "dbos."

    def table(self, name: str) -> str:
        return self._prefix + name

    def execute(self, statement: str, **values: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), values)

    def insert(self, table: str, row: Mapping[str, object]) -> None:
        names = ", ".join(row)
        places = ", ".join(f":{name}" for name in row)
        self.execute(f"INSERT INTO {self.table(table)} ({names}) VALUES ({places})", **row)

    def dump(self) -> dict[str, list[tuple[object, ...]]]:
        """Return every column of every row as comparable values."""
        tables = ("workflow_status", "workflow_input", "workflow_output")
        return {name: self._dump(name) for name in tables}

    def _dump(self, table: str) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            found = connection.execute(sa.text(f"SELECT * FROM {self.table(table)}"))
            return sorted(tuple(map(repr, row)) for row in found)

    def column(self, name: str, table: str = "workflow_status") -> dict[str, Any]:
        with self.engine.connect() as connection:
            found = connection.execute(sa.text(f"SELECT workflow_uuid, {name} FROM {self.table(table)}"))
            return {row[0]: row[1] for row in found}

    def wait_for(self, wanted: Mapping[str, str]) -> None:
        """Wait until each of these workflows has its status."""

        def as_wanted() -> bool:
            statuses = self.column("status")
            return all(statuses.get(workflow_id) == status for workflow_id, status in wanted.items())

        wait_until(as_wanted, lambda: f"wanted {wanted}, found {self.column('status')}")


def write_manifest(path: Path, workflows: list[dict[str, Any]], **top: Any) -> Path:
    """Write a JSON manifest with these entries for the orders application."""
    head = {"version": 1, "name": path.stem, "application": "orders", "runtime": "python"}
    path.write_text(json.dumps({**head, **top, "workflows": workflows}, indent=1))
    return path
