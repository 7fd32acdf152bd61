"""Test reading rows on every layout."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import sqlalchemy as sa
from dbos_tables import rows_of

from dbos_manifest.planning.rows import QueueRow
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.database import Database
from dbos_manifest.system_db.insert import insert_rows, prepare_rows
from dbos_manifest.system_db.new_rows import options_without_column
from dbos_manifest.system_db.preflight_facts import read_clock_ms, read_queues
from dbos_manifest.system_db.read import (
    read_deduplication_holders,
    read_live,
    read_shared_rows,
    read_snapshot,
    read_statuses,
)
from dbos_manifest.system_db.retry import Retry
from dbos_manifest.system_db.sqlite import SQLiteDatabase
from dbos_manifest.workflows.spec import WorkflowSpec

HARD = "a'b\"c\\d\te\nf\\N{},é😀\u202eשלום%s:x$1"


def opened(url: str) -> Database:
    return open_database(url, retry=Retry(1, lambda notice: None))


def insert(database: Database, *specs: WorkflowSpec) -> set[str]:
    rows = rows_of(*specs, first_ms=10)
    with database.transaction() as connection:
        return insert_rows(connection, database, prepare_rows(database, rows))


def execute(database: Database, statement: str, **parameters: Any) -> None:
    with database.transaction() as connection:
        connection.execute(sa.text(statement), parameters)


def test_every_option_is_read_as_it_was_written(database_url: str) -> None:
    spec = WorkflowSpec(
        HARD, "f", "q", [1, HARD], {"k": HARD}, class_name="C", instance_name="i", application="app",
        queue_partition_key="p", priority=3, timeout_ms=4, deadline_ms=5, not_before_ms=6,
        deduplication_id="d", application_version="v", authenticated_user="u",
        authenticated_roles=["r"], assumed_role="r",
    )  # fmt: skip
    with opened(database_url) as database:
        insert(database, spec)
        with database.reading() as connection:
            row = read_snapshot(connection, database, ["other", HARD])[HARD]
    assert json.loads(row.inputs or "") == {"positionalArgs": [1, HARD], "namedArgs": {"k": HARD}}
    assert {**row._asdict(), "inputs": None} == {
        "id": HARD, "status": "DELAYED", "workflow": "f", "class_name": "C", "instance_name": "i",
        "application": "app", "queue": "q", "queue_partition_key": "p", "deduplication_id": "d",
        "application_version": "v", "priority": 3, "timeout_ms": 4, "deadline_ms": 5, "delay_until_ms": 6,
        "authenticated_user": "u", "authenticated_roles": '["r"]', "assumed_role": "r",
        "serialization": "portable_json", "inputs": None, "schedule_name": None, "executor_id": None,
        "recovery_attempts": 0, "started": False, "touched": False, "created_at_ms": 10,
        "completed_at_ms": None, "creator_xid": "x",
    }  # fmt: skip


def test_more_ids_than_a_statement_has_parameters_can_be_read(database_url: str) -> None:
    ids = [f"w-{number}" for number in range(12_000)]
    with opened(database_url) as database:
        assert insert(database, *(WorkflowSpec(name, "f", "q", [], {}) for name in ids)) == set(ids)
        with database.reading() as connection:
            assert read_snapshot(connection, database, ids).keys() == set(ids)
            assert read_snapshot(connection, database, []) == {}


def test_results_are_read_from_both_layouts(database_url: str) -> None:
    with opened(database_url) as database:
        status, output = database.table("workflow_status"), database.table("workflow_output")
        insert(database, *(WorkflowSpec(name, "f", "q", [], {}) for name in ("new", "old", "queued")))
        execute(database, f"INSERT INTO {output} (workflow_uuid, output) VALUES ('new', '1')")
        execute(database, f"UPDATE {status} SET status='SUCCESS', completed_at=50 WHERE workflow_uuid='new'")
        # an older SDK writes results into workflow_status, without completed_at
        execute(
            database,
            f"UPDATE {status} SET status='ERROR', error='2', updated_at=60 WHERE workflow_uuid='old'",
        )
        with database.reading() as connection:
            rows = read_live(connection, database, ["new", "old", "queued"])
            assert read_statuses(connection, database, ["new", "old", "queued", "none"]) == {
                "new": ("SUCCESS", 50), "old": ("ERROR", 60), "queued": ("ENQUEUED", None),
            }  # fmt: skip
    assert (rows["new"].output, rows["new"].error) == ("1", None)
    assert (rows["old"].output, rows["old"].error) == (None, "2")


def test_holders_are_found_by_queue_and_id(database_url: str) -> None:
    with opened(database_url) as database:
        insert(
            database,
            WorkflowSpec("a", "f", "q1", [], {}, deduplication_id="d"),
            WorkflowSpec("b", "f", "q2", [], {}, deduplication_id="d"),
            WorkflowSpec("c", "f", "q3", [], {}, deduplication_id=HARD),
        )
        with database.reading() as connection:
            found = read_deduplication_holders(
                connection, database, [("q1", "d"), ("q3", HARD), ("q2", "none")]
            )
    assert found == {("q1", "d"): "a", ("q3", HARD): "c"}


@pytest.mark.parametrize(
    ("flag", "limit", "partitioned"),
    [(False, None, False), (True, 2, True), (True, None, None), (False, 2, None)],
)
def test_queue_is_partitioned_when_both_columns_agree(
    database_url: str, flag: bool, limit: int | None, partitioned: bool | None
) -> None:
    with opened(database_url) as database:
        execute(
            database,
            f"INSERT INTO {database.table('queues')} (queue_id, name, partition_queue, "
            "partition_concurrency, application_name, created_at, updated_at) "
            "VALUES ('1', 'q', :flag, :limit, 'app', 1, 1)",
            flag=flag,
            limit=limit,
        )
        with database.reading() as connection:
            assert read_queues(connection, database) == {"q": QueueRow("q", "app", partitioned)}


def test_clock_is_in_milliseconds(database_url: str) -> None:
    with opened(database_url) as database, database.reading() as connection:
        assert abs(read_clock_ms(connection, database) - time.time() * 1000) < 60_000


def test_older_layout_is_read_and_written(database_url: str) -> None:
    """Remove the payload tables and the columns for attributes, applications and creators."""
    with opened(database_url) as database:
        for table in ("workflow_input", "workflow_output", "queues"):
            execute(database, f"DROP TABLE {database.table(table)}")
        if isinstance(database, SQLiteDatabase):  # SQLite cannot drop an indexed column
            with database.reading() as connection:
                indexes = sa.text("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
                names = connection.execute(indexes).scalars().all()
            for name in names:
                execute(database, f'DROP INDEX "{name}"')
        for column in ("application_name", "attributes", "creator_xid", "completed_at", "schedule_name"):
            execute(database, f"ALTER TABLE {database.table('workflow_status')} DROP COLUMN {column}")
    with opened(database_url) as database:
        insert(database, WorkflowSpec("a", "f", "q", [1], {}))
        with database.reading() as connection:
            row = read_snapshot(connection, database, ["a"])["a"]
            assert json.loads(row.inputs or "")["positionalArgs"] == [1]
            assert (row.application, row.creator_xid, row.completed_at_ms) == (None, None, None)
            assert read_queues(connection, database) == {}
        lacking = [("application", "application"), ("attributes", "attributes"), ("schedule", "schedule")]
        assert options_without_column(database.layout) == lacking


def test_input_left_by_a_removed_workflow_is_ignored(database_url: str) -> None:
    """Retention removes the row first and its input later; in between the ID is free again."""
    with opened(database_url) as database:
        insert(database, WorkflowSpec("a", "f", "q", ["theirs"], {}))
        execute(database, f"DELETE FROM {database.table('workflow_status')}")
        assert insert(database, WorkflowSpec("a", "f", "q", ["ours"], {})) == {"a"}
        with database.reading() as connection:
            row = read_snapshot(connection, database, ["a"])["a"]
    assert json.loads(row.inputs or "")["positionalArgs"] == ["ours"]


def test_times_are_written_explicitly(database_url: str) -> None:
    with opened(database_url) as database:
        insert(database, WorkflowSpec("a", "f", "q", [], {}))
        with database.reading() as connection:
            status = database.table("workflow_status")
            times = connection.execute(sa.text(f"SELECT created_at, updated_at FROM {status}")).one()
            inputs = database.table("workflow_input")
            retention = connection.execute(sa.text(f"SELECT retention_timestamp FROM {inputs}")).scalar_one()
    assert (*times, retention) == (10, 10, 10)


def test_schema_name_may_have_a_percent_sign(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        execute(database, 'ALTER SCHEMA dbos RENAME TO "100%s"')
    with open_database(postgres_url, schema="100%s", retry=Retry(1, lambda notice: None)) as database:
        assert insert(database, WorkflowSpec("a", "f", "q", [], {})) == {"a"}


def test_shared_reads_return_the_same_rows(database_url: str) -> None:
    hard = ['a"b', "a\\b", "a,b", "{a}", " ", "a\nb", HARD]
    with opened(database_url) as database:
        insert(database, *(WorkflowSpec(key, "f", "q", [key], {}) for key in hard))
        insert(database, WorkflowSpec("other", "f", "q", [], {}, priority=3, not_before_ms=7))
        ids = [*hard, "other", "missing"]
        with database.reading() as connection:
            rows = read_snapshot(connection, database, ids)
            shared, created_at = read_shared_rows(connection, database, ids)
            assert read_shared_rows(connection, database, []) == ({}, 0)
    assert created_at == sum(row.created_at_ms for row in rows.values())
    assert len({id(row) for row in shared.values()}) == 2
    assert shared["other"].shared and not rows["other"].shared
    latest = max(rows[key].created_at_ms for key in hard)
    own = {"id": "", "inputs": None, "completed_at_ms": None, "creator_xid": None}
    expected = {
        key: row._replace(**own, created_at_ms=row.created_at_ms if key == "other" else latest)
        for key, row in rows.items()
    }
    assert shared == expected


def test_rows_are_read_with_the_index(postgres_url: str) -> None:
    """Without the index an apply would read a large table for each transaction."""
    ids = [f"w{number}" for number in range(4000)]
    with opened(postgres_url) as database:
        insert(database, *(WorkflowSpec(workflow_id, "f", "q", [], {}) for workflow_id in ids))
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE dbos.workflow_status, dbos.workflow_input"))

        def read_shared(connection: sa.Connection, database: Database, ids: list[str]) -> object:
            return read_shared_rows(connection, database, ids)[0]

        for read in (read_snapshot, read_shared, read_live, read_statuses):
            with database.reading() as connection:
                assert len(read(connection, database, ids[:2000])) == 2000
                scanned = connection.execute(
                    sa.text(
                        "SELECT relname, seq_scan FROM pg_stat_xact_user_tables "
                        "WHERE seq_scan > 0 AND relname LIKE 'workflow_%'"
                    )
                )
                assert scanned.all() == []
