"""Test the locks between two applies on separate connections."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from waiting import PATIENCE_S, wait_until

from dbos_manifest.core.errors import Refused
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.database import Database
from dbos_manifest.system_db.retry import Retry
from dbos_manifest.system_db.sqlite import SQLiteDatabase

HELD = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database "
HELD += "WHERE datname = current_database())"


ONCE = Retry(1, lambda notice: None)


def opened(url: str) -> Database:
    return open_database(url, retry=ONCE)


def test_transactions_of_one_manifest_run_one_after_the_other(postgres_url: str) -> None:
    order: list[str] = []
    started = threading.Event()
    with opened(postgres_url) as database:

        def second_chunk() -> None:
            started.set()
            with database.transaction() as connection:
                database.begin_write(connection, "jobs")
                order.append("second")

        thread = threading.Thread(target=second_chunk)
        with database.transaction() as connection:
            database.begin_write(connection, "jobs")
            thread.start()
            started.wait(PATIENCE_S)
            with database.transaction() as other:  # another manifest is not blocked
                database.begin_write(other, "others")
            wait_until(lambda: connection.execute(sa.text(f"{HELD} AND NOT granted")).all())
            order.append("first")
        thread.join()
    assert order == ["first", "second"]


def test_apply_does_not_wait_for_its_own_lock(database_url: str) -> None:
    with (
        opened(database_url) as database,
        database.apply_lock("jobs", 0),
        database.transaction() as connection,
    ):
        if not isinstance(database, SQLiteDatabase):
            connection.execute(sa.text("SET LOCAL lock_timeout = '60s'"))
        database.begin_write(connection, "jobs")


def test_lost_lock_is_no_error(postgres_url: str) -> None:
    with opened(postgres_url) as database, database.apply_lock("jobs", 0):
        with database.transaction() as connection:
            pid = connection.execute(sa.text(HELD)).scalar_one()
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with database.transaction() as connection:
            assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1


def test_lock_is_released_when_the_apply_fails(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        with pytest.raises(KeyError), database.apply_lock("jobs", 0):
            raise KeyError
        with database.apply_lock("jobs", 60), database.reading() as connection:
            assert connection.execute(sa.text(HELD)).scalars().all()


def test_message_names_the_holder_and_not_the_password(postgres_url: str) -> None:
    with opened(postgres_url) as database, database.apply_lock("jobs", 0):
        with pytest.raises(Refused) as refused, database.apply_lock("jobs", 0.3):
            pass
        with database.reading() as connection:
            pid = connection.execute(sa.text(HELD)).scalar_one()
    assert f"process {pid}" in refused.value.message
    assert "--lock-timeout" in (refused.value.hint or "")
