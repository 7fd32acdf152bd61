"""Run the command line in this process, on real files and real databases."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from urls import PLANTED, make_engine

from dbos_manifest.cli.error_boundary import run_guarded
from dbos_manifest.cli.main import cli


class Run(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Run]


def execute(url: str, *statements: str) -> None:
    """Run SQL statements on the tables of DBOS, as another user of the database."""
    engine = make_engine(url)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL search_path = dbos")
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Return a function that runs `dbos-manifest WORDS` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets it

    def run_cli(*words: str) -> Run:
        capsys.readouterr()
        code = run_guarded(cli, list(words))
        done = Run(code, *capsys.readouterr())
        assert PLANTED not in done.out + done.err
        return done

    return run_cli


@pytest.fixture
def run_db(run: Cli, database_url: str) -> Cli:
    """Return a function that also passes a new DBOS database, first on SQLite and then on PostgreSQL."""

    def run_cli(*words: str) -> Run:
        return run(*words, "--database-url", database_url)

    return run_cli


JOBS = """\
version: 1
name: jobs
defaults: {queue: etl}
workflows:
  - {id: a, workflow: ingest, args: [1]}
  - {id: b, workflow: ingest, args: [2]}
  - {id: c, workflow: ingest, args: [3]}
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """Write a manifest with three workflows."""
    path = tmp_path / "jobs.yaml"
    path.write_text(JOBS)
    return path


@pytest.fixture
def lock(run_db: Cli, jobs: Path) -> Path:
    """Enqueue the three workflows and return their lockfile."""
    assert run_db("apply", "jobs.yaml").code == 0
    return jobs.with_name("jobs.lock.jsonl")


def entries(lock: Path) -> dict[str, dict[str, Any]]:
    return {entry["id"]: entry for entry in map(json.loads, lock.read_text().splitlines()[1:])}


def finish(lock: Path, workflow_id: str) -> None:
    lines = lock.read_text().splitlines()
    ended = ',"status":"SUCCESS","completed_at":"2026-01-31T09:00:00.000Z"}'
    lock.write_text(
        "".join((line[:-1] + ended if f'"id":"{workflow_id}"' in line else line) + "\n" for line in lines)
    )
