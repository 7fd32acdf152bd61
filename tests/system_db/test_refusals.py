"""Everything that keeps a database from being used: its class, its words, and never the password."""

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
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.database import Database
from dbos_manifest.system_db.retry import Retry, RetryNotice

SECRET = "hunter2"


def opened(url: str) -> Database:
    return open_database(url, retry=Retry(1, lambda notice: None))


def refusal(
    url: str, *, budget_s: float = 0.5, schema: str = "dbos", notices: list[RetryNotice] | None = None
) -> ManifestToolError:
    """The error that opening the database ends in; nothing of it may hold the password."""
    with pytest.raises(ManifestToolError) as caught:
        open_database(url, schema=schema, retry=Retry(budget_s, ([] if notices is None else notices).append))
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    lines = [line for line in shown.splitlines() if not line.startswith("    ")]  # without the sources
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
def test_an_unusable_url(url: str) -> None:
    assert isinstance(refusal(url), UsageError)


def test_an_unreachable_port() -> None:
    with socket.socket() as unused:  # bound and not listening: nobody else can take the port
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = refusal(f"postgresql://u:{SECRET}@127.0.0.1:{port}/orders")
    assert isinstance(error, DatabaseUnreachable)
    assert "127.0.0.1" in error.message
    assert str(port) in error.message


def refused_at_once(url: str) -> ManifestToolError:
    """The error of a URL that is not tried twice, however large the budget is."""
    notices: list[RetryNotice] = []
    error = refusal(url, budget_s=600, notices=notices)
    assert notices == []
    assert "check that it runs" not in str(error.hint)
    return error


@pytest.mark.parametrize("host", ["no-such-host.invalid", "two..dots", "l" * 64 + ".invalid"])
def test_an_unknown_host_is_named_and_not_tried_again(host: str) -> None:
    error = refused_at_once(f"postgresql://u:{SECRET}@{host}/orders")
    assert isinstance(error, DatabaseUnreachable)
    assert f"`{host}`" in error.message


def test_an_unknown_host_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "no-such-host.invalid")
    error = refused_at_once(f"postgresql://u:{SECRET}@/orders")
    assert "`no-such-host.invalid`" in error.message
    assert "PGHOST" in str(error.hint)


def test_a_name_server_that_is_away_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*arguments: object, **named: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", away)
    notices: list[RetryNotice] = []
    error = refusal(f"postgresql://u:{SECRET}@db.internal/orders", notices=notices)
    assert isinstance(error, DatabaseUnreachable)
    assert notices


def test_a_socket_that_is_not_there_yet_is_tried_again(tmp_path: Path) -> None:
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
def test_a_parameter_that_libpq_rejects(name: str, value: str) -> None:
    """It needs no server: libpq never gets that far."""
    error = refused_at_once(f"postgresql://u:{SECRET}@127.0.0.1/orders?{name}={value}")
    assert isinstance(error, UsageError)
    assert f"`{name}`" in error.message
    assert value in error.message
    assert f"correct `{name}`" in str(error.hint)


@pytest.mark.parametrize(
    ("variable", "name", "value"), [("PGSSLMODE", "sslmode", "no-verify"), ("PGPORT", "port", "99999")]
)
def test_a_rejected_parameter_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, name: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    error = refused_at_once(f"postgresql://u:{SECRET}@127.0.0.1/orders")
    assert f"`{name}`" in error.message
    assert variable in str(error.hint)


@pytest.mark.parametrize(
    ("query", "message", "hint"),
    [
        ("pgbouncer=true", "unknown parameter `pgbouncer`", "leave it out"),
        ("schema=dbos", "unknown parameter `schema`", "--schema"),
        ("sslmod=require", "unknown parameter `sslmod`", "did you mean `sslmode`?"),
        ("options=-c%20x=1", "the parameter `options`", "%3D"),
        ("sslmode", "the parameter `sslmode`", "sslmode=VALUE"),
    ],
)
def test_a_query_that_cannot_be_read_names_the_parameter(query: str, message: str, hint: str) -> None:
    error = refused_at_once(f"postgresql://u:{SECRET}@localhost/db?{query}")
    assert isinstance(error, UsageError)
    assert message in error.message
    assert hint in str(error.hint)


def test_a_bare_slash_and_question_mark_in_the_password() -> None:
    """libpq reads the rest of such a password as a parameter, and quotes its value."""
    for name in ("sslmode", "connect_timeout", "service"):
        error = refused_at_once(f"postgresql://127.0.0.1:12/s?{name}={SECRET}@host/db")
        assert f"`{name}`" in error.message
        assert "%3F" in str(error.hint)


