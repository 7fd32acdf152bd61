"""A database URL in; out: an open `Database`, or one clear reason why not, without the password."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import psycopg
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ..errors import DatabaseDenied, DatabaseUnreachable, ManifestToolError, SchemaNotSupported
from .address import PostgresAddress, SqliteAddress, parse_url
from .layout import Layout, read_layout
from .retry import Retry, classify, describe_error, to_tool_error

APPLICATION_NAME = "dbos-manifest"
SQLITE_BUSY_TIMEOUT_MS = 5_000
_KEEPALIVES = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


@dataclass(frozen=True, slots=True)
class Database:
    """An open DBOS system database. A context manager that closes it."""

    engine: Engine
    layout: Layout
    fingerprint: str
    label: str  # host and database, or the file; never user or password

    @property
    def dialect(self) -> str:
        """`postgresql` or `sqlite`."""
        return self.engine.dialect.name

    @property
    def schema(self) -> str:
        return self.layout.schema

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that may write, committed after the block; on SQLite it has the write lock."""
        with self.engine.begin() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose every statement sees what is committed by then; it holds no locks."""
        with _reading(self.engine) as connection:
            yield connection

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.engine.dispose()


@contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        # SQLite connections are in autocommit anyway, see _open_sqlite
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        yield connection


def open_database(url: str, *, schema: str = "dbos", retry: Retry, connect_timeout_s: int = 10) -> Database:
    """Connect and look at the tables; the retry budget counts from now.

    Raises: UsageError for an unusable URL; DatabaseUnreachable; DatabaseDenied; SchemaNotSupported.
    """
    address = parse_url(url)
    translate: Callable[[DBAPIError], ManifestToolError]
    if isinstance(address, SqliteAddress):
        engine = _sqlite_engine(address)
        translate = partial(_sqlite_refusal, address)
    else:
        engine = _postgres_engine(address, connect_timeout_s)
        translate = partial(_postgres_refusal, address)
    try:
        layout, fingerprint = retry.call(
            lambda: _look(engine, address, schema), since_start=True, translate=translate
        )
    except BaseException:
        engine.dispose()
        raise
    return Database(engine, layout, fingerprint, address.label)


def _look(engine: Engine, address: PostgresAddress | SqliteAddress, schema: str) -> tuple[Layout, str]:
    with _reading(engine) as connection:
        layout = read_layout(connection, schema)
        if isinstance(address, SqliteAddress):
            return layout, _digest("sqlite", Path(address.path).name)
        return layout, _postgres_fingerprint(connection, schema)


def _postgres_engine(address: PostgresAddress, connect_timeout_s: int) -> Engine:
    parameters: dict[str, Any] = {
        "application_name": APPLICATION_NAME,
        "connect_timeout": connect_timeout_s,
        **_KEEPALIVES,
        **address.parameters,
        "client_encoding": "UTF8",
    }

    def connect() -> psycopg.Connection[Any]:
        # no prepared statements: poolers as PgBouncer may run the next one on another connection
        connection = psycopg.connect(**parameters, prepare_threshold=None)
        if connection.info.parameter_status("crdb_version"):
            connection.close()
            raise SchemaNotSupported("CockroachDB is not supported yet", "use PostgreSQL or SQLite")
        return connection

    return create_engine(
        "postgresql+psycopg://",
        creator=connect,  # psycopg reads the URL itself, so that libpq's rules hold
        isolation_level="READ COMMITTED",
        pool_size=1,
        max_overflow=2,
        pool_pre_ping=True,
        hide_parameters=True,
    )


def _sqlite_engine(address: SqliteAddress) -> Engine:
    return create_engine(
        "sqlite://", creator=partial(_open_sqlite, address.path), poolclass=NullPool, hide_parameters=True
    )


def _open_sqlite(path: str) -> sqlite3.Connection:
    file = Path(path)
    if not file.exists():
        raise DatabaseUnreachable(
            f"there is no SQLite file {path}",
            "check the path; the DBOS application makes the file when it starts",
        )
    if not file.is_file():
        raise SchemaNotSupported(f"{path} is not a file")
    # no isolation level: transactions begin and end where we say so
    connection = sqlite3.connect(
        f"file:{quote(str(file))}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _postgres_fingerprint(connection: Connection, schema: str) -> str:
    """Source: SPEC §5. pg_control_system() is open to every role unless a provider closed it; then the
    database's own number stands in, which a restored dump does not keep either."""
    database, number, readable = connection.execute(
        text(
            """
            SELECT current_database(), CAST(oid AS text),
                   has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
            FROM pg_catalog.pg_database WHERE datname = current_database()
            """
        )
    ).one()
    if readable:
        system = connection.scalar(
            text("SELECT CAST(system_identifier AS text) FROM pg_catalog.pg_control_system()")
        )
    else:
        system = f"database {number}"
    return _digest("postgresql", system, database, schema)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _postgres_refusal(address: PostgresAddress, error: DBAPIError) -> ManifestToolError:
    reason = describe_error(error)
    for secret in address.secrets:
        reason = reason.replace(secret, "***")
    if classify(error) == "transient":
        return DatabaseUnreachable(
            f"cannot reach the database {address.label}: {reason}",
            "check host and port, and that the server runs and can be reached from here",
        )
    if isinstance(error.orig, psycopg.Error) and error.orig.sqlstate:
        return to_tool_error(error)
    return DatabaseDenied(
        f"the database {address.label} refused the connection: {reason}",
        "check user, password, the name of the database and the TLS settings of the URL",
    )


