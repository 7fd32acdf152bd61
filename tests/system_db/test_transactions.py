"""Test how writing transactions begin, and how a COMMIT without a reply is resolved."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from dbos_tables import rows_of

from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.database import Database
from dbos_manifest.system_db.insert import RowsRejected, insert_rows, prepare_rows
from dbos_manifest.system_db.retry import Retry
from dbos_manifest.system_db.sqlite import SQLiteDatabase
from dbos_manifest.system_db.transactions import InDoubtTransaction, read_outcome
from dbos_manifest.workflows.spec import WorkflowSpec

ONCE = Retry(1, lambda notice: None)
IDS = ("a", "b", "c")
SPECS = [WorkflowSpec(workflow_id, "f", "q", [1], {}) for workflow_id in IDS]


@contextmanager
def opened(url: str) -> Iterator[Database]:
    with open_database(url, retry=ONCE) as database:
        yield database


def insert(connection: sa.Connection, database: Database) -> list[tuple[str, int]]:
    rows = rows_of(*SPECS)
    insert_rows(connection, database, prepare_rows(database, rows))
    return [*zip(IDS, rows.columns["created_at"], strict=True)]


def execute(database: Database, *statements: str) -> None:
    with database.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def delete_rows(database: Database) -> None:
    for table in ("workflow_input", "workflow_status"):
        execute(database, f"DELETE FROM {database.table(table)}")


def test_committed_transaction_is_recognized_by_its_rows_or_number(database_url: str) -> None:
    with opened(database_url) as database:
        with database.transaction() as connection:
            number = database.begin_write(connection, "m").transaction_id
            rows = insert(connection, database)
        with database.reading() as connection:
            assert read_outcome(connection, database, InDoubtTransaction(number, rows)) == "committed"
            assert read_outcome(connection, database, InDoubtTransaction(None, rows)) == "committed"
        delete_rows(database)
        gone = "unknown" if isinstance(database, SQLiteDatabase) else "committed"
        with database.reading() as connection:
            assert read_outcome(connection, database, InDoubtTransaction(number, rows)) == gone
            assert read_outcome(connection, database, InDoubtTransaction(None, rows)) == "unknown"


def test_rolled_back_transaction_is_recognized(database_url: str) -> None:
    with opened(database_url) as database:
        with database.reading() as connection:
            if isinstance(database, SQLiteDatabase):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            number = database.begin_write(connection, "m").transaction_id
            rows = insert(connection, database)
            connection.rollback()
        with database.reading() as connection:
            assert read_outcome(connection, database, InDoubtTransaction(number, rows)) == "aborted"
            assert read_outcome(connection, database, InDoubtTransaction(None, rows)) == "unknown"


def test_rows_of_another_writer_do_not_resolve_a_transaction(database_url: str) -> None:
    with opened(database_url) as database:
        with database.transaction() as connection:
            rows = insert(connection, database)
        with database.reading() as connection:
            others = [(workflow_id, at + 1) for workflow_id, at in rows]
            assert read_outcome(connection, database, InDoubtTransaction(None, others)) == "unknown"


def test_running_transaction_is_waited_for(postgres_url: str) -> None:
    fates = []
    with opened(postgres_url) as database:

        def wait() -> None:
            with database.transaction() as connection:
                fates.append(read_outcome(connection, database, InDoubtTransaction(number, []), wait_for="m"))

        waiting = threading.Thread(target=wait)
        with database.transaction() as connection:
            number = database.begin_write(connection, "m").transaction_id
            with database.reading() as other:
                assert read_outcome(other, database, InDoubtTransaction(number, [])) == "running"
            waiting.start()
        waiting.join()
    assert fates == ["committed"]


@pytest.mark.parametrize(("number", "fate"), [("99999999999@1", "aborted"), ("3@1", "unknown")])
def test_future_transaction_number_is_aborted_and_very_old_one_is_unknown(
    postgres_url: str, number: str, fate: str
) -> None:
    """A future number belongs to a transaction that a crash undid; the server forgets very old numbers."""
    with opened(postgres_url) as database, database.reading() as connection:
        assert read_outcome(connection, database, InDoubtTransaction(number, [])) == fate
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_transaction_number_may_be_reused_after_a_restart(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        with database.transaction() as connection:
            number = database.begin_write(connection, "m").transaction_id
            rows = insert(connection, database)
        assert number is not None
        before = number.partition("@")[0] + "@1"
        with database.reading() as connection:
            assert read_outcome(connection, database, InDoubtTransaction(before, rows)) == "committed"
        delete_rows(database)
        with database.reading() as connection:
            assert read_outcome(connection, database, InDoubtTransaction(before, rows)) == "unknown"
            assert read_outcome(connection, database, InDoubtTransaction(number, rows)) == "committed"


def test_reused_transaction_number_is_not_waited_for(postgres_url: str) -> None:
    with opened(postgres_url) as database, database.transaction() as connection:
        number = database.begin_write(connection, "another").transaction_id
        with database.reading() as other:
            assert read_outcome(other, database, InDoubtTransaction(number, []), wait_for="m") == "aborted"


def test_complete_earlier_rows_on_sqlite_prove_that_none_was_removed(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        with database.transaction() as connection:
            earlier = insert(connection, database)
        doubt = InDoubtTransaction("1", [("z", 1)], earlier)
        with database.reading() as connection:
            assert read_outcome(connection, database, doubt) == "unknown"  # no workflow has ended
        execute(database, "UPDATE workflow_status SET status = 'SUCCESS' WHERE workflow_uuid = 'b'")
        with database.reading() as connection:
            assert read_outcome(connection, database, doubt) == "aborted"
        execute(database, "DELETE FROM workflow_status WHERE workflow_uuid = 'a'")
        with database.reading() as connection:
            assert read_outcome(connection, database, doubt) == "unknown"


def test_sqlite_in_wal_mode_is_resolved_by_rows_only(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        with sqlite3.connect(database.label) as connection:
            connection.execute("PRAGMA journal_mode = wal")
        with database.transaction() as writing:
            assert database.begin_write(writing, "m").transaction_id is None


def test_reading_the_change_counter_keeps_the_locks_of_sqlite(sqlite_url: str) -> None:
    with opened(sqlite_url) as database, database.transaction() as connection:
        assert database.begin_write(connection, "m").transaction_id is not None
        other = sqlite3.connect(database.label, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


@pytest.mark.parametrize(
    ("given", "used"),
    [("off", "on"), ("local", "on"), ("remote_write", "on"), ("on", "on"), ("remote_apply", "remote_apply")],
)
def test_commit_is_synchronous_even_if_the_database_setting_is_off(
    postgres_url: str, given: str, used: str
) -> None:
    with opened(postgres_url) as database:
        with database.transaction() as connection:
            name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = {given}')
        database.engine.dispose()  # new sessions use the setting
        with database.transaction() as connection:
            database.begin_write(connection, "m")
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == used
        with database.reading() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == given


POSTGRESQL_TRIGGERS = {
    "dropped": ("BEFORE", "workflow_status", "IF NEW.workflow_uuid = 'b' THEN RETURN NULL; END IF;"),
    "renamed": (
        "BEFORE",
        "workflow_status",
        "IF NEW.workflow_uuid = 'b' THEN NEW.workflow_uuid = 'x-b'; END IF;",
    ),
    "deleted": (
        "AFTER",
        "workflow_status",
        "DELETE FROM dbos.workflow_status WHERE workflow_uuid = 'b' AND NEW.workflow_uuid = 'c';",
    ),
    "inputs dropped": ("BEFORE", "workflow_input", "IF NEW.workflow_uuid = 'b' THEN RETURN NULL; END IF;"),
    "inputs renamed": (
        "BEFORE",
        "workflow_input",
        "IF NEW.workflow_uuid = 'b' THEN NEW.workflow_uuid = 'x-b'; END IF;",
    ),
}
SQLITE_TRIGGERS = {
    "dropped": "BEFORE INSERT ON workflow_status WHEN NEW.workflow_uuid = 'b' BEGIN "
    "SELECT RAISE(IGNORE); END",
    "renamed": "AFTER INSERT ON workflow_status WHEN NEW.workflow_uuid = 'b' BEGIN "
    "UPDATE workflow_status SET workflow_uuid = 'x-b' WHERE workflow_uuid = 'b'; END",
    "inputs dropped": "BEFORE INSERT ON workflow_input WHEN NEW.workflow_uuid = 'b' BEGIN "
    "SELECT RAISE(IGNORE); END",
}


def create_trigger(database: Database, when: str, table: str, body: str) -> None:
    begin, end = "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ", " RETURN NEW; END $$"
    event = f"{when} INSERT ON dbos.{table} FOR EACH ROW EXECUTE FUNCTION t()"
    execute(database, f"{begin}{body}{end}", f"CREATE TRIGGER t {event}")


def assert_b_is_rejected(database: Database, *, there_before: tuple[str, ...]) -> None:
    if there_before:
        specs = [spec for spec in SPECS if spec.id in there_before]
        with database.transaction() as connection:
            insert_rows(connection, database, prepare_rows(database, rows_of(*specs)))
    with database.transaction() as connection:
        has_triggers = database.begin_write(connection, "m").has_triggers
        assert has_triggers
        with pytest.raises(RowsRejected) as found, connection.begin_nested():
            prepared = prepare_rows(database, rows_of(*SPECS))
            insert_rows(connection, database, prepared, has_triggers=has_triggers)
    assert found.value.ids == {"b"}


@pytest.mark.parametrize("there_before", [(), ("a",)], ids=["copy", "row by row"])
@pytest.mark.parametrize("name", POSTGRESQL_TRIGGERS)
def test_row_dropped_by_a_trigger_is_named(
    postgres_url: str, name: str, there_before: tuple[str, ...]
) -> None:
    when, table, body = POSTGRESQL_TRIGGERS[name]
    with opened(postgres_url) as database:
        create_trigger(database, when, table, body)
        assert_b_is_rejected(database, there_before=there_before)


@pytest.mark.parametrize("there_before", [(), ("a",)])
@pytest.mark.parametrize("name", SQLITE_TRIGGERS)
def test_row_dropped_by_a_trigger_on_sqlite_is_named(
    sqlite_url: str, name: str, there_before: tuple[str, ...]
) -> None:
    with opened(sqlite_url) as database:
        execute(database, f"CREATE TRIGGER t {SQLITE_TRIGGERS[name]}")
        assert_b_is_rejected(database, there_before=there_before)


def test_dropped_row_is_found_without_a_known_trigger(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        when, table, body = POSTGRESQL_TRIGGERS["dropped"]
        create_trigger(database, when, table, body)
        with database.transaction() as connection, pytest.raises(RowsRejected), connection.begin_nested():
            insert_rows(connection, database, prepare_rows(database, rows_of(*SPECS)))


def test_trigger_that_keeps_all_rows_is_accepted(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        create_trigger(database, "AFTER", "workflow_status", "")
        with database.transaction() as connection:
            assert database.begin_write(connection, "m").has_triggers
            prepared = prepare_rows(database, rows_of(*SPECS))
            assert insert_rows(connection, database, prepared, has_triggers=True) == set(IDS)
