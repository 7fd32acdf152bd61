"""Test the locks between two applies on separate connections."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial

import pytest
import sqlalchemy as sa
from waiting import PATIENCE_S, wait_until

from dbos_manifest.core.errors import Refused
from dbos_manifest.system_db.advisory_lock import MOST_LOCKS
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.database import Database
from dbos_manifest.system_db.read import read_live
from dbos_manifest.system_db.retry import Retry
from dbos_manifest.system_db.sqlite import SQLiteDatabase

HELD = "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' "
HELD += "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"


ONCE = Retry(1, lambda notice: None)


def opened(url: str, lock_timeout_s: float = 60) -> Database:
    return open_database(url, retry=ONCE, lock_timeout_s=lock_timeout_s)


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
        database.apply_locks(["jobs"]),
        database.transaction() as connection,
    ):
        if not isinstance(database, SQLiteDatabase):
            connection.execute(sa.text("SET LOCAL lock_timeout = '60s'"))
        database.begin_write(connection, "jobs")


def test_lost_lock_is_no_error(postgres_url: str) -> None:
    with opened(postgres_url) as database, database.apply_locks(["jobs"]):
        with database.transaction() as connection:
            pid = connection.execute(sa.text(HELD)).scalar_one()
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with database.transaction() as connection:
            assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1


def test_lock_is_released_when_the_apply_fails(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        with pytest.raises(KeyError), database.apply_locks(["jobs"]):
            raise KeyError
        with database.apply_locks(["jobs"]), database.reading() as connection:
            assert connection.execute(sa.text(HELD)).scalars().all()


def locking_sessions(database: Database) -> list[int]:
    """Return the sessions that hold locks, once those that were closed have ended."""
    with database.reading() as connection:
        statement = sa.text(HELD)
        wait_until(lambda: len(connection.execute(statement).all()) <= 1)
        return [*connection.execute(statement).scalars()]


def test_message_names_the_holder_and_not_the_password(postgres_url: str) -> None:
    with opened(postgres_url, 0.3) as database, database.apply_locks(["a", "jobs", "z"]):
        with pytest.raises(Refused) as refused, database.apply_locks(["other", "jobs"]):
            pass
        [pid] = locking_sessions(database)
    assert "`jobs`" in refused.value.message
    assert f"dbos-manifest apply 3 manifests, process {pid}" in refused.value.message
    assert "--lock-timeout" in (refused.value.hint or "")


@pytest.mark.parametrize("count", [1, 7, MOST_LOCKS, MOST_LOCKS + 1, 5_000])
def test_any_number_of_manifests_is_locked_by_one_session(postgres_url: str, count: int) -> None:
    names = [f"m{number}" for number in range(count)]
    more = [*names, *(f"x{number}" for number in range(MOST_LOCKS))]
    with opened(postgres_url) as database:
        with database.apply_locks(names), opened(postgres_url, 0) as other:
            assert len(locking_sessions(database)) == 1
            with database.reading() as connection:
                counted = HELD.replace("DISTINCT pid", "count(*)")
                assert connection.execute(sa.text(counted)).scalar_one() <= MOST_LOCKS + 1
            for wanted in (names[-1:], names, more):
                with (
                    pytest.raises(Refused, match="is running: dbos-manifest apply"),
                    other.apply_locks(wanted),
                ):
                    pass
        with database.apply_locks(names):
            pass


def test_applies_of_the_same_manifests_in_any_order_do_not_wait_for_each_other(postgres_url: str) -> None:
    """Each of them gets all of the locks, one after the other."""
    names = [f"m{number}" for number in range(50)]
    done: list[int] = []

    def apply(seed: int) -> None:
        shuffled = [*names[seed * 9 :], *names[: seed * 9]]
        with opened(postgres_url) as database:
            for _ in range(10):
                with database.apply_locks(shuffled):
                    pass
        done.append(seed)

    threads = [threading.Thread(target=apply, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 1, 2, 3]


def test_transaction_waits_for_the_lock_timeout_and_names_the_holder(postgres_url: str) -> None:
    """It is not retried, and a shorter timeout of the role does not count."""
    with opened(postgres_url) as database, opened(postgres_url, 0.5) as other:
        with database.transaction() as connection:
            database.begin_write(connection, "jobs")
            pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            for wait in (other.begin_write, other.wait_for_writer):
                with pytest.raises(Refused, match=f"`jobs` is running: .*process {pid}"):
                    other.call(partial(_in_transaction, other, wait))
        _in_transaction(other, other.begin_write)


def _in_transaction(database: Database, work: Callable[[sa.Connection, str], object]) -> None:
    with database.transaction() as connection:
        connection.execute(sa.text("SET LOCAL lock_timeout = '1ms'"))
        work(connection, "jobs")
        assert connection.execute(sa.text("SHOW lock_timeout")).scalar_one() == "1ms"


@pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
def test_locked_sqlite_file_is_waited_for_during_the_lock_timeout(sqlite_url: str, mode: str) -> None:
    """It is not retried, whether it blocks connecting, reading or writing."""
    patient = Retry(600, lambda notice: None)
    path = sqlite_url.removeprefix("sqlite:///")
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as blocker,
        open_database(sqlite_url, retry=patient, lock_timeout_s=0.2) as database,
    ):
        blocker.execute(f"BEGIN {mode}")
        with pytest.raises(Refused, match="another process has locked the SQLite database"):
            database.check_writable()
        if mode == "EXCLUSIVE":
            with pytest.raises(Refused, match="has locked"):
                database.read(read_live, ["a"])
            with pytest.raises(Refused, match="has locked"):
                open_database(sqlite_url, retry=patient, lock_timeout_s=0.2)
        blocker.execute("ROLLBACK")
        assert database.read(read_live, ["a"]) == {}
        database.check_writable()


def test_sqlite_file_of_another_writer_is_waited_for(sqlite_url: str) -> None:
    with opened(sqlite_url) as database, opened(sqlite_url, 0.2) as other:
        with (
            database.transaction(),
            pytest.raises(Refused, match="another process has locked the SQLite database"),
        ):
            other.check_writable()
        other.check_writable()