def _sqlite_refusal(address: SqliteAddress, error: DBAPIError) -> ManifestToolError:
    found = to_tool_error(error)
    return type(found)(f"{address.label}: {found.message}", found.hint)


def check_writable(database: Database) -> None:
    """Make sure that rows could be inserted, without inserting one.

    Raises: DatabaseDenied for a read-only server or file, or a role that lacks a privilege.
    """
    try:
        if database.dialect == "sqlite":
            _check_sqlite_writable(database)
        else:
            _check_postgres_writable(database)
    except DBAPIError as error:
        raise to_tool_error(error) from error


def _check_sqlite_writable(database: Database) -> None:
    try:
        with database.engine.connect() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar()
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            # writes a page, so that the journal must be made; taken back with the connection
            connection.exec_driver_sql(f"PRAGMA user_version = {version}")
            connection.exec_driver_sql("ROLLBACK")
    except DBAPIError as error:
        if classify(error) != "transient":  # who is kept waiting by another writer may write
            raise


def _check_postgres_writable(database: Database) -> None:
    with database.reading() as connection:
        if connection.scalar(text("SELECT current_setting('transaction_read_only')")) == "on":
            raise DatabaseDenied(
                f"the database {database.label} is read-only",
                "use the primary server, not a replica, and a role without default_transaction_read_only",
            )
        tables = ["workflow_status", *(["workflow_input"] if database.layout.has_workflow_input else [])]
        rows = connection.execute(
            text(
                """
                SELECT class.relname, current_user,
                       has_schema_privilege(namespace.oid, 'USAGE')
                       AND (has_table_privilege(class.oid, 'INSERT')
                            OR has_any_column_privilege(class.oid, 'INSERT'))
                FROM pg_catalog.pg_class AS class
                JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
                WHERE namespace.nspname = :schema AND class.relname = ANY(CAST(:tables AS text[]))
                """
            ),
            {"schema": database.schema, "tables": tables},
        ).all()
    missing = sorted(table for table, _, allowed in rows if not allowed)
    if missing:
        role = rows[0][1]
        raise DatabaseDenied(
            f"the role `{role}` may not insert into {' and '.join(missing)} of schema `{database.schema}`",
            f"a role that may: GRANT INSERT ON those tables TO {role}, or `dbos migrate --app-role {role}`",
        )
