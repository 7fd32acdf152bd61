"""Test the classification of errors from real databases."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from dbos_tables import rows_of
from sqlalchemy.exc import DBAPIError
from urls import with_user
from waiting import PATIENCE_S

from dbos_manifest.core.errors import DatabaseDenied, DatabaseUnreachable
from dbos_manifest.planning.results import RetryNotice
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.database import Database
from dbos_manifest.system_db.insert import insert_rows, prepare_rows
from dbos_manifest.system_db.retry import Retry, classify, describe_error
from dbos_manifest.workflows.spec import WorkflowSpec


def opened(url: str) -> Database:
    return open_database(url, retry=Retry(1, lambda notice: None))


def spec(workflow_id: str = "a", **options: object) -> WorkflowSpec:
    return WorkflowSpec(workflow_id, "f", "q", [], {})._replace(**options)


def caught(work: Callable[[], object]) -> DBAPIError:
    with pytest.raises(DBAPIError) as error:
        work()
    return error.value


def insert(database: Database, *specs: WorkflowSpec) -> set[str]:
    with database.transaction() as connection:
        return insert_rows(connection, database, prepare_rows(database, rows_of(*specs)))


def wait_until_ended(url: str, pid: int) -> None:
    """Wait until the server has ended a session."""
    with opened(url) as database, database.reading() as connection:
        while connection.execute(
            sa.text("SELECT 1 FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid}
        ).first():
            connection.rollback()


def test_taken_deduplication_id_rejects_the_row(database_url: str) -> None:
    with opened(database_url) as database:
        insert(database, spec("a", deduplication_id="d"))
        error = caught(lambda: insert(database, spec("b", deduplication_id="d")))
    assert classify(error) == "data"


def test_class_name_that_is_too_long_rejects_the_row(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        error = caught(lambda: insert(database, spec(class_name="c" * 256)))
    assert classify(error) == "data"


def test_id_that_is_too_long_for_the_index_rejects_the_row(postgres_url: str) -> None:
    # random text does not compress
    long = "".join(uuid.uuid4().hex for _ in range(300))
    with opened(postgres_url) as database:
        assert classify(caught(lambda: insert(database, spec(long)))) == "data"


def test_nul_character_rejects_the_row(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        assert classify(caught(lambda: insert(database, spec("a\0b")))) == "data"


def test_serialization_failure_is_retried(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        insert(database, spec("a"))
        update = sa.text("UPDATE dbos.workflow_status SET priority = priority + 1")
        isolated = database.engine.execution_options(isolation_level="REPEATABLE READ")
        with isolated.connect() as first:
            first.execute(sa.text("SELECT 1 FROM dbos.workflow_status")).all()
            with database.transaction() as second:
                second.execute(update)
            error = caught(lambda: first.execute(update))
    assert classify(error) == "transient"


def test_deadlock_is_retried(postgres_url: str) -> None:
    met = threading.Barrier(2)
    errors: list[DBAPIError] = []
    with opened(postgres_url) as database:
        insert(database, spec("a"), spec("b"))

        def lock_both(first: str, second: str) -> None:
            try:
                with database.transaction() as connection:
                    for position, workflow_id in enumerate((first, second)):
                        connection.execute(
                            sa.text(
                                "SELECT 1 FROM dbos.workflow_status WHERE workflow_uuid = :id FOR UPDATE"
                            ),
                            {"id": workflow_id},
                        )
                        if position == 0:
                            met.wait(PATIENCE_S)
            except DBAPIError as error:
                errors.append(error)

        threads = [threading.Thread(target=lock_both, args=pair) for pair in (("a", "b"), ("b", "a"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [classify(error) for error in errors] == ["transient"]


def test_transaction_that_the_server_ended_while_idle_is_retried(postgres_url: str) -> None:
    """On a busy machine the client may pause for longer than the server allows."""
    attempts = 0

    def work() -> int:
        nonlocal attempts
        attempts += 1
        with opened(postgres_url) as database, database.reading() as connection:
            if attempts == 1:
                pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
                connection.exec_driver_sql("SET idle_in_transaction_session_timeout = '1ms'")
                wait_until_ended(postgres_url, pid)
            return int(connection.exec_driver_sql("SELECT 1").scalar_one())

    assert Retry(60, lambda notice: None).call(work) == 1
    assert attempts == 2


def test_server_without_free_connections_is_retried(postgres_url: str) -> None:
    role = f"one_{uuid.uuid4().hex[:8]}"
    user_url = with_user(postgres_url, role)
    notices: list[RetryNotice] = []
    with opened(postgres_url) as admin, admin.transaction() as connection:
        connection.execute(sa.text(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0"))
    try:
        with pytest.raises(DatabaseUnreachable, match="too many connections"):
            open_database(user_url, retry=Retry(0.5, notices.append))
        assert notices
    finally:
        with opened(postgres_url) as admin, admin.transaction() as connection:
            connection.execute(sa.text(f"DROP ROLE {role}"))


def test_locked_sqlite_file_is_retried(sqlite_url: str) -> None:
    blocker = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with opened(sqlite_url) as database, database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        error = caught(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    blocker.close()
    assert classify(error) == "transient"


@pytest.mark.parametrize("text", ["account is locked", "database is locked", "readonly", "busy"])
def test_text_of_a_sqlite_trigger_does_not_decide(sqlite_url: str, text: str) -> None:
    with opened(sqlite_url) as database:
        with database.transaction() as connection:
            body = f"BEGIN SELECT RAISE(ABORT, '{text}'); END"
            connection.exec_driver_sql(f"CREATE TRIGGER t BEFORE INSERT ON workflow_status {body}")
        assert classify(caught(lambda: insert(database, spec()))) == "data"


@pytest.mark.parametrize("table", ["locked", "readonly", "busy"])
def test_name_of_a_sqlite_table_does_not_decide(sqlite_url: str, table: str) -> None:
    with opened(sqlite_url) as database, database.reading() as connection:
        error = caught(lambda: connection.exec_driver_sql(f"SELECT * FROM {table}"))
    assert classify(error) == "fatal"


def test_missing_table_is_not_retried(database_url: str) -> None:
    with opened(database_url) as database, database.reading() as connection:
        error = caught(lambda: connection.execute(sa.text("SELECT * FROM no_such_table")))
    assert classify(error) == "fatal"


def test_missing_privilege_is_not_retried(postgres_url: str) -> None:
    notices: list[RetryNotice] = []
    role = f"role_{uuid.uuid4().hex[:8]}"
    with opened(postgres_url) as database:
        with database.transaction() as connection:
            connection.execute(sa.text(f"CREATE ROLE {role}"))

        def read() -> None:
            with database.transaction() as connection:
                connection.execute(sa.text(f"SET LOCAL ROLE {role}"))
                connection.execute(sa.text("SELECT * FROM dbos.workflow_status"))

        with pytest.raises(DatabaseDenied, match="permission denied"):
            Retry(60, notices.append).call(read)
        with database.transaction() as connection:
            connection.execute(sa.text(f"DROP ROLE {role}"))
    assert notices == []


def test_retry_budget_counts_from_the_first_failure() -> None:
    """A long transaction that is cut at its end still has the whole budget."""
    attempts: list[int] = []

    def work() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            threading.Event().wait(0.6)
            raise sqlite3.OperationalError("database is locked")
        return "done"

    assert Retry(0.5, lambda notice: None).call(work) == "done"


def test_exhausted_budget_ends_with_one_message() -> None:
    def work() -> None:
        raise sqlite3.OperationalError("database is locked")

    notices: list[RetryNotice] = []
    with pytest.raises(DatabaseUnreachable, match="locked"):
        Retry(0.4, notices.append).call(work)
    assert notices
    assert [notice.attempt for notice in notices] == list(range(1, len(notices) + 1))


def test_description_of_an_error_contains_no_arguments(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        with database.transaction() as connection:
            connection.execute(
                sa.text("ALTER TABLE dbos.workflow_status ADD CONSTRAINT plain CHECK (priority < 9)")
            )
        error = caught(lambda: insert(database, spec(priority=9, authenticated_user="a private value")))
    assert "plain" in describe_error(error)
    assert "private" not in describe_error(error)
