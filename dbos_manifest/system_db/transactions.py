"""Writing transactions: how each begins, and whether one whose COMMIT was not answered is committed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ..core.columns import read_chunks
from ..plan.rows import FINAL_STATUSES, SnapshotRow
from .connect import Database
from .lock import lock_key
from .read import read_snapshot

Fate = Literal["committed", "aborted", "running", "unknown"]
READ_AT_ONCE = 10_000
_CHANGE_COUNTER = (4, 24)  # bytes and offset in a SQLite file's header
_LOCK = "pg_advisory_xact_lock(:key)"
_SERVER_START = "CAST(extract(epoch FROM pg_postmaster_start_time()) AS text)"
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

    Shape:  `number` identifies it later. PostgreSQL: its transaction ID, `@`, and when the server was
            started. SQLite: the file's change counter before its COMMIT. None where there is no such number.
    """

    number: str | None
    has_triggers: bool  # on INSERT into the DBOS tables: a row may be dropped or get another ID


class Doubt(NamedTuple):
    """A transaction whose COMMIT may have been called, and the rows that it and others wrote.

    Shape:  rows are (ID, created_at in epoch ms). `earlier` are rows that were surely committed before.
    """

    number: str | None
    rows: Iterable[tuple[str, int]]
    earlier: Iterable[tuple[str, int]] = ()


def begin_writing(connection: Connection, database: Database, manifest: str) -> Writing:
    """Start a transaction that writes rows of a manifest, in one statement.

    Takes the manifest's lock until the transaction ends. SQLite's transaction is already the only writer.
    """
    if database.dialect == "sqlite":
        return Writing(_read_change_counter(connection, database), _has_sqlite_triggers(connection))
    functions = _number_functions(connection)
    number = f"CAST({functions[0]}() AS text) || '@' || {_SERVER_START}" if functions else "NULL"
    row = connection.execute(
        text(f"SELECT {_LOCK}, {number}, {_SURVIVE_A_CRASH}, {_HAS_TRIGGERS}"),
        {
            "key": _transaction_key(database, manifest),
            "status": database.table("workflow_status"),
            "input": database.table("workflow_input"),
        },
    ).one()
    return Writing(row[1], row[3])


def _transaction_key(database: Database, manifest: str) -> int:
    return lock_key(database, manifest) ^ 1


def read_fate(
    connection: Connection, database: Database, doubt: Doubt, *, wait_for: str | None = None
) -> Fate:
    """Find out whether a transaction was committed; `wait_for` is the manifest whose lock it had.

    Where the database cannot tell, a row that is there proves that it was committed. Rows that are gone
    prove nothing: they may have run and been removed.
    """
    functions = None if database.dialect == "sqlite" else _number_functions(connection)
    if wait_for is not None and database.dialect != "sqlite":
        key = _transaction_key(database, wait_for)
        connection.execute(text(f"SELECT {_LOCK}"), {"key": key})  # takes no transaction ID
    if functions is not None and doubt.number is not None:
        return _read_xid_fate(connection, database, functions, doubt, ended=wait_for is not None)
    if _has_any(connection, database, doubt.rows):
        return "committed"
    if doubt.number is not None and doubt.number == _read_change_counter(connection, database):
        return "aborted"  # nothing at all was committed since
    return "aborted" if _has_all(connection, database, doubt.earlier) else "unknown"


def _number_functions(connection: Connection) -> tuple[str, str, str] | None:
    """The functions that give a transaction's ID and its state, and their type; None: there are none."""
    driver: Any = connection.connection.driver_connection
    if driver.info.parameter_status("crdb_version"):
        return None
    if driver.info.server_version >= 130_000:
        return "pg_current_xact_id", "pg_xact_status", "xid8"
    return "txid_current", "txid_status", "int8"


def _read_xid_fate(
    connection: Connection, database: Database, functions: tuple[str, str, str], doubt: Doubt, *, ended: bool
) -> Fate:
    """Ask the server about a transaction ID.

    A server that crashed forgets the IDs of transactions that wrote nothing to its log, and gives them to
    others: after a start of the server an ID proves a commit only together with a row.
    """
    xid, _, server_start = (doubt.number or "").partition("@")
    _, status, kind = functions
    statement = text(f"SELECT {status}(CAST(CAST(:xid AS text) AS {kind})), {_SERVER_START}")
    try:
        with connection.begin_nested():
            found, started = connection.execute(statement, {"xid": xid}).one()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "22023":
            raise
        return "aborted"  # an ID that the server has not reached: the transaction is not in its history
    if found == "in progress":
        return "aborted" if ended else "running"  # with the manifest's lock free, it is another's by now
    if found == "committed" and started != server_start and not _has_any(connection, database, doubt.rows):
        return "unknown"
    fates: dict[str | None, Fate] = {"committed": "committed", "aborted": "aborted"}
    return fates.get(found, "unknown")  # NULL: so old that the server has forgotten it


def _has_any(connection: Connection, database: Database, rows: Iterable[tuple[str, int]]) -> bool:
    return any(
        row is not None and row.created_at_ms == at for at, row in _look_up(connection, database, rows)
    )


def _has_all(connection: Connection, database: Database, rows: Iterable[tuple[str, int]]) -> bool:
    """Whether every row is there, and one of them has ended: then retention has removed none.

    It removes what has ended, the oldest first, so it cannot have removed only later rows.
    """
    has_ended = False
    for at, row in _look_up(connection, database, rows):
        if row is None or row.created_at_ms != at:
            return False
        has_ended |= row.status in FINAL_STATUSES
    return has_ended


def _look_up(
    connection: Connection, database: Database, rows: Iterable[tuple[str, int]]
) -> Iterator[tuple[int, SnapshotRow | None]]:
    for part in read_chunks(rows, READ_AT_ONCE):
        found = read_snapshot(connection, database, [workflow_id for workflow_id, _ in part])
        yield from ((at, found.get(workflow_id)) for workflow_id, at in part)


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
