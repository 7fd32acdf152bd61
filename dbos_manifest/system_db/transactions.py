"""Find out whether a transaction was committed whose COMMIT had no reply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from sqlalchemy import Connection

from ..core.columns import read_chunks
from ..planning.rows import FINAL_STATUSES, SnapshotRow
from .database import Database
from .read import read_snapshot

Outcome = Literal["committed", "aborted", "running", "unknown"]
_READ_AT_ONCE = 10_000


class InDoubtTransaction(NamedTuple):
    """A transaction whose COMMIT may have been called, and the rows that it and others wrote.

    Shape:  rows are (ID, created_at in epoch ms). `earlier` are rows of transactions that were certainly
            committed before it.
    """

    transaction_id: str | None  # see `WriteTransaction`
    rows: Iterable[tuple[str, int]]
    earlier: Iterable[tuple[str, int]] = ()


def read_outcome(
    connection: Connection,
    database: Database,
    transaction: InDoubtTransaction,
    *,
    wait_for: str | None = None,
) -> Outcome:
    """Find out whether a transaction was committed; `wait_for` is the manifest whose lock it held.

    Where the database has no record of it, an existing row proves that it was committed. Missing rows prove
    nothing: the workflows may have run and been removed.
    """
    if wait_for is not None:
        database.wait_for_writer(connection, wait_for)
    transaction_id = transaction.transaction_id
    recorded = None
    if transaction_id is not None:
        recorded = database.read_recorded_state(connection, transaction_id)
    if recorded == "running":
        # with the manifest's lock released, another transaction has that ID by now
        return "running" if wait_for is None else "aborted"
    if recorded in ("committed", "aborted", "unknown"):
        return recorded
    if _has_any(connection, database, transaction.rows):
        return "committed"
    if recorded == "unconfirmed":
        return "unknown"
    if transaction_id is not None and database.is_unchanged_since(connection, transaction_id):
        return "aborted"
    return "aborted" if _has_all(connection, database, transaction.earlier) else "unknown"


def _has_any(connection: Connection, database: Database, rows: Iterable[tuple[str, int]]) -> bool:
    return any(
        row is not None and row.created_at_ms == at for at, row in _look_up(connection, database, rows)
    )


def _has_all(connection: Connection, database: Database, rows: Iterable[tuple[str, int]]) -> bool:
    """Return whether every row exists and one of them has ended: then retention has removed none.

    It removes rows that have ended, the oldest first, so it cannot have removed only later rows.
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
    for part in read_chunks(rows, _READ_AT_ONCE):
        found = read_snapshot(connection, database, [workflow_id for workflow_id, _ in part])
        yield from ((at, found.get(workflow_id)) for workflow_id, at in part)
