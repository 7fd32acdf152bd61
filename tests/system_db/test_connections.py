"""Test locks, retries and logins on a real PostgreSQL server."""

from __future__ import annotations

import uuid
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from urls import with_user
from waiting import wait_until

from dbos_manifest.core.errors import DatabaseDenied, Refused, SchemaNotSupported
from dbos_manifest.files.lockfile_writer import LockfileWriter
from dbos_manifest.planning.results import RetryNotice
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.retry import Retry

ONCE = Retry(1, lambda notice: None)


def test_second_apply_of_a_manifest_waits_for_the_first(postgres_url: str) -> None:
    with open_database(postgres_url, retry=ONCE, lock_timeout_s=0) as database:
        with database.apply_locks(["jobs"]):
            with (
                pytest.raises(Refused, match="dbos-manifest apply jobs, process"),
                database.apply_locks(["jobs"]),
            ):
                pass
            with database.apply_locks(["others"]):
                pass
        database.lock_timeout_s = 60
        with database.apply_locks(["jobs"]):
            pass


def test_second_writer_of_a_lockfile_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "jobs.lock.jsonl"
    with LockfileWriter.locked(path, 0) as slot:
        with pytest.raises(Refused, match="another apply holds"), LockfileWriter.locked(path, 0):
            pass
        slot.replace(["one\n"])
    with LockfileWriter.locked(path, 0):
        pass
    assert [found.name for found in tmp_path.iterdir()] == ["jobs.lock.jsonl"]


def test_cut_connection_is_retried(postgres_url: str) -> None:
    notices: list[RetryNotice] = []
    attempts = []
    with open_database(postgres_url, retry=ONCE) as database:

        def work() -> int:
            attempts.append(1)
            with database.transaction() as connection:
                if len(attempts) == 1:
                    connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
                return int(connection.execute(sa.text("SELECT 7")).scalar_one())

        assert Retry(10, notices.append).call(work) == 7
    assert len(notices) == 1
    assert "terminating connection" in notices[0].reason


def test_wrong_password_is_not_retried(postgres_url: str) -> None:
    role = f"locked_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        row = connection.execute("SHOW hba_file").fetchone()
        assert row is not None
        rules = Path(row[0])
        if not rules.exists():
            pytest.skip("the server given by the environment is on another machine")
        before = rules.read_text()
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
        rules.write_text(f"local all {role} scram-sha-256\nhost all {role} all scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        try:
            url = with_user(postgres_url, role, "hunter2")
            wait_until(lambda: _is_refused(url))  # the server reloads its login rules asynchronously
            with pytest.raises(DatabaseDenied) as denied:
                open_database(url, retry=Retry(60, lambda notice: None))
            assert "password authentication failed" in denied.value.message
            assert "hunter2" not in f"{denied.value} {denied.value.__cause__} {denied.value.hint}"
        finally:
            rules.write_text(before)
            connection.execute("SELECT pg_reload_conf()")


def _is_refused(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return True
    return False


def test_unsupported_layouts_are_refused(postgres_url: str, sqlite_url: str) -> None:
    with pytest.raises(SchemaNotSupported, match="no DBOS tables in schema `other`"):
        open_database(postgres_url, schema="other", retry=ONCE)
    for url, statement, message in (
        (postgres_url, "ALTER TABLE dbos.workflow_status ADD shard_key text", "sharded"),
        (sqlite_url, "ALTER TABLE workflow_status DROP COLUMN serialization", "too old"),
    ):
        with open_database(url, retry=ONCE) as database, database.transaction() as connection:
            connection.execute(sa.text(statement))
        with pytest.raises(SchemaNotSupported, match=message):
            open_database(url, retry=ONCE)


def test_schema_name_may_have_quotes_and_capitals(postgres_url: str) -> None:
    with open_database(postgres_url, retry=ONCE) as database, database.transaction() as connection:
        connection.execute(sa.text('ALTER SCHEMA dbos RENAME TO "My ""odd"" schema"'))
    with open_database(postgres_url, schema='My "odd" schema', retry=ONCE) as database:
        assert database.layout.has_workflow_input
