"""Plan and apply a folder of many manifests with few connections and few open files."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from fault_harness import COUNTS, THOROUGH
from urls import make_engine, with_user

MANIFESTS = 2_000 if THOROUGH else 130
WORKFLOWS = 10  # of each manifest
CONNECTIONS, OPEN_FILES = 4, 100
MANIFEST = """\
version: 1
name: NAME
defaults: {queue: etl, workflow: ingest}
workflows:
  - id: "NAME-${{ n }}"
    matrix: {n: {range: {start: 0, stop: 10}}}
"""
PRIVILEGES = """
CREATE ROLE NAME LOGIN CONNECTION LIMIT 4;
GRANT USAGE ON SCHEMA dbos TO NAME;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA dbos TO NAME
"""


@pytest.fixture
def limited_url(request: pytest.FixtureRequest, database_url: str) -> Iterator[str]:
    """Return the URL of a database that refuses a fifth connection."""
    if database_url.startswith("sqlite"):
        yield database_url
        return
    role = f"few_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(PRIVILEGES.replace("NAME", role).encode())
        yield with_user(database_url, role)
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "jobs"
    folder.mkdir()
    for number in range(MANIFESTS):
        (folder / f"m{number}.yaml").write_text(MANIFEST.replace("NAME", f"m{number}"))
    return folder


def run_limited(command: str, folder: Path, url: str, log: Path) -> str:
    """Run a command with few open files; return its figures."""
    words = [command, folder, "--database-url", url, "--retry-budget", "1s"]
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dbos_manifest", *map(str, words)],
            stdout=output,
            stderr=output,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES)),
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, log.read_text()[-2000:]
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return f"{command} in {time.monotonic() - started:.0f} s with {peak >> 20} MB"


def test_many_manifests_need_few_connections_and_open_files(
    limited_url: str, database_url: str, folder: Path, tmp_path: Path
) -> None:
    figures = [run_limited(command, folder, limited_url, tmp_path / "log") for command in ("plan", "apply")]
    assert len([*folder.glob("*.lock.jsonl")]) == MANIFESTS
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    engine = make_engine(database_url)
    with engine.connect() as connection:
        table = "workflow_status" if engine.dialect.name == "sqlite" else "dbos.workflow_status"
        rows = connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()
    engine.dispose()
    assert rows == MANIFESTS * WORKFLOWS
    COUNTS.append(f"{MANIFESTS:,} manifests of {WORKFLOWS} workflows: {', '.join(figures)}")