def test_no_pause_goes_beyond_the_end_of_the_budget() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for budget_s in (0.3, 1.0, 1.7):
            notices: list[RetryNotice] = []
            refusal(f"postgresql://u@127.0.0.1:{port}/orders", budget_s=budget_s, notices=notices)
            assert notices
            assert sum(notice.wait_s for notice in notices) <= budget_s


def test_an_unknown_database(postgres_url: str) -> None:
    error = refused_at_once(postgres_url.replace("/test_", "/no_such_"))
    assert isinstance(error, DatabaseDenied)
    assert "no_such_" in error.message


@pytest.fixture
def role(postgres_url: str) -> Iterator[str]:
    """A role of the test's own that may log in and nothing else."""
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
def test_a_refused_login_is_not_tried_again(postgres_url: str, role: str, way: str) -> None:
    database = conninfo_to_dict(postgres_url)["dbname"]
    if way == "no login":
        run_sql(postgres_url, f"ALTER ROLE {role} NOLOGIN")
    else:
        run_sql(postgres_url, f'REVOKE CONNECT ON DATABASE "{database}" FROM PUBLIC')
    notices: list[RetryNotice] = []
    with pytest.raises(DatabaseDenied):
        open_database(with_user(postgres_url, role), retry=Retry(5, notices.append))
    assert notices == []


def test_a_missing_sqlite_file_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite"
    error = refusal(f"sqlite:///{path}")
    assert isinstance(error, DatabaseError)
    assert str(path) in error.message
    assert not path.exists()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes and no database, long enough to be looked at" * 20)
    error = refusal(f"sqlite:///{path}")
    assert isinstance(error, DatabaseError)
    assert "not a database" in error.message


def test_a_database_without_dbos_tables(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite"
    path.touch()
    assert isinstance(refusal(f"sqlite:///{path}"), SchemaNotSupported)
    assert path.read_bytes() == b""


def test_a_schema_without_dbos_tables_names_those_with(postgres_url: str) -> None:
    error = refusal(postgres_url, schema="other")
    assert isinstance(error, SchemaNotSupported)
    assert "`dbos`" in f"{error.message} {error.hint}"


@pytest.mark.parametrize("table", ["workflow_status", "workflow_input"])
def test_no_insert_privilege(postgres_url: str, role: str, table: str) -> None:
    run_sql(
        postgres_url,
        f"GRANT USAGE ON SCHEMA dbos TO {role}",
        f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA dbos TO {role}",
        f"REVOKE INSERT ON dbos.{table} FROM {role}",
    )
    with opened(with_user(postgres_url, role)) as database, pytest.raises(DatabaseDenied, match=table):
        database.check_writable()


def test_no_privilege_on_the_schema(postgres_url: str, role: str) -> None:
    with (
        opened(with_user(postgres_url, role)) as database,
        pytest.raises(DatabaseDenied, match="permission denied for schema"),
    ):
        database.check_writable()


def test_just_enough_privileges(postgres_url: str, role: str) -> None:
    run_sql(
        postgres_url,
        f"GRANT USAGE ON SCHEMA dbos TO {role}",
        f"GRANT SELECT, INSERT ON dbos.workflow_status, dbos.workflow_input TO {role}",
    )
    with opened(with_user(postgres_url, role)) as database:
        database.check_writable()


def test_a_server_that_hides_its_identifier(postgres_url: str, role: str) -> None:
    run_sql(postgres_url, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    url = with_user(postgres_url, role)
    found = set()
    for _ in range(2):
        with opened(url) as database:
            found.add(database.fingerprint)
    assert len(found) == 1


def test_a_read_only_server(postgres_url: str) -> None:
    name = conninfo_to_dict(postgres_url)["dbname"]
    run_sql(postgres_url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with opened(postgres_url) as database, pytest.raises(DatabaseDenied, match="read-only"):
        database.check_writable()


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Without root's privileges, which no file mode stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o444, 0o777), (0o666, 0o555)])
def test_a_read_only_sqlite_file(sqlite_url: str, file_mode: int, folder_mode: int) -> None:
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


def test_a_writable_database_is_left_as_it_was(database_url: str) -> None:
    with opened(database_url) as database:
        database.check_writable()
        with database.reading() as connection:
            count = connection.execute(sa.text(f"SELECT count(*) FROM {database.table('workflow_status')}"))
            assert count.scalar_one() == 0
