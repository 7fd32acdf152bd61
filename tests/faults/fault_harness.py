"""Write a manifest for each fault, and check the rows and the lockfile afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from waiting import PATIENCE_S, wait_until

from dbos_manifest.cli.error_boundary import run_guarded
from dbos_manifest.cli.main import cli
from dbos_manifest.core.units import parse_timestamp

# `make faults` tests all points; `make test` tests a few of them.
THOROUGH = "DBOS_MANIFEST_FAULTS" in os.environ
COUNTS: list[str] = []  # counts of each test, printed at the end of the run
MANIFEST = """\
version: 1
name: NAME
limits: {max_workflows: 100000}
defaults: {queue: etl}
queues: {etl: {partitioned: false}}
workflows:
  - workflow: ingest
    id: "PREFIX-${{ n }}"
    matrix: {n: {range: {start: START, stop: STOP}}}
    args: ["${{ n }}"]
"""


class Batch:
    """Hold a manifest and check it: every workflow is in the database once and in the lockfile."""

    def __init__(
        self,
        folder: Path,
        name: str,
        count: int,
        engine: sa.Engine,
        *,
        prefix: str | None = None,
        start: int = 0,
    ) -> None:
        self.count = count
        self.prefix = prefix or name
        self.ids = {f"{self.prefix}-{n}": n for n in range(start, start + count)}
        self.path = folder / f"{name}.yaml"
        text = MANIFEST.replace("NAME", name).replace("PREFIX", self.prefix)
        text = text.replace("START", str(start)).replace("STOP", str(start + count))
        self.path.write_text(text)
        self.lockfile = folder / f"{name}.lock.jsonl"
        self.journal = folder / f"{name}.lock.jsonl.journal"
        self.alone = prefix is None  # no other manifest has workflows with these IDs
        self.engine = engine
        self.tables = "" if engine.dialect.name == "sqlite" else "dbos."

    def rows(self) -> dict[str, tuple[int, Any]]:
        """Return created_at and arguments by ID; inputs without a row are included."""
        statement = (
            f"SELECT s.workflow_uuid, s.created_at, i.inputs FROM {self.tables}workflow_status s "
            f"LEFT JOIN {self.tables}workflow_input i ON i.workflow_uuid = s.workflow_uuid "
            "WHERE s.workflow_uuid LIKE :mine"
        )
        with self.engine.connect() as connection:
            found = connection.execute(sa.text(statement), {"mine": f"{self.prefix}-%"}).all()
        assert len({row[0] for row in found}) == len(found)
        assert not self.alone or {row[0] for row in found} <= self.ids.keys()
        return {row[0]: (row[1], json.loads(row[2])["positionalArgs"]) for row in found if row[0] in self.ids}

    def count_rows(self) -> int:
        statement = f"SELECT count(*) FROM {self.tables}workflow_status WHERE workflow_uuid LIKE :mine"
        with self.engine.connect() as connection:
            found = connection.execute(sa.text(statement), {"mine": f"{self.prefix}-%"})
            return int(found.scalar_one())

    def locked(self) -> dict[str, int]:
        """Return enqueued_at of the lockfile by ID."""
        if not self.lockfile.exists():
            return {}
        entries = [json.loads(line) for line in self.lockfile.read_text().splitlines()[1:]]
        assert len({entry["id"] for entry in entries}) == len(entries)
        return {entry["id"]: parse_timestamp(entry["enqueued_at"]) for entry in entries}

    def run_and_remove(self) -> set[str]:
        """Finish and remove every row, and return the IDs of this manifest among them.

        No retention of DBOS removes rows immediately, so the next apply needs --skip-missing.
        """
        with self.engine.begin() as connection:
            deleted = connection.execute(
                sa.text(f"DELETE FROM {self.tables}workflow_status RETURNING workflow_uuid")
            ).scalars()
            ran = {*deleted} & self.ids.keys()
            connection.execute(sa.text(f"DELETE FROM {self.tables}workflow_input"))
        return ran

    def wait_for_its_server(self) -> None:
        """Wait until the server has ended the transactions of a killed or disconnected apply."""
        if self.engine.dialect.name == "sqlite":
            return
        busy = sa.text(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'dbos-manifest%' "
            "AND datname = current_database() AND state <> 'idle'"
        )

        def is_idle() -> bool:
            with self.engine.connect() as connection:
                return not connection.execute(busy).scalar_one()

        wait_until(is_idle, every_s=0.01)

    def check_honest(self) -> None:
        """Check that every lock entry has a row."""
        rows = self.rows()
        for workflow_id, created_at in self.locked().items():
            assert rows[workflow_id][0] == created_at

    def check_complete(self) -> None:
        """Check that every workflow exists once with its own arguments, and is in the lockfile."""
        rows = self.rows()
        assert {workflow_id: row[1] for workflow_id, row in rows.items()} == {
            workflow_id: [n] for workflow_id, n in self.ids.items()
        }
        assert self.locked() == {workflow_id: row[0] for workflow_id, row in rows.items()}


class Apply:
    """Run an apply in a new process."""

    def __init__(self, batch: Batch, database_url: str, *options: object, **settings: Any) -> None:
        self._batch = batch
        self._log = batch.path.parent / f"{uuid.uuid4().hex}.log"
        command = [sys.executable, "-m", "dbos_manifest", "apply", batch.path, "--database-url", database_url]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *map(str, options)], stdout=subprocess.DEVNULL, stderr=log, **settings
            )

    @property
    def log(self) -> str:
        """Return its standard error."""
        return self._log.read_text()

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def wait_for_rows(self, count: int) -> None:
        """Wait until the database has that many rows of the manifest, or the apply has ended."""
        wait_until(lambda: self._batch.count_rows() >= count or not self.runs)

    def wait(self) -> int:
        """Wait for the process and return its exit code."""
        return self.process.wait(PATIENCE_S)

    def kill(self) -> bool:
        """Kill the process and return whether it was still running."""
        self.process.kill()
        return self.wait() == -signal.SIGKILL


def run_here(*words: object) -> int:
    """Run the command in this process and return its exit code."""
    return run_guarded(cli, [str(word) for word in words])
