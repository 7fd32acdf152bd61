"""A database URL in, an open DBOS system database out, its layout known; no secret in any message."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ..core.errors import DatabaseDenied, DatabaseUnreachable, UsageError
from ..lockfile.fingerprint import NONE, UNKNOWN, make_part
from .address import connect, read_url
from .layout import Layout, read_layout
from .retry import Retry

P = ParamSpec("P")
Result = TypeVar("Result")
FIRST_CONNECTION_BUDGET_S = 10.0
CONNECT_TIMEOUT_S = 10
BUSY_TIMEOUT_MS = 30_000
# a peer that has gone silently is found out within a minute, not after the system's two hours
KEEPALIVES = {
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


class Database:
    """An open system database. Every piece of work is a transaction of its own."""

    def __init__(self, engine: Engine, schema: str, label: str, retry: Retry) -> None:
        self.engine = engine
        self.retry = retry
        self.dialect = "sqlite" if engine.dialect.name == "sqlite" else "postgresql"
        self.schema = schema
        self.label = label  # for messages: never a user or password
        self.layout: Layout
        self.fingerprint: str
        self.connect_words: dict[str, str] = {}
        self._open: set[Any] = set()  # the driver's connections that are in use

    @property
    def description(self) -> str:
        """Name the database for a person: `app on db.example:5432, schema dbos`."""
        return f"{self.label}, schema {self.schema}" if self.schema else self.label

    def table(self, name: str) -> str:
        """A DBOS table's name, quoted, for a statement."""
        if self.dialect == "sqlite":
            return name
        schema = self.schema.replace('"', '""')
        return f'"{schema}"."{name}"'

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """For writing: committed at the end, rolled back by an exception. On SQLite the only writer."""
        with self.reading() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """For reading: takes no write lock."""
        with self.engine.connect() as connection:
            driver = connection.connection.driver_connection
            self._open.add(driver)
            try:
                yield connection
            finally:
                self._open.discard(driver)

    def read(
        self,
        function: Callable[Concatenate[Connection, Database, P], Result],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Result:
        """Return `function(connection, database, …)` of a reading connection; transient errors are retried.

        Raises: like `call`.
        """

        def attempt() -> Result:
            with self.reading() as connection:
                return function(connection, self, *args, **kwargs)

        return self.call(attempt)

    def call(self, attempt: Callable[[], Result]) -> Result:
        """Call a function that opens its own transactions, again after each transient error.

        Raises: DatabaseUnreachable, DatabaseDenied, DatabaseError; the driver's error for rejected rows.
        """
        return self.retry.call(attempt)

    def cancel(self) -> None:
        """From another thread: end the statements that are running, with an error where they were called."""
        for driver in [*self._open]:
            if isinstance(driver, sqlite3.Connection):
                driver.interrupt()
            else:
                driver.cancel()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.dispose()


def open_database(url: str, *, schema: str = "dbos", retry: Retry) -> Database:
    """Connect and find the layout; `retry` is also for all later work.

    Raises: UsageError for an unusable URL, DatabaseUnreachable, DatabaseDenied, SchemaNotSupported.
    """
    scheme, _, rest = url.partition(":")
    kind = scheme.partition("+")[0]
    if kind == "sqlite":
        database = _open_sqlite(rest, retry)
    elif kind in ("postgresql", "postgres"):
        database = _open_postgresql(f"postgresql:{rest}", schema, retry)
    else:
        raise UsageError(
            "the database URL is neither PostgreSQL nor SQLite",
            "write postgresql://user@host/database or sqlite:///path/to/file.sqlite",
        )
    try:
        first = replace(retry, budget_s=min(FIRST_CONNECTION_BUDGET_S, retry.budget_s))
        first.call(lambda: _look_around(database), since_start=True)
    except BaseException:
        database.engine.dispose()
        raise
    return database


def _look_around(database: Database) -> None:
    with database.reading() as connection:
        database.layout = read_layout(connection, database.schema)
        database.fingerprint = _fingerprint(connection, database)


def _read_sqlite_url(rest: str) -> tuple[str, Path]:
    # sqlite:///relative, sqlite:////absolute (SQLAlchemy's form) and sqlite:/absolute (Go's)
    name = rest.partition("?")[0]
    return name, Path(name[3:] if name.startswith("///") else name)


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite database; None for another kind of URL."""
    scheme, _, rest = url.partition(":")
    name, path = _read_sqlite_url(rest)
    return path if scheme.partition("+")[0] == "sqlite" and name.strip("/") else None


def _open_sqlite(rest: str, retry: Retry) -> Database:
    name, path = _read_sqlite_url(rest)
    if not name.strip("/") or (name.startswith("//") and not name.startswith("///")):
        raise UsageError("the SQLite URL names no file", "write sqlite:///path/to/file.sqlite")
    if not path.is_file():
        raise DatabaseUnreachable(
            f"there is no SQLite database {path}", "start the DBOS application once; it is never created here"
        )

    def connect() -> sqlite3.Connection:
        uri = f"{path.resolve().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
        # SQLite stores any bytes as text: those that are not UTF-8 are read with their codes written out
        connection.text_factory = lambda stored: stored.decode("utf-8", "backslashreplace")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys=ON")

    return Database(engine, "", str(path), retry)


def _open_postgresql(url: str, schema: str, retry: Retry) -> Database:
    words = read_url(url)
    words.setdefault("connect_timeout", str(CONNECT_TIMEOUT_S))
    for key, value in KEEPALIVES.items():
        words.setdefault(key, value)
    words.setdefault("application_name", "dbos-manifest")
    words["client_encoding"] = "UTF8"

    engine = create_engine(
        "postgresql+psycopg://",
        creator=partial(connect, url, words),
        pool_size=2,
        pool_pre_ping=False,
        hide_parameters=True,
    )
    host = f"{words.get('host', 'localhost')}:{words.get('port', '5432')}"
    database = Database(engine, schema, f"{words.get('dbname', '?')} on {host}", retry)
    database.connect_words = words
    return database


def _fingerprint(connection: Connection, database: Database) -> str:
    """Identify the database, whatever host, user, password and path lead to it.

    Source: SPEC §5.
    """
    if database.dialect == "sqlite":
        number = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        mark = make_part(number) if number else NONE
        return f"{make_part('sqlite', Path(database.label).name)}.{mark}"
    found = connection.execute(
        text(
            "SELECT d.datname, d.oid, c.oid AS table_oid, "
            "has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS is_open "
            "FROM pg_catalog.pg_database d, pg_catalog.pg_class c "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE d.datname = current_database() AND n.nspname = :schema AND c.relname = 'workflow_status'"
        ),
        {"schema": database.schema},
    ).one()
    place = make_part("postgresql", found.datname, found.oid, database.schema, found.table_oid)
    server = UNKNOWN
    if found.is_open:  # a provider may close the function
        identifier = text("SELECT system_identifier FROM pg_catalog.pg_control_system()")
        server = make_part(connection.execute(identifier).scalar_one())
    return f"{place}.{server}.{_read_first_version(connection, database)}"


def _read_first_version(connection: Connection, database: Database) -> str:
    """Hash the random ID of the first application version that a worker registered.

    Two databases never share it, unless one is a copy of the other; any role with the rights of an enqueuer
    reads it, and DBOS never deletes it.
    """
    if not database.layout.columns.get("application_versions", frozenset()) >= {"version_id", "created_at"}:
        return UNKNOWN
    table = database.table("application_versions")
    may_read = text(  # by number: a name is not even looked up without a privilege on the schema
        "SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = :schema AND c.relname = 'application_versions'"
    )
    if not connection.execute(may_read, {"schema": database.schema}).scalar_one():
        return UNKNOWN
    first = connection.execute(
        text(f"SELECT version_id FROM {table} ORDER BY created_at, version_id LIMIT 1")
    ).scalar()
    return NONE if first is None else make_part(first)


def mark_database(database: Database, number: int) -> None:
    """Give a SQLite file its identity, unless it has one, and update the fingerprint.

    Two migrated files of one name differ in nothing that survives a move or a copy into another checkout. So
    the `application_id` of the file's header, which DBOS leaves at 0, gets a random number.
    """
    if database.dialect == "postgresql":
        return
    try:
        with database.transaction() as connection:
            if not connection.exec_driver_sql("PRAGMA application_id").scalar_one():
                connection.exec_driver_sql(f"PRAGMA application_id = {number}")
    except DBAPIError as error:
        if "readonly" not in str(error):
            raise
        return  # `lock rebuild` and `lock rebind` need no right to write; a part stays unknown
    with database.reading() as connection:
        database.fingerprint = _fingerprint(connection, database)


def check_writable(database: Database) -> None:
    """Make sure, before anything is compared, that rows could be inserted.

    Raises: DatabaseDenied with the reason.
    """
    hint = "apply needs SELECT and INSERT on workflow_status and workflow_input"
    if database.dialect == "sqlite":
        path = Path(database.label)
        try:
            with database.transaction() as connection:
                # the same value: a page to write, so that the journal must be made, and nothing changed
                version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
                connection.exec_driver_sql(f"PRAGMA user_version = {version}")
                connection.rollback()
        except Exception as error:
            if "readonly" in str(error):
                raise DatabaseDenied(
                    f"the SQLite database {path} is read-only", "make file and folder writable"
                ) from error
            raise
        return
    with database.reading() as connection:
        if connection.execute(text("SHOW transaction_read_only")).scalar_one() == "on":
            raise DatabaseDenied(
                f"the database {database.label} is read-only", "name the primary server, not a replica"
            )
        for table in ("workflow_status", "workflow_input"):
            if table not in database.layout.columns:
                continue
            for privilege in ("SELECT", "INSERT"):
                allowed = connection.execute(
                    text("SELECT has_table_privilege(:table, :privilege)"),
                    {"table": database.table(table), "privilege": privilege},
                ).scalar_one()
                if not allowed:
                    raise DatabaseDenied(f"the database role has no {privilege} privilege on {table}", hint)
