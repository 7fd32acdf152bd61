"""Compare random edits, applies, workers, deletions and other writers with a model in dictionaries."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos_tables import migrate, rows_of
from fault_harness import THOROUGH, run_here
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dbos_manifest.files.lockfile_writer import LockfileWriter
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.insert import insert_rows, prepare_rows
from dbos_manifest.system_db.retry import Retry
from dbos_manifest.workflows.batch import Batch
from dbos_manifest.workflows.digest import compute_digests
from dbos_manifest.workflows.spec import WorkflowSpec

IDS = [f"w{n}" for n in range(5)]
ids, values = st.sampled_from(IDS), st.integers(1, 2)
manifests = st.dictionaries(ids, values, min_size=1)


@cache
def template() -> Path:
    path = Path(tempfile.mkdtemp()) / "template.sqlite"
    migrate(f"sqlite:///{path}")
    return path


@contextmanager
def killed_before_the_lockfile_is_written() -> Iterator[None]:
    def end(*words: object, **options: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LockfileWriter, "replace", end)
        yield


def spec_of(workflow_id: str, value: int) -> WorkflowSpec:
    return WorkflowSpec(workflow_id, "f", "q", [value], {})


class Model(RuleBasedStateMachine):
    """Hold the model: `manifest` and `rows` are arguments by ID, `lock` the arguments of each entry's digest.

    `journal` is what applies enqueued before they were killed without writing the lockfile.
    """

    @initialize(manifest=manifests)
    def begin(self, manifest: dict[str, int]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.database = self.folder / "dbos.sqlite"
        shutil.copy(template(), self.database)
        self.url = f"sqlite:///{self.database}"
        self.rows: dict[str, int] = {}
        self.lock: dict[str, int] = {}
        self.journal: dict[str, int] = {}
        self.edit(manifest)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    @rule(manifest=manifests)
    def edit(self, manifest: dict[str, int]) -> None:
        self.manifest = manifest
        workflows = [{"id": key, "workflow": "f", "queue": "q", "args": [v]} for key, v in manifest.items()]
        queues = {"q": {"partitioned": False}}
        content = {"version": 1, "name": "model", "queues": queues, "workflows": workflows}
        (self.folder / "jobs.yaml").write_text(json.dumps(content))

    @rule(workflow_id=ids)
    def a_worker_ends_one(self, workflow_id: str) -> None:
        self._execute("UPDATE workflow_status SET status = 'SUCCESS' WHERE workflow_uuid = :id", workflow_id)

    @rule(workflow_id=ids)
    def retention_deletes_one(self, workflow_id: str) -> None:
        self._execute("DELETE FROM workflow_status WHERE workflow_uuid = :id", workflow_id)
        self.rows.pop(workflow_id, None)

    @rule(workflow_id=ids, value=values)
    def another_writer_enqueues(self, workflow_id: str, value: int) -> None:
        with open_database(self.url, retry=Retry(1, lambda notice: None)) as database:
            spec = spec_of(workflow_id, value)
            with database.transaction() as connection:
                insert_rows(connection, database, prepare_rows(database, rows_of(spec)))
        self.rows.setdefault(workflow_id, value)

    @rule()
    def the_lockfile_is_deleted(self) -> None:
        (self.folder / "jobs.lock.jsonl").unlink(missing_ok=True)
        self.lock = {}

    @rule(allow_drift=st.booleans(), recreate=st.booleans(), verify=st.booleans(), crash=st.booleans())
    def apply(self, allow_drift: bool, recreate: bool, verify: bool, crash: bool) -> None:
        flags = {
            "--allow-drift": allow_drift, "--recreate-vanished": recreate, "--recreate-missing": recreate,
            "--skip-missing": not recreate, "--verify": verify,
        }  # fmt: skip
        words = ("apply", *(flag for flag, given in flags.items() if given))
        with killed_before_the_lockfile_is_written() if crash else nullcontext():
            code = self._run(*words)
        recorded = self.lock | self.journal
        send, same, drifted = set(), set(), set()
        for key, value in self.manifest.items():
            if key in self.rows:
                vouched = recorded.get(key) == value and not verify
                (same if vouched or self.rows[key] == value else drifted).add(key)
            elif key not in recorded or recreate:
                send.add(key)
        if drifted and not allow_drift:
            assert code == 6
            return
        self.rows |= {key: self.manifest[key] for key in send}
        if crash and code != 0:
            assert code == 130
            self.journal |= {key: self.manifest[key] for key in send}
            return
        assert code == 0
        self.lock = recorded | {key: self.manifest[key] for key in send | same}
        self.journal = {}

    def _run(self, *words: str) -> int:
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            return run_here(words[0], "jobs.yaml", "--database-url", self.url, *words[1:])
        finally:
            os.chdir(here)

    def _execute(self, statement: str, workflow_id: str) -> None:
        engine = sa.create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(sa.text("PRAGMA foreign_keys=ON"))
            connection.execute(sa.text(statement), {"id": workflow_id})
        engine.dispose()

    @invariant()
    def the_database_is_as_the_model_says(self) -> None:
        if not hasattr(self, "rows"):
            return
        engine = sa.create_engine(self.url)
        with engine.connect() as connection:
            found = connection.execute(
                sa.text(
                    "SELECT s.workflow_uuid, i.inputs FROM workflow_status s "
                    "JOIN workflow_input i ON i.workflow_uuid = s.workflow_uuid"
                )
            ).all()
        engine.dispose()
        assert {key: json.loads(inputs)["positionalArgs"] for key, inputs in found} == {
            key: [value] for key, value in self.rows.items()
        }

    @invariant()
    def the_lockfile_is_as_the_model_says(self) -> None:
        if not hasattr(self, "lock"):
            return
        lockfile = self.folder / "jobs.lock.jsonl"
        lines = lockfile.read_text().splitlines()[1:] if lockfile.exists() else []
        entries = [json.loads(line) for line in lines]
        assert [entry["id"] for entry in entries] == sorted(self.lock)
        assert {entry["id"]: entry["digest"] for entry in entries} == {
            key: compute_digests(Batch.of([spec_of(key, value)]))[0] for key, value in self.lock.items()
        }


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=300 if THOROUGH else 15,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
