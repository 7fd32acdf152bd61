"""Test which step of a workflow is its last one."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from test_read import execute, opened

from dbos_manifest.planning.failure_digest import LastStep
from dbos_manifest.system_db.read_steps import read_last_steps

STEPS = [
    ("failed", 1, "read", None), ("failed", 2, "fetch", "'{}'"), ("failed", 3, "clean up", None),
    ("twice", 1, "read", "'x'"), ("twice", 2, "read again", "'y'"),
    ("after", 1, "read", None), ("after", 2, "fetch", "''"),
]  # fmt: skip


def test_the_last_failed_step_is_read_or_else_the_last_one(database_url: str) -> None:
    with opened(database_url) as database:
        table = database.table("operation_outputs")
        for workflow_id, number, name, error in STEPS:
            values = f"'{workflow_id}', {number}, '{name}', {error or 'NULL'}"
            columns = "workflow_uuid, function_id, function_name, error"
            execute(database, f"INSERT INTO {table} ({columns}) VALUES ({values})")
        with database.reading() as connection:
            found = read_last_steps(connection, database, ["failed", "twice", "after", "none"])
    assert found == {
        "failed": LastStep(2, "fetch", True),
        "twice": LastStep(2, "read again", True),
        "after": LastStep(2, "fetch", False),
    }


def test_the_right_to_read_outputs_is_not_needed(postgres_url: str) -> None:
    with opened(postgres_url) as database, database.reading() as connection:
        columns = "workflow_uuid, function_id, function_name, error"
        connection.execute(sa.text("CREATE ROLE reader_of_steps"))
        connection.execute(sa.text("GRANT USAGE ON SCHEMA dbos TO reader_of_steps"))
        connection.execute(sa.text(f"GRANT SELECT ({columns}) ON dbos.operation_outputs TO reader_of_steps"))
        connection.execute(sa.text("SET LOCAL ROLE reader_of_steps"))
        assert read_last_steps(connection, database, ["a"]) == {}
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            connection.execute(sa.text("SELECT output FROM dbos.operation_outputs"))
