"""An open system database: connections, transactions, retries, and what differs between the dialects.

`PostgreSQLDatabase` and `SQLiteDatabase` are its two kinds. No other module asks which of them it has.
"""

# ruff: noqa: B027 - an empty method does what a dialect without that need does: nothing
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import ClassVar, Concatenate, Literal, NamedTuple, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ..core.errors import SchemaNotSupported
from .layout import Layout, check_layout
from .new_rows import NewRows, PreparedRows
from .retry import Retry, classify

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
DEFAULT_LOCK_TIMEOUT_S = 60.0
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")

RecordedState = Literal["committed", "aborted", "running", "unconfirmed", "unknown"]
"""What a server has recorded about a transaction ID. `unconfirmed`: committed, but since a restart of the
server the ID may be another transaction's."""


class WriteTransaction(NamedTuple):
    """A transaction that writes rows.

    Shape:  `transaction_id` identifies it later. PostgreSQL: its transaction ID, `@`, and when the server was
            started. SQLite: the file's change counter before its COMMIT. None where there is neither.
    """

    transaction_id: str | None
    has_triggers: bool  # on INSERT into the DBOS tables: a row may be dropped or get another ID


class Server(NamedTuple):
    version: str  # as `PostgreSQL 16.2`
    database: str
    role: str | None
    read_only: bool


class Encryption(NamedTuple):
    """How the connection to a server is protected on its way."""

    protocol: str | None  # `TLS`, `GSSAPI`; None: not encrypted
    sslmode: str  # that of libpq
    is_local: bool  # a Unix socket, or an address of this machine


