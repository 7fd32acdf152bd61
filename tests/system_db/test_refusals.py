"""Test the errors of unusable databases: class, message and hint, without the password."""

from __future__ import annotations

import os
import socket
import tempfile
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from urls import with_user

from dbos_manifest.core.errors import (
    DatabaseDenied,
    DatabaseError,
    DatabaseUnreachable,
    ManifestToolError,
    SchemaNotSupported,
    UsageError,
)
from dbos_manifest.planning.results import RetryNotice
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.database import Database
from dbos_manifest.system_db.retry import Retry

SECRET = "hunter2"


def opened(url: str) -> Database:
    return open_database(url, retry=Retry(1, lambda notice: None))


def refusal(
    url: str, *, budget_s: float = 0.5, schema: str = "dbos", notices: list[RetryNotice] | None = None
) -> ManifestToolError:
    """Open the database and return the error, which must not contain the password."""
    with pytest.raises(ManifestToolError) as caught:
        open_database(url, schema=schema, retry=Retry(budget_s, ([] if notices is None else notices).append))
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    lines = [line for line in shown.splitlines() if not line.startswith("    ")]  # without source lines
    assert SECRET not in "\n".join([*lines, caught.value.message, str(caught.value.hint)])
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://u:hunter2@localhost/x",
        "postgresql://u:hunter2%zz@localhost/x",
        "postgresql://u:hunter2@[::1/x",
        "postgresql://u:hunter2@localhost/x?sslmod=require",
        "postgresql://u:hunter2/x@localhost/x",  # libpq reads host u, port hunter2
        "postgresql://u:12/hunter2@localhost/x",  # host u, port 12, database hunter2@…
        "postgresql://u:a@hunter2@localhost/x",  # host hunter2@localhost
        "postgresql://u:12/x?hunter2=1@localhost/x",  # parameter hunter2
        "postgresql://u:hunter2/x?foo=1@localhost/x",
        "postgresql://u:p@localhost/x?options=-c%20x=hunter2",
        "sqlite://",
        "sqlite:///",
    ],
)
def test_invalid_url_is_refused(url: str) -> None:
    assert isinstance(refusal(url), UsageError)


def test_unreachable_port_is_reported() -> None:
    with socket.socket() as unused:  # bound but not listening, so no other process can use the port
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = refusal(f"postgresql://u:{SECRET}@127.0.0.1:{port}/orders")
    assert isinstance(error, DatabaseUnreachable)
    assert "127.0.0.1" in error.message
    assert str(port) in error.message


def refused_at_once(url: str) -> ManifestToolError:
    """Return the error of a URL, and check that it is not retried."""
    notices: list[RetryNotice] = []
    error = refusal(url, budget_s=600, notices=notices)
    assert notices == []
    assert "check that it runs" not in str(error.hint)
    return error


@pytest.mark.parametrize("host", ["no-such-host.invalid", "two..dots", "l" * 64 + ".invalid"])
def test_unknown_host_is_named_and_not_retried(host: str) -> None:
    error = refused_at_once(f"postgresql://u:{SECRET}@{host}/orders")
    assert isinstance(error, DatabaseUnreachable)
    assert f"`{host}`" in error.message


def test_unknown_host_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "no-such-host.invalid")
    error = refused_at_once(f"postgresql://u:{SECRET}@/orders")
    assert "`no-such-host.invalid`" in error.message
    assert "PGHOST" in str(error.hint)


def test_unavailable_name_server_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*arguments: object, **named: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", away)
    notices: list[RetryNotice] = []
    error = refusal(f"postgresql://u:{SECRET}@db.internal/orders", notices=notices)
    assert isinstance(error, DatabaseUnreachable)
    assert notices


def test_missing_socket_is_retried(tmp_path: Path) -> None:
    notices: list[RetryNotice] = []
    error = refusal(f"postgresql://u:{SECRET}@/orders?host={tmp_path}", notices=notices)
    assert isinstance(error, DatabaseUnreachable)
    assert notices


REJECTED = [
    ("sslmode", "no-verify"),
    ("target_session_attrs", "primry"),
    ("channel_binding", "yes"),
    ("gssencmode", "on"),
    ("load_balance_hosts", "round"),
    ("require_auth", "passwort"),
    ("ssl_min_protocol_version", "9"),
    ("connect_timeout", "soon"),
    ("keepalives", "on"),
    ("keepalives_idle", "30s"),
    ("tcp_user_timeout", "1m"),
    ("port", "99999"),
    ("port", "0"),
    ("hostaddr", "999.1.1.1"),
    ("service", "no-such-service"),
]


@pytest.mark.parametrize(("name", "value"), REJECTED)
def test_parameter_that_libpq_rejects_is_named(name: str, value: str) -> None:
    """No server is needed, because libpq rejects the parameter first."""
    error = refused_at_once(f"postgresql://u:{SECRET}@127.0.0.1/orders?{name}={value}")
    assert isinstance(error, UsageError)
    assert f"`{name}`" in error.message
    assert value in error.message
    assert f"correct `{name}`" in str(error.hint)


@pytest.mark.parametrize(
    ("variable", "name", "value"), [("PGSSLMODE", "sslmode", "no-verify"), ("PGPORT", "port", "99999")]
)
def test_rejected_parameter_in_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, name: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    error = refused_at_once(f"postgresql://u:{SECRET}@127.0.0.1/orders")
    assert f"`{name}`" in error.message
    assert variable in str(error.hint)


