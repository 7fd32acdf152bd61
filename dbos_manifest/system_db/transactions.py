"""Writing transactions: how each begins, and whether one whose COMMIT was not answered is committed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ..columns import read_chunks
from .connect import Database
from .lock import lock_key
from .read import read_snapshot

Fate = Literal["committed", "aborted", "running", "unknown"]
READ_AT_ONCE = 10_000
_CHANGE_COUNTER = (4, 24)  # bytes and offset in a SQLite file's header
# What is promised after COMMIT survives a crash of the server; a stronger setting of the user stays.
_SURVIVE_A_CRASH = (
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
    "WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)"
)
_HAS_TRIGGERS = (
    "EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid IN (to_regclass(:status), to_regclass(:input)) "
    "AND NOT tgisinternal AND (tgtype & 4) <> 0)"
)


class Writing(NamedTuple):
    """A writing transaction.

    Shape:  `number` identifies it later: the transaction ID on PostgreSQL; on SQLite the file's change
            counter before its COMMIT. None where the database has no such number.
    """

    number: str | None
    has_triggers: bool  # on INSERT into the DBOS tables: a row may be dropped or get another ID


def begin_writing(connection: Connection, database: Database, manifest: str) -> Writing:
    """Start a transaction that writes rows of a manifest, in one statement.

    Takes the manifest's lock until the transaction ends. SQLite's transaction is already the only writer.
    """
    if database.dialect == "sqlite":
        return Writing(_read_change_counter(connection, database), _has_sqlite_triggers(connection))
    functions = _number_functions(connection)
    number = f"CAST({functions[0]}() AS text)" if functions else "NULL"
    row = connection.execute(
        text(f"SELECT pg_advisory_xact_lock(:key), {number}, {_SURVIVE_A_CRASH}, {_HAS_TRIGGERS}"),
        {
            "key": lock_key(database, manifest) ^ 1,
            "status": database.table("workflow_status"),
            "input": database.table("workflow_input"),
        },
    ).one()
    return Writing(row[1], row[3])


def read_fate(
    connection: Connection, database: Database, number: str | None, created_at_ms: Iterable[tuple[str, int]]
) -> Fate:
    """Find out whether a transaction was committed.

    `created_at_ms` are the rows that it wrote, by ID: where the database cannot tell, a row that is there
    proves that the transaction was committed. Rows that are gone prove nothing.
    """
    functions = None if database.dialect == "sqlite" else _number_functions(connection)
    if functions is not None and number is not None:
        return _read_xid_fate(connection, functions, number)
    for rows in read_chunks(created_at_ms, READ_AT_ONCE):
        if _has_any(connection, database, dict(rows)):
            return "committed"
    if (
        database.dialect == "sqlite"
        and number is not None
        and number == _read_change_counter(connection, database)
    ):
        return "aborted"  # nothing at all was committed since
    return "unknown"


def _number_functions(connection: Connection) -> tuple[str, str, str] | None:
    """The functions that give a transaction's ID and its state, and their type; None: there are none."""
    driver: Any = connection.connection.driver_connection
    if driver.info.parameter_status("crdb_version"):
        return None
    if driver.info.server_version >= 130_000:
        return "pg_current_xact_id", "pg_xact_status", "xid8"
    return "txid_current", "txid_status", "int8"


def _read_xid_fate(connection: Connection, functions: tuple[str, str, str], number: str) -> Fate:
    _, status, kind = functions
    statement = text(f"SELECT {status}(CAST(CAST(:number AS text) AS {kind}))")
    try:
        with connection.begin_nested():
            found = connection.execute(statement, {"number": number}).scalar_one()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "22023":
            raise
        return "unknown"  # an ID that this server has not reached: it was restored from a backup
    fates: dict[str | None, Fate] = {
        "committed": "committed",
        "aborted": "aborted",
        "in progress": "running",
    }
    return fates.get(found, "unknown")  # NULL: so old that the server has forgotten it


def _has_any(connection: Connection, database: Database, created_at_ms: Mapping[str, int]) -> bool:
    rows = read_snapshot(connection, database, [*created_at_ms])
    return any(row.created_at_ms == created_at_ms[key] for key, row in rows.items())


def _has_sqlite_triggers(connection: Connection) -> bool:
    return bool(
        connection.exec_driver_sql(
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'trigger' "
            "AND tbl_name IN ('workflow_status', 'workflow_input'))"
        ).scalar_one()
    )


def _read_change_counter(connection: Connection, database: Database) -> str | None:
    """The number that SQLite raises with every commit; None where it does not, as with a write-ahead log.

    It is read by SQLite's own descriptor: to close another one of the same file would drop SQLite's locks.
    Source: SQLite, Database File Format, 1.3.7; How To Corrupt, 2.2.
    """
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    if mode not in ("delete", "truncate", "persist"):
        return None
    try:
        file = Path(database.label).stat()
        for descriptor in [int(path.name) for path in Path("/dev/fd").iterdir()]:
            if _is_file(descriptor, file):
                return str(int.from_bytes(os.pread(descriptor, *_CHANGE_COUNTER), "big"))
    except OSError:
        pass  # no /dev/fd: the rows alone tell
    return None


def _is_file(descriptor: int, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file)
    except OSError:  # closed meanwhile
        return False
