"""Stop the server in immediate mode in the middle of an apply, and start it again."""

from __future__ import annotations

import random
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from dbos_tables import migrate
from fault_harness import COUNTS, THOROUGH, Apply, Batch, run_here
from postgres import start_server, wait_until_running
from waiting import PATIENCE_S

WORKFLOWS = 300
STOPS = 30 if THOROUGH else 2


@pytest.fixture
def server() -> Iterator[Any]:
    """Start a server that the test may stop."""
    server = start_server(Path("/tmp") / f"dm-f-{uuid.uuid4().hex[:8]}")
    yield server
    server.cleanup()


def stop_at_once(server: Any) -> None:
    process = psutil.Process(server.get_pid())
    process.send_signal(signal.SIGQUIT)
    process.wait(PATIENCE_S)


def test_apply_completes_after_the_server_restarts(server: Any, tmp_path: Path) -> None:
    url = server.get_uri()
    migrate(url)
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), pool_pre_ping=True)
    with engine.connect() as connection:
        # an immediate stop tests nothing without fsync
        assert connection.execute(sa.text("SHOW fsync")).scalar_one() == "on"
    chance = random.Random(7)
    stops = middle = 0
    while stops < STOPS or not middle:
        assert stops < 10 * STOPS
        batch = Batch(tmp_path, f"s{stops}", WORKFLOWS, engine)
        apply = Apply(batch, url, "--chunk-size", 1, "--retry-budget", "10m")
        apply.wait_for_rows(chance.randint(1, WORKFLOWS // 2))
        stop_at_once(server)
        stops += 1
        middle += apply.runs
        wait_until_running(server.ensure_postgres_running)
        assert apply.wait() == 0, apply.log
        batch.check_complete()
        assert run_here("apply", batch.path, "--database-url", url, "--locked") == 0
    engine.dispose()
    COUNTS.append(f"{stops} stops of the server, {middle} inside an apply; 0 lost, 0 doubled, 0 lies")
