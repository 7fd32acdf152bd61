"""Test conflicts with another writer's open transaction: a deadlock and a serialization failure."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fault_harness import Batch, run_here
from waiting import PATIENCE_S, wait_until

WORKFLOWS = 40
STATUS = """
INSERT INTO dbos.workflow_status
    (workflow_uuid, status, name, queue_name, priority, created_at, updated_at, recovery_attempts,
     serialization)
VALUES (:id, 'ENQUEUED', 'ingest', 'etl', 0, 1, 1, 0, 'portable_json')
"""
INPUT = """
INSERT INTO dbos.workflow_input (workflow_uuid, inputs, retention_timestamp) VALUES (:id, :inputs, 1)
"""


def insert(connection: sa.Connection, workflow_id: str) -> None:
    number = workflow_id.rpartition("-")[2]
    inputs = f'{{"positionalArgs":[{number}],"namedArgs":{{}}}}'
    connection.execute(sa.text(STATUS), {"id": workflow_id})
    connection.execute(sa.text(INPUT), {"id": workflow_id, "inputs": inputs})


def wait_until_blocked(engine: sa.Engine, by: int) -> None:
    """Wait until another session waits for the one with this process ID."""
    blocked = sa.text("SELECT count(*) FROM pg_stat_activity WHERE :by = ANY(pg_blocking_pids(pid))")

    def someone_waits() -> bool:
        with engine.connect() as connection:
            return bool(connection.execute(blocked, {"by": by}).scalar_one())

    wait_until(someone_waits)


class Theirs(threading.Thread):
    """Insert a workflow, wait until an apply waits for it, and run the rest."""

    def __init__(self, engine: sa.Engine, first: str, rest: Callable[[sa.Connection], None]) -> None:
        super().__init__()
        self._engine, self._first, self._rest = engine, first, rest
        self._begun = threading.Event()
        self.done = False
        self.start()
        assert self._begun.wait(PATIENCE_S)

    def run(self) -> None:
        with self._engine.connect() as connection:
            pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            insert(connection, self._first)
            self._begun.set()
            wait_until_blocked(self._engine, pid)
            self._rest(connection)
        self.done = True


def test_apply_completes_after_a_deadlock(
    postgres_url: str, make_pg_batch: Callable[[str, int], Batch], capfd: pytest.CaptureFixture[str]
) -> None:
    """Apply holds row 0 and waits for row 20, the other writer the reverse; the server ends apply."""
    batch = make_pg_batch("crossed", WORKFLOWS)

    def ask_for_ours(connection: sa.Connection) -> None:
        connection.execute(
            sa.text("SET deadlock_timeout = '10min'")
        )  # so that the server ends apply's transaction
        insert(connection, "crossed-0")
        connection.rollback()

    theirs = Theirs(batch.engine, "crossed-20", ask_for_ours)
    assert run_here("apply", batch.path, "--database-url", postgres_url) == 0
    theirs.join()
    assert theirs.done
    assert "deadlock" in capfd.readouterr().err
    batch.check_complete()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_apply_completes_after_a_serialization_failure(
    postgres_url: str,
    make_pg_batch: Callable[[str, int], Batch],
    level: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The other writer commits a row that apply's snapshot lacks, so apply repeats the transaction."""
    batch = make_pg_batch("hidden", WORKFLOWS)
    with batch.engine.begin() as connection:
        name = connection.execute(sa.text("SELECT current_database()")).scalar_one()
        setting = f"default_transaction_isolation = '{level}'"
        connection.execute(sa.text(f'ALTER DATABASE "{name}" SET {setting}'))
    theirs = Theirs(batch.engine, "hidden-20", sa.Connection.commit)
    assert run_here("apply", batch.path, "--database-url", postgres_url) == 0
    theirs.join()
    assert theirs.done
    assert "could not serialize" in capfd.readouterr().err
    batch.check_complete()
    assert batch.rows()["hidden-20"][0] == 1  # the other writer's row is unchanged
