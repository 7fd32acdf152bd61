"""A system database on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import psycopg
from sqlalchemy import Connection, RowMapping, create_engine, text
from sqlalchemy.exc import DBAPIError

from ..core.errors import DatabaseDenied, SchemaNotSupported
from ..core.units import MAX_TIMESTAMP, MIN_TIMESTAMP
from ..lockfile.fingerprint import UNKNOWN
from . import postgresql_insert
from .advisory_lock import lock_key, lock_transaction, open_locked
from .database import PRIVILEGES, Database, Encryption, RecordedState, Result, Server, WriteTransaction
from .lock_waits import limit_lock_waits, refuse_locked
from .new_rows import NewRows, PreparedRows
from .postgresql_catalog import find_schemas, read_columns, read_first_version, read_identity
from .postgresql_connect import connect, driver_of, is_cockroach, protect_password, read_encryption
from .postgresql_url import read_url
from .retry import INSUFFICIENT_PRIVILEGE, Retry

_DEFAULT_PARAMETERS = {
    "connect_timeout": "10",
    # a peer that stopped answering is noticed within a minute, not after the system's two hours
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "application_name": "dbos-manifest",
}
_INVALID_PARAMETER_VALUE = "22023"
_SERVER_START = "CAST(extract(epoch FROM pg_postmaster_start_time()) AS text)"
# What is reported after COMMIT survives a crash of the server. A stronger setting of the user is kept.
_SURVIVE_A_CRASH = (
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
    "WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)"
)
_HAS_TRIGGERS = (
    "EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid IN (to_regclass(:status), to_regclass(:input)) "
    "AND NOT tgisinternal AND (tgtype & 4) <> 0)"
)
_PLANNER_SETTINGS = ", ".join(
    f"set_config('{name}', '{value}', true)"
    for name, value in {
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "enable_sort": "off",
        "max_parallel_workers_per_gather": "0",
    }.items()
)


class PostgreSQLDatabase(Database):
    """A schema on a PostgreSQL server."""

    default_transaction_size = 10_000
    reads_in_thread = True
    clock_ms = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    array_agg = "array_agg"
    in_list = "= ANY(CAST(:ids AS text[]))"

    def __init__(self, url: str, schema: str, retry: Retry) -> None:
        """Prepare for a `postgresql:` URL. Raises: UsageError when it cannot be read."""
        parameters = {**_DEFAULT_PARAMETERS, **read_url(url), "client_encoding": "UTF8"}
        self._parameters = protect_password(parameters)
        engine = create_engine(
            "postgresql+psycopg://",
            creator=partial(self._connect, url),
            pool_size=2,
            pool_pre_ping=False,
            hide_parameters=True,
        )
        found = self._parameters.get
        label = f"{found('dbname', '?')} on {found('host', 'localhost')}:{found('port', '5432')}"
        super().__init__(engine, schema, label, retry)
        self._limits_locks = False  # whether the lock timeout is the one of the sessions

    def _connect(self, url: str) -> psycopg.Connection:
        driver = connect(url, self._parameters)
        try:
            self._limits_locks = limit_lock_waits(driver, self.lock_timeout_s)
        except BaseException:
            driver.close()
            raise
        return driver

    def call(self, attempt: Callable[[], Result]) -> Result:
        """Call a function; see `Database.call`. Raises: also Refused when the lock timeout is over."""
        return super().call(partial(refuse_locked, self, attempt) if self._limits_locks else attempt)

    def _cancel(self, driver: object) -> None:
        assert isinstance(driver, psycopg.Connection)
        driver.cancel()

    # SQL

    def table(self, name: str) -> str:
        """Return the quoted name of a DBOS table."""
        return f"{_quote(self.schema)}.{_quote(name)}"

    def encode_list(self, values: Sequence[str]) -> str:
        """Encode texts as an array, ten times as fast as the driver does."""
        inside = '","'.join(values)
        if "\\" in inside or inside.count('"') > 2 * (len(values) - 1):
            inside = '","'.join(value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
        return f'{{"{inside}"}}' if values else "{}"

    def json_text(self, column: str, key: str, name: str) -> str:
        """Return SQL for the text under two keys."""
        return f"{column} -> '{key}' ->> '{name}'"

    def clamp_time(self, expression: str) -> str:
        """Return SQL for the nearest moment of the years 1 to 9999."""
        clamped = f"LEAST(GREATEST({expression}, {MIN_TIMESTAMP}), {MAX_TIMESTAMP})"
        return f"CASE WHEN {expression} IS NULL THEN NULL ELSE {clamped} END"

    def prefer_index_scans(self, connection: Connection) -> None:
        """Make the planner find rows by the index and group them by hash until the transaction ends.

        With its default settings PostgreSQL reads a whole table of a million rows for each 10,000 IDs, in
        several processes, and sorts rows by twenty columns that are nearly all equal.
        """
        connection.execute(text(f"SELECT {_PLANNER_SETTINGS}"))

    # What kind of database it is

    def read_columns(self, connection: Connection) -> dict[str, frozenset[str]]:
        """Read the columns of the DBOS tables that exist, by table."""
        return read_columns(connection, self.schema)

    def describe_missing_tables(self, connection: Connection) -> SchemaNotSupported:
        """Describe that there are no DBOS tables in the schema, and name the schemas that have them."""
        others = find_schemas(connection)
        hint = "start the DBOS application once, or run `dbos migrate`"
        if others:
            names = ", ".join(f"`{name}`" for name in others)
            hint = f"set --schema to a schema that has DBOS tables: {names}"
        return SchemaNotSupported(f"there are no DBOS tables in schema `{self.schema}`", hint)

    def read_fingerprint(self, connection: Connection) -> str:
        """Identify the database by names and object IDs, its server, and its first application version."""
        place, server = read_identity(connection, self.schema)
        columns = self.layout.columns.get("application_versions", frozenset())
        version = UNKNOWN
        if columns >= {"version_id", "created_at"}:
            version = read_first_version(connection, self.schema, self.table("application_versions"))
        return f"{place}.{server}.{version}"

    def check_writable(self) -> None:
        """Check that the server is not a replica and the role has the privileges to insert.

        Raises: DatabaseDenied.
        """
        self.read(lambda connection, database: self._check_writable(connection))

    def _check_writable(self, connection: Connection) -> None:
        if connection.execute(text("SHOW transaction_read_only")).scalar_one() == "on":
            raise DatabaseDenied(
                f"the database {self.label} is read-only", "connect to the primary server, not to a replica"
            )
        for table in ("workflow_status", "workflow_input"):
            for privilege in ("SELECT", "INSERT") if table in self.layout.columns else ():
                if not self._has_privilege(connection, table, privilege):
                    raise DatabaseDenied(
                        f"the database role has no {privilege} privilege on {table}",
                        "apply needs SELECT and INSERT on workflow_status and workflow_input",
                    )

    def _has_privilege(self, connection: Connection, table: str, privilege: str) -> bool:
        statement = text("SELECT has_table_privilege(:table, :privilege)")
        names = {"table": self.table(table), "privilege": privilege}
        return bool(connection.execute(statement, names).scalar_one())

    def read_server(self, connection: Connection) -> Server:
        """Read version, database, role, and whether the server takes no rows."""
        row = connection.execute(
            text(
                "SELECT current_setting('server_version'), current_database(), current_user, "
                "pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool"
            )
        ).one()
        return Server(f"PostgreSQL {row[0]}", row[1], row[2], row[3])

    def read_privileges(self, connection: Connection, tables: Sequence[str]) -> frozenset[tuple[str, str]]:
        """Return the (table, privilege) pairs of this role, of `PRIVILEGES`."""
        usage = text("SELECT has_schema_privilege(:schema, 'USAGE')")
        if not connection.execute(usage, {"schema": self.schema}).scalar_one():
            return frozenset()
        pairs = [(table, privilege) for table in tables for privilege in PRIVILEGES]
        return frozenset(pair for pair in pairs if self._has_privilege(connection, *pair))

    def make_role_statements(
        self, connection: Connection, role: str, *, written: Sequence[str], read: Sequence[str]
    ) -> list[str]:
        """Return SQL that creates a role with the least privileges."""
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        return [
            f"CREATE ROLE {_quote(role)} LOGIN;",
            f"GRANT CONNECT ON DATABASE {_quote(name)} TO {_quote(role)};",
            f"GRANT USAGE ON SCHEMA {_quote(self.schema)} TO {_quote(role)};",
            f"GRANT SELECT, INSERT ON {', '.join(map(self.table, written))} TO {_quote(role)};",
            f"GRANT SELECT ON {', '.join(map(self.table, read))} TO {_quote(role)};",
        ]

    # Locks and writing

    @contextmanager
    def apply_locks(self, manifests: Sequence[str]) -> Iterator[None]:
        """Hold the advisory locks of manifests, all in one session of their own."""
        connection = self.call(
            lambda: open_locked(self._parameters, self.schema, manifests, self.lock_timeout_s)
        )
        try:
            yield
        finally:
            with suppress(psycopg.Error):
                connection.close()

    def begin_write(self, connection: Connection, manifest: str) -> WriteTransaction:
        """Start a transaction that writes rows of a manifest, in one statement."""
        functions = _id_functions(connection)
        number = f"CAST({functions[0]}() AS text) || '@' || {_SERVER_START}" if functions else "NULL"
        columns = f"{number} AS number, {_SURVIVE_A_CRASH}, {_HAS_TRIGGERS} AS has_triggers"
        tables = {"status": self.table("workflow_status"), "input": self.table("workflow_input")}
        row = self._lock(connection, manifest, columns, tables)
        return WriteTransaction(row["number"], row["has_triggers"])

    def wait_for_writer(self, connection: Connection, manifest: str) -> None:
        """Take the lock that a transaction for writing holds; this assigns no transaction ID."""
        self._lock(connection, manifest, "1", {})

    def _lock(
        self, connection: Connection, manifest: str, columns: str, values: dict[str, str]
    ) -> RowMapping:
        """Take the lock of a manifest for this transaction, and read some columns once it is taken."""
        key = lock_key(self.schema, manifest) ^ 1  # not the key of the lock that the same apply holds
        return lock_transaction(connection, key, manifest, self.lock_timeout_s, columns, values)

    def read_recorded_state(self, connection: Connection, transaction_id: str) -> RecordedState | None:
        """Query the server about a transaction ID.

        A server that crashed forgets the IDs of transactions that wrote nothing to its log, and assigns them
        again: after a restart an ID proves a commit only together with a row.
        """
        functions = _id_functions(connection)
        if functions is None:
            return None
        _, status, kind = functions
        xid, _, server_start = transaction_id.partition("@")
        statement = text(f"SELECT {status}(CAST(CAST(:xid AS text) AS {kind})), {_SERVER_START}")
        try:
            with connection.begin_nested():
                state, started = connection.execute(statement, {"xid": xid}).one()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _INVALID_PARAMETER_VALUE:
                raise
            return "aborted"  # an ID that the server has not assigned: it lost the transaction in a crash
        if state == "committed" and started != server_start:
            return "unconfirmed"
        states: dict[str | None, RecordedState] = {
            "committed": "committed", "aborted": "aborted", "in progress": "running",
        }  # fmt: skip
        return states.get(state, "unknown")  # NULL: so old that the server has forgotten it

    def prepare(self, rows: NewRows, names: Sequence[str]) -> PreparedRows:
        """Encode rows for COPY."""
        return postgresql_insert.prepare(self, rows, names)

    def insert(self, connection: Connection, prepared: PreparedRows) -> tuple[set[str], int]:
        """Insert the rows whose ID does not exist yet."""
        return postgresql_insert.insert_missing(connection, self, prepared)

    def rejects_row(self, connection: Connection, error: DBAPIError) -> bool:
        """Return whether an error is about a row: invalid data, or a policy of row-level security.

        A missing privilege has the SQLSTATE of a policy, so the tables decide.
        """
        if super().rejects_row(connection, error):
            return True
        denied = getattr(error.orig, "sqlstate", None) == INSUFFICIENT_PRIVILEGE
        written = [name for name in ("workflow_status", "workflow_input") if name in self.layout.columns]
        return denied and bool(self.read_row_security(connection, written))

    def read_row_security(self, connection: Connection, tables: Sequence[str]) -> list[str]:
        """Return the tables in which row-level security applies to this role."""
        if is_cockroach(driver_of(connection)):
            return []
        statement = text("SELECT row_security_active(to_regclass(:table))")
        return [
            name for name in tables if connection.execute(statement, {"table": self.table(name)}).scalar_one()
        ]

    def read_encryption(self, connection: Connection) -> Encryption | None:
        """Read how the connection to the server, or to a pooler before it, is protected."""
        return read_encryption(driver_of(connection))

    def check_constraints(self, connection: Connection) -> None:
        """Check deferred constraints now, so that they cannot fail the COMMIT."""
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _id_functions(connection: Connection) -> tuple[str, str, str] | None:
    """Return the functions for a transaction's ID and state, and the ID's type; None where there are none."""
    driver = driver_of(connection)
    if is_cockroach(driver):
        return None
    if driver.info.server_version >= 130_000:
        return "pg_current_xact_id", "pg_xact_status", "xid8"
    return "txid_current", "txid_status", "int8"
