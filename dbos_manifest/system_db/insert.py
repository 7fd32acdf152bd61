"""Insert new rows into the DBOS tables, and check that the database stored all of them."""

from __future__ import annotations

from sqlalchemy import Connection

from ..core.columns import is_all_none
from .database import Database
from .new_rows import NewRows, PreparedRows
from .read import read_ids

DROPPED = (
    "the database accepted its row and did not keep it: look for a trigger or a row-level security policy on "
    "the DBOS tables"
)


class RowsRejected(Exception):
    """Rows of a statement that succeeded cannot be kept, all for one reason."""

    def __init__(self, ids: set[str], reason: str = DROPPED) -> None:
        super().__init__(f"{len(ids)} rows: {reason}")
        self.ids = ids
        self.reason = reason


def prepare_rows(database: Database, rows: NewRows, *, legacy_inputs: bool = False) -> PreparedRows:
    """Prepare rows for `insert_rows`. Columns that are NULL in all rows are left out: none has a default."""
    layout = database.layout
    in_status = legacy_inputs or not layout.has_workflow_input
    names = [
        name
        for name, column in rows.columns.items()
        if (name in layout.status and name != "inputs" and not is_all_none(column))
        or (name == "inputs" and in_status)
    ]
    return database.prepare(rows, names)


def insert_rows(
    connection: Connection, database: Database, prepared: PreparedRows, *, has_triggers: bool = False
) -> set[str]:
    """Insert the rows whose ID does not exist yet, and return the IDs that were inserted.

    Inputs are inserted only for rows that were really inserted: an input row next to an older workflow
    would replace its arguments. The rows that the server counts are compared with those that were written;
    where there are triggers, which may also give a row another ID, they are looked up.
    Raises: RowsRejected; the caller then rolls back to its savepoint.
    """
    inserted, written = database.insert(connection, prepared)
    if has_triggers:
        database.check_constraints(connection)
    expected = len(inserted) * (2 if database.layout.has_workflow_input else 1)
    if has_triggers or written != expected:
        _check_stored(connection, database, prepared, inserted)
    return inserted


def _check_stored(
    connection: Connection, database: Database, prepared: PreparedRows, inserted: set[str]
) -> None:
    """Raise RowsRejected for IDs that have no row, or were inserted and have no inputs."""
    rejected = {*prepared.ids} - read_ids(connection, database, "workflow_status", prepared.ids)
    if database.layout.has_workflow_input and inserted:
        rejected |= inserted - read_ids(connection, database, "workflow_input", prepared.ids)
    if rejected:
        raise RowsRejected(rejected)
