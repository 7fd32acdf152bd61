"""Insert rows into SQLite, as many with a statement as it takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice

from sqlalchemy import Connection

from .database import Database
from .new_rows import COLUMNS_OF_ALL, INPUT_COLUMNS, INPUT_SOURCES, PreparedRows
from .read import read_ids

_MOST_VARIABLES = 32_000  # in a statement; the limit of SQLite is 32,766 since 3.32


def insert_missing(
    connection: Connection, database: Database, prepared: PreparedRows
) -> tuple[set[str], int]:
    """Insert the rows whose ID does not exist yet; see `Database.insert`.

    The transaction is the only writer, so what is missing now is still missing at the insert.
    """
    ids = prepared.ids
    present = read_ids(connection, database, "workflow_status", ids)
    if len(present) == len(ids):
        return set(), 0
    rows = prepared.rows.filter(bytes(key not in present for key in ids)) if present else prepared.rows
    marks = ", ".join("?" * len(prepared.names))
    written = _insert_values(
        connection,
        f"workflow_status ({', '.join((*prepared.names, *COLUMNS_OF_ALL))})",
        f"({marks}, ?, 0, 'portable_json')",
        [rows.columns[name] for name in (*prepared.names, "created_at")],
    )
    if database.layout.has_workflow_input:
        # the row of a removed workflow would give ours its arguments
        written += _insert_values(
            connection,
            f"workflow_input ({', '.join(INPUT_COLUMNS)})",
            "(?, ?, ?)",
            [rows.columns[name] for name in INPUT_SOURCES],
            " ON CONFLICT (workflow_uuid) DO UPDATE SET inputs = excluded.inputs, "
            "retention_timestamp = excluded.retention_timestamp",
        )
    return set(rows.columns["workflow_uuid"]), written


def _insert_values(
    connection: Connection, into: str, marks: str, columns: Sequence[Sequence[object]], tail: str = ""
) -> int:
    """Insert rows, and return how many SQLite counted.

    The driver releases Python's lock once per statement: with a row each, the threads would wait for each
    other at every row.
    """
    rows, written = zip(*columns, strict=True), 0
    while part := [*islice(rows, _MOST_VARIABLES // len(columns))]:
        values = ", ".join([marks] * len(part))
        statement = f"INSERT INTO {into} VALUES {values}{tail}"
        written += connection.exec_driver_sql(statement, tuple(chain.from_iterable(part))).rowcount
    return written
