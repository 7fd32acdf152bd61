"""A system database in a SQLite file."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ..core.errors import DatabaseDenied, DatabaseUnreachable, Refused, SchemaNotSupported, UsageError
from ..core.units import MAX_TIMESTAMP, MIN_TIMESTAMP
from ..lockfile.fingerprint import NONE, make_part
from . import sqlite_insert
from .database import Database, Parameters, Result, Server, WriteTransaction
from .layout import TABLES
from .new_rows import PreparedRows
from .retry import Retry, classify, is_read_only

_CHANGE_COUNTER = (4, 24)  # bytes and offset in the file's header


def sqlite_path(url: str) -> Path | None:
    """Return the file of a SQLite URL; None for another kind of URL."""
    scheme, _, rest = url.partition(":")
    name, path = _read_url(rest)
    return path if scheme.partition("+")[0] == "sqlite" and name.strip("/") else None


def _read_url(rest: str) -> tuple[str, Path]:
    # sqlite:///relative, sqlite:////absolute (SQLAlchemy's form) and sqlite:/absolute (Go's)
    name = rest.partition("?")[0]
    return name, Path(name[3:] if name.startswith("///") else name)


class SQLiteDatabase(Database):
    """A SQLite file. A transaction for writing is the only writer, so no other lock is needed."""

    default_transaction_size = 1_000
    reads_in_thread = False  # the driver takes and releases Python's lock for each row
    clock_ms = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    array_agg = "json_group_array"
    in_list = "IN (SELECT value FROM json_each(:ids))"

    def __init__(self, rest: str, retry: Retry) -> None:
        """Prepare for the URL `sqlite:` + rest.

        Raises: UsageError; DatabaseUnreachable when there is no such file.
        """
        name, self.path = _read_url(rest)
        if not name.strip("/") or (name.startswith("//") and not name.startswith("///")):
            raise UsageError("the SQLite URL does not name a file", "write sqlite:///path/to/file.sqlite")
        if not self.path.is_file():
            raise DatabaseUnreachable(
                f"the SQLite database {self.path} does not exist",
                "start the DBOS application once to create it",
            )
        engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool, hide_parameters=True)
        super().__init__(engine, "", str(self.path), retry)

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self.path.resolve().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=self.lock_timeout_s)
        # SQLite stores any bytes as text: those that are not UTF-8 are read with their codes written out
        connection.text_factory = lambda stored: stored.decode("utf-8", "backslashreplace")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def begin(self, connection: Connection) -> None:
        """Begin a transaction as the only writer. Raises: Refused when the lock timeout is over."""
        with self._refusing_locked():
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    def read(
        self,
        function: Callable[Concatenate[Connection, Database, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Return `function(connection, database, …)`. Raises: also Refused when the lock timeout is over."""

        def limited(connection: Connection, database: Database) -> Result:
            with self._refusing_locked():
                return function(connection, database, *args, **kwargs)

        return super().read(limited)

    def inspect(self) -> None:
        """Read layout and fingerprint. Raises: also Refused when the lock timeout is over."""
        with self._refusing_locked():
            super().inspect()

    @contextmanager
    def _refusing_locked(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if classify(error) != "transient":
                raise
            raise Refused(
                f"another process has locked the SQLite database {self.path}",
                "wait for it to finish, or set a longer --lock-timeout",
            ) from error

    def _cancel(self, driver: object) -> None:
        assert isinstance(driver, sqlite3.Connection)
        driver.interrupt()

    # SQL

    def table(self, name: str) -> str:
        """Return the name of a DBOS table."""
        return name

    def encode_list(self, values: Sequence[str]) -> str:
        """Encode texts as a JSON list: there are no arrays, and the number of variables is limited."""
        return json.dumps(list(values))

    def as_text(self, expression: str) -> str:
        """Return SQL for a column's value as text: a column may hold any type."""
        return f"CAST({expression} AS TEXT)"

    def json_text(self, column: str, key: str, name: str) -> str:
        """Return SQL for the text under two keys; a column may hold what is no JSON."""
        return f"CASE WHEN json_valid({column}) THEN json_extract({column}, '$.{key}.{name}') END"

    def clamp_time(self, expression: str) -> str:
        """Return SQL for the nearest moment of the years 1 to 9999; what is not a number is 1970."""
        clamped = f"CAST(MIN(MAX({expression}, {MIN_TIMESTAMP}), {MAX_TIMESTAMP}) AS INTEGER)"
        return (
            f"CASE typeof({expression}) WHEN 'null' THEN NULL WHEN 'integer' THEN {clamped} "
            f"WHEN 'real' THEN {clamped} ELSE 0 END"
        )

    # What kind of database it is

    def read_columns(self, connection: Connection) -> dict[str, frozenset[str]]:
        """Read the columns of the DBOS tables that exist, by table."""
        found = {
            table: frozenset(row[1] for row in connection.execute(text(f"PRAGMA table_info({table})")))
            for table in TABLES
        }
        return {table: columns for table, columns in found.items() if columns}

    def describe_missing_tables(self, connection: Connection) -> SchemaNotSupported:
        """Describe that there are no DBOS tables."""
        return SchemaNotSupported(
            f"there are no DBOS tables in the SQLite database {self.path}",
            "start the DBOS application once, or run `dbos migrate`",
        )

    def read_fingerprint(self, connection: Connection) -> str:
        """Identify the database by the name of its file and its mark."""
        number = self._read_mark(connection)
        mark = make_part(number) if number else NONE
        return f"{make_part('sqlite', self.path.name)}.{mark}"

    @staticmethod
    def _read_mark(connection: Connection) -> int:
        return int(connection.exec_driver_sql("PRAGMA application_id").scalar_one())

    def mark(self, number: int) -> None:
        """Give the file an identity unless it has one; update the fingerprint; retry transient errors.

        Two migrated files of one name differ in nothing that survives a move or a copy into another checkout.
        So the `application_id` of the file's header, which DBOS leaves at 0, gets a random number.
        """
        self.call(lambda: self._mark(number))

    def _mark(self, number: int) -> None:
        try:
            with self.transaction() as connection:
                if not self._read_mark(connection):
                    connection.exec_driver_sql(f"PRAGMA application_id = {number}")
        except DBAPIError as error:
            if not is_read_only(error):
                raise
            return  # `lock rebuild` and `lock rebind` need no right to write: that part stays unknown
        with self.reading() as connection:
            self.fingerprint = self.read_fingerprint(connection)

    def check_writable(self) -> None:
        """Check that the file and its folder can be written.

        Raises: DatabaseDenied.
        """
        self.call(self._check_writable)

    def _check_writable(self) -> None:
        try:
            with self.transaction() as connection:
                # the same value: a page is written, which needs the journal, and nothing is changed
                version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
                connection.exec_driver_sql(f"PRAGMA user_version = {version}")
                connection.rollback()
        except Exception as error:
            if is_read_only(error):
                raise DatabaseDenied(
                    f"the SQLite database {self.path} is read-only", "make the file and its folder writable"
                ) from error
            raise

    def read_server(self, connection: Connection) -> Server:
        """Read the version of SQLite."""
        version = connection.execute(text("SELECT sqlite_version()")).scalar_one()
        return Server(f"SQLite {version}", self.label, None, False)

    def read_privileges(self, connection: Connection, tables: Sequence[str]) -> frozenset[tuple[str, str]]:
        """Return what apply needs: SQLite has no roles."""
        return frozenset((table, privilege) for table in tables for privilege in ("SELECT", "INSERT"))

    # Writing

    def begin_write(self, connection: Connection, manifest: str) -> WriteTransaction:
        """Start a transaction that writes rows of a manifest."""
        has_triggers = connection.exec_driver_sql(
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'trigger' "
            "AND tbl_name IN ('workflow_status', 'workflow_input'))"
        ).scalar_one()
        return WriteTransaction(self._read_change_counter(connection), bool(has_triggers))

    def insert(self, connection: Connection, prepared: PreparedRows) -> tuple[set[str], int]:
        """Insert the rows whose ID does not exist yet."""
        return sqlite_insert.insert_missing(connection, self, prepared)

    def proves_rollback(self, error: DBAPIError) -> bool:
        """Return whether the file was busy: such a COMMIT does nothing."""
        return classify(error) == "transient"

    def is_unchanged_since(self, connection: Connection, transaction_id: str) -> bool:
        """Return whether the file's change counter is still that of before a COMMIT."""
        return transaction_id == self._read_change_counter(connection)

    def _read_change_counter(self, connection: Connection) -> str | None:
        """Read the number that SQLite raises with every commit; None where it does not, as with a WAL.

        It is read through SQLite's own descriptor: to close another one of the same file would release
        SQLite's locks.
        Source: SQLite, Database File Format, 1.3.7; How To Corrupt, 2.2.
        """
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        if mode not in ("delete", "truncate", "persist"):
            return None
        try:
            file = self.path.stat()
            for descriptor in [int(path.name) for path in Path("/dev/fd").iterdir()]:
                if _is_file(descriptor, file):
                    return str(int.from_bytes(os.pread(descriptor, *_CHANGE_COUNTER), "big"))
        except OSError:
            pass  # without /dev/fd only the rows prove something
        return None


def _is_file(descriptor: int, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file)
    except OSError:  # closed meanwhile
        return False