class Database(ABC):
    """An open system database. Each piece of work is a transaction of its own."""

    default_transaction_size: ClassVar[int]
    """Rows that one transaction writes, unless --chunk-size is given."""
    reads_in_thread: ClassVar[bool]
    """Whether reading in a second thread is faster than reading in one."""

    clock_ms: ClassVar[str]
    """SQL for the clock of the database in epoch ms."""
    array_agg: ClassVar[str]
    """The SQL function that collects values into an array."""
    in_list: ClassVar[str]
    """SQL that follows an expression to compare it with the list `:ids`, see `encode_list`."""

    layout: Layout
    fingerprint: str

    lock_timeout_s = DEFAULT_LOCK_TIMEOUT_S
    """How long each lock of the database is waited for."""

    def __init__(self, engine: Engine, schema: str, label: str, retry: Retry) -> None:
        self.engine = engine
        self.schema = schema
        self.label = label  # for messages: never a user or password
        self.retry = retry
        self._in_use: set[object] = set()  # the driver's connections

    @property
    def description(self) -> str:
        """Name the database for a person: `app on db.example:5432, schema dbos`."""
        return f"{self.label}, schema {self.schema}" if self.schema else self.label

    # Transactions

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction for writing: committed at the end, rolled back by an exception."""
        with self.reading() as connection:
            self.begin(connection)
            yield connection
            connection.commit()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction for reading, which takes no write lock."""
        with self.engine.connect() as connection:
            driver = connection.connection.driver_connection
            self._in_use.add(driver)
            try:
                yield connection
            finally:
                self._in_use.discard(driver)

    def read(
        self,
        function: Callable[Concatenate[Connection, Database, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Return `function(connection, database, …)` in a transaction for reading; retry transient errors.

        Raises: as `call`.
        """

        def attempt() -> Result:
            with self.reading() as connection:
                return function(connection, self, *args, **kwargs)

        return self.call(attempt)

    def call(self, attempt: Callable[[], Result]) -> Result:
        """Call a function that opens its own transactions, and call it again after a transient error.

        Raises: DatabaseUnreachable, DatabaseDenied, DatabaseError; the driver's error for rejected rows.
        """
        return self.retry.call(attempt)

    def cancel(self) -> None:
        """Cancel all running statements, from another thread; each of them raises an error in its own."""
        for driver in [*self._in_use]:
            self._cancel(driver)

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.dispose()

    def inspect(self) -> None:
        """Read layout and fingerprint. Raises: SchemaNotSupported; the driver's errors."""
        with self.reading() as connection:
            columns = self.read_columns(connection)
            if "workflow_status" not in columns:
                raise self.describe_missing_tables(connection)
            self.layout = check_layout(columns)
            self.fingerprint = self.read_fingerprint(connection)

    # What the dialects do in the same way, or only one of them does

    def begin(self, connection: Connection) -> None:
        """Begin a transaction for writing, where the driver does not do it."""

    def mark(self, number: int) -> None:
        """Give the database an identity where it has none, and update the fingerprint."""

    def apply_locks(self, manifests: Sequence[str]) -> AbstractContextManager[None]:
        """Hold the locks of manifests during a whole apply, where the lockfiles' own locks are not enough.

        Their loss is no error: safety rests on the primary key.
        Raises: Refused naming the holder when the lock timeout is over.
        """
        return nullcontext()

    def wait_for_writer(self, connection: Connection, manifest: str) -> None:
        """Wait until no other transaction writes rows of a manifest, and block new ones until this ends.

        Raises: Refused when the lock timeout is over.
        """

    def read_recorded_state(self, connection: Connection, transaction_id: str) -> RecordedState | None:
        """Read what the server has recorded about a transaction; None where it keeps no such record."""
        return None

    def is_unchanged_since(self, connection: Connection, transaction_id: str) -> bool:
        """Return whether it is certain that nothing was committed since that transaction began."""
        return False

    def proves_rollback(self, error: DBAPIError) -> bool:
        """Return whether an error, also one of a COMMIT, proves that nothing was committed."""
        return False

    def rejects_row(self, connection: Connection, error: DBAPIError) -> bool:
        """Return whether an error of an insert is about a single row, so that others can be inserted."""
        return classify(error) == "data"

    def read_row_security(self, connection: Connection, tables: Sequence[str]) -> list[str]:
        """Return the tables in which row-level security may hide or refuse rows of this role."""
        return []

    def read_encryption(self, connection: Connection) -> Encryption | None:
        """Read how the connection is protected; None where there is no connection to a server."""
        return None

    def prefer_index_scans(self, connection: Connection) -> None:
        """Make the planner use the index of the IDs until the transaction ends."""

    def as_text(self, expression: str) -> str:
        """Return SQL for a text column: where a column may hold any type, its value as text."""
        return expression

    def prepare(self, rows: NewRows, names: Sequence[str]) -> PreparedRows:
        """Encode rows for `insert`; `names` are the columns of workflow_status to write."""
        return PreparedRows(rows, names)

    def check_constraints(self, connection: Connection) -> None:
        """Check deferred constraints now and not at the COMMIT, where no row could be named."""

    def make_role_statements(
        self, connection: Connection, role: str, *, written: Sequence[str], read: Sequence[str]
    ) -> list[str]:
        """Return SQL that creates a role with the least privileges; none where there are no roles."""
        return []

    # What each dialect does in its own way

    @abstractmethod
    def table(self, name: str) -> str:
        """Return the quoted name of a DBOS table."""

    @abstractmethod
    def encode_list(self, values: Sequence[str]) -> str:
        """Encode texts as the one parameter that `in_list` compares with."""

    @abstractmethod
    def json_text(self, column: str, key: str, name: str) -> str:
        """Return SQL for the text under two plain keys of a column with JSON; NULL where it has none."""

    @abstractmethod
    def clamp_time(self, expression: str) -> str:
        """Return SQL for the nearest moment of the years 1 to 9999, in epoch ms; NULL stays NULL."""

    @abstractmethod
    def read_columns(self, connection: Connection) -> dict[str, frozenset[str]]:
        """Read the columns of the DBOS tables that exist, by table."""

    @abstractmethod
    def describe_missing_tables(self, connection: Connection) -> SchemaNotSupported:
        """Describe that there are no DBOS tables, and where others are."""

    @abstractmethod
    def read_fingerprint(self, connection: Connection) -> str:
        """Identify the database, whatever host, user, password and path lead to it.

        Source: SPEC §5.
        """

    @abstractmethod
    def check_writable(self) -> None:
        """Check, before anything is compared, that rows could be inserted; transient errors are retried.

        Raises: DatabaseDenied with the reason.
        """

    @abstractmethod
    def begin_write(self, connection: Connection, manifest: str) -> WriteTransaction:
        """Start a transaction that writes rows of a manifest, whose lock it holds until it ends.

        Raises: Refused when the lock timeout is over.
        """

    @abstractmethod
    def insert(self, connection: Connection, prepared: PreparedRows) -> tuple[set[str], int]:
        """Insert the rows whose ID does not exist yet.

        Shape:  the IDs that were inserted, and the rows that the database counted, inputs included.
        """

    @abstractmethod
    def read_server(self, connection: Connection) -> Server:
        """Read version, database, role, and whether the server takes no rows."""

    @abstractmethod
    def read_privileges(self, connection: Connection, tables: Sequence[str]) -> frozenset[tuple[str, str]]:
        """Return the (table, privilege) pairs of this role, of `PRIVILEGES`."""

    @abstractmethod
    def _cancel(self, driver: object) -> None:
        """Cancel the running statement of a driver's connection."""