@pytest.mark.parametrize(
    ("query", "message", "hint"),
    [
        ("pgbouncer=true", "unknown parameter `pgbouncer`", "remove it"),
        ("schema=dbos", "unknown parameter `schema`", "--schema"),
        ("sslmod=require", "unknown parameter `sslmod`", "did you mean `sslmode`?"),
        ("options=-c%20x=1", "the parameter `options`", "%3D"),
        ("sslmode", "the parameter `sslmode`", "sslmode=VALUE"),
    ],
)
def test_invalid_query_of_a_url_names_the_parameter(query: str, message: str, hint: str) -> None:
    error = refused_at_once(f"postgresql://u:{SECRET}@localhost/db?{query}")
    assert isinstance(error, UsageError)
    assert message in error.message
    assert hint in str(error.hint)


def test_no_pause_exceeds_the_retry_budget() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for budget_s in (0.3, 1.0, 1.7):
            notices: list[RetryNotice] = []
            refusal(f"postgresql://u@127.0.0.1:{port}/orders", budget_s=budget_s, notices=notices)
            assert notices
            assert sum(notice.wait_s for notice in notices) <= budget_s


def test_unknown_database_is_reported(postgres_url: str) -> None:
    error = refused_at_once(postgres_url.replace("/test_", "/no_such_"))
    assert isinstance(error, DatabaseDenied)
    assert "no_such_" in error.message


@pytest.fixture
def role(postgres_url: str) -> Iterator[str]:
    """Create a role that may only log in."""
    name = f"role_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
        yield name
        connection.execute(f"DROP OWNED BY {name}")
        connection.execute(f"DROP ROLE {name}")


def run_sql(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("way", ["no login", "no connect privilege"])
def test_refused_login_is_not_retried(postgres_url: str, role: str, way: str) -> None:
    database = conninfo_to_dict(postgres_url)["dbname"]
    if way == "no login":
        run_sql(postgres_url, f"ALTER ROLE {role} NOLOGIN")
    else:
        run_sql(postgres_url, f'REVOKE CONNECT ON DATABASE "{database}" FROM PUBLIC')
    notices: list[RetryNotice] = []
    with pytest.raises(DatabaseDenied):
        open_database(with_user(postgres_url, role), retry=Retry(5, notices.append))
    assert notices == []


def test_missing_sqlite_file_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite"
    error = refusal(f"sqlite:///{path}")
    assert isinstance(error, DatabaseError)
    assert str(path) in error.message
    assert not path.exists()


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes and no database, long enough to have a page" * 20)
    error = refusal(f"sqlite:///{path}")
    assert isinstance(error, DatabaseError)
    assert "not a database" in error.message


def test_database_without_dbos_tables_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite"
    path.touch()
    assert isinstance(refusal(f"sqlite:///{path}"), SchemaNotSupported)
    assert path.read_bytes() == b""


def test_message_about_an_empty_schema_names_schemas_with_dbos_tables(postgres_url: str) -> None:
    error = refusal(postgres_url, schema="other")
    assert isinstance(error, SchemaNotSupported)
    assert "`dbos`" in f"{error.message} {error.hint}"


@pytest.mark.parametrize("table", ["workflow_status", "workflow_input"])
def test_missing_insert_privilege_is_reported(postgres_url: str, role: str, table: str) -> None:
    run_sql(
        postgres_url,
        f"GRANT USAGE ON SCHEMA dbos TO {role}",
        f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA dbos TO {role}",
        f"REVOKE INSERT ON dbos.{table} FROM {role}",
    )
    with opened(with_user(postgres_url, role)) as database, pytest.raises(DatabaseDenied, match=table):
        database.check_writable()


def test_missing_schema_privilege_is_reported(postgres_url: str, role: str) -> None:
    with (
        opened(with_user(postgres_url, role)) as database,
        pytest.raises(DatabaseDenied, match="permission denied for schema"),
    ):
        database.check_writable()


def test_minimal_privileges_are_accepted(postgres_url: str, role: str) -> None:
    run_sql(
        postgres_url,
        f"GRANT USAGE ON SCHEMA dbos TO {role}",
        f"GRANT SELECT, INSERT ON dbos.workflow_status, dbos.workflow_input TO {role}",
    )
    with opened(with_user(postgres_url, role)) as database:
        database.check_writable()


def test_server_that_hides_its_identifier_is_accepted(postgres_url: str, role: str) -> None:
    run_sql(postgres_url, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    url = with_user(postgres_url, role)
    found = set()
    for _ in range(2):
        with opened(url) as database:
            found.add(database.fingerprint)
    assert len(found) == 1


def test_read_only_server_is_refused_for_writing(postgres_url: str) -> None:
    name = conninfo_to_dict(postgres_url)["dbname"]
    run_sql(postgres_url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with opened(postgres_url) as database, pytest.raises(DatabaseDenied, match="read-only"):
        database.check_writable()


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Run without the privileges of root, which ignores file modes."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o444, 0o777), (0o666, 0o555)])
def test_read_only_sqlite_file_is_refused_for_writing(
    sqlite_url: str, file_mode: int, folder_mode: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name) / "dbos.sqlite"
        path.write_bytes(Path(sqlite_url.removeprefix("sqlite:///")).read_bytes())
        path.chmod(file_mode)
        folder.chmod(folder_mode)
        with (
            ordinary_user(),
            opened(f"sqlite:///{path}") as database,
            pytest.raises(DatabaseDenied, match="read-only"),
        ):
            database.check_writable()
        folder.chmod(0o700)


def test_check_for_writing_does_not_change_the_database(database_url: str) -> None:
    with opened(database_url) as database:
        database.check_writable()
        with database.reading() as connection:
            count = connection.execute(sa.text(f"SELECT count(*) FROM {database.table('workflow_status')}"))
            assert count.scalar_one() == 0
