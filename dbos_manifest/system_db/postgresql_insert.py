"""Insert rows into PostgreSQL: by COPY, or row by row where some of them exist already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ..core.columns import Repeated, join_texts
from .database import Database
from .insert import RowsRejected
from .new_rows import COLUMNS_OF_ALL, INPUT_COLUMNS, INPUT_SOURCES, NewRows, PreparedRows
from .postgresql_connect import driver_of
from .retry import INSUFFICIENT_PRIVILEGE, classify

_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_TYPES = {
    "priority": "int4", "created_at": "int8", "workflow_timeout_ms": "int8",
    "workflow_deadline_epoch_ms": "int8", "delay_until_epoch_ms": "int8", "attributes": "jsonb",
}  # fmt: skip
_FEATURE_NOT_SUPPORTED = "0A000"
LEFTOVER = (
    "workflow_input has other arguments under its id, of a workflow that was removed, and this role may not "
    "replace them: delete that row"
)
Cell = str | int | None


def prepare(database: Database, rows: NewRows, names: Sequence[str]) -> PreparedRows:
    """Encode rows for COPY; see `Database.prepare`."""
    columns, count = rows.columns, rows.count
    created_at = columns["created_at"]
    fixed = [created_at, Repeated(0, count), Repeated("portable_json", count)]
    inputs = [*map(columns.__getitem__, INPUT_SOURCES)]
    return PreparedRows(
        rows,
        names,
        copy_text([*map(columns.__getitem__, names), *fixed], count),
        copy_text(inputs, count) if database.layout.has_workflow_input else b"",
    )


def insert_missing(
    connection: Connection, database: Database, prepared: PreparedRows
) -> tuple[set[str], int]:
    """Insert the rows whose ID does not exist yet; see `Database.insert`.

    COPY is the fastest way, and plan has found none of the rows. It fails when one of them exists by now, and
    where row-level security applies to this role.
    """
    try:
        with connection.begin_nested():
            names = (*prepared.names, *COLUMNS_OF_ALL)
            written = _copy_rows(connection, database.table("workflow_status"), names, prepared.status_text)
            if prepared.input_text:
                table = database.table("workflow_input")
                written += _copy_rows(connection, table, INPUT_COLUMNS, prepared.input_text)
        return set(prepared.ids), written
    except psycopg.Error as error:
        if classify(error) != "data" and error.sqlstate != _FEATURE_NOT_SUPPORTED:
            raise
        return _insert_rows(connection, database, prepared)


def _insert_rows(connection: Connection, database: Database, prepared: PreparedRows) -> tuple[set[str], int]:
    rows, names = prepared.rows, prepared.names
    types = [_TYPES.get(name, "text") for name in names]
    # an array parameter of jsonb would be parsed as JSON again, so it is a text that is cast to jsonb
    arrays = ", ".join(f"%s::{'text' if kind == 'jsonb' else kind}[]" for kind in types)
    picked = ", ".join(
        f"t.{name}::jsonb" if kind == "jsonb" else f"t.{name}"
        for name, kind in zip(names, types, strict=True)
    )
    listed = ", ".join(names)
    inserted = connection.exec_driver_sql(
        f"INSERT INTO {_driver_name(database, 'workflow_status')} "
        f"({listed}, updated_at, recovery_attempts, serialization) "
        f"SELECT {picked}, t.created_at, 0, 'portable_json' FROM unnest({arrays}) AS t({listed}) "
        "ON CONFLICT (workflow_uuid) DO NOTHING RETURNING workflow_uuid",
        tuple([*rows.columns[name]] for name in names),
    ).scalars()
    ids = set(inserted).intersection(prepared.ids)  # a trigger may have changed IDs
    written = len(ids)
    if database.layout.has_workflow_input and ids:
        picked_rows = rows.filter(bytes(key in ids for key in prepared.ids))
        written += _insert_inputs(connection, database, picked_rows)
    return ids, written


def _insert_inputs(connection: Connection, database: Database, rows: NewRows) -> int:
    """Insert arguments and return how many rows have theirs now. Raises: RowsRejected."""
    table = _driver_name(database, "workflow_input")
    source = "unnest(%s::text[], %s::text[], %s::int8[]) AS t(id, inputs, at)"
    values: tuple[object, ...] = tuple([*rows.columns[name]] for name in INPUT_SOURCES)
    written = connection.exec_driver_sql(
        f"INSERT INTO {table} (workflow_uuid, inputs, retention_timestamp) "
        f"SELECT t.id, t.inputs, t.at FROM {source} ON CONFLICT (workflow_uuid) DO NOTHING",
        values,
    )
    if written.rowcount == rows.count:
        return rows.count
    # The row of a removed workflow would give ours its arguments. ON CONFLICT DO UPDATE would need the
    # privilege to update even where there is no such row.
    stored = connection.exec_driver_sql(
        f"SELECT t.id, w.inputs IS DISTINCT FROM t.inputs FROM {source} "
        f"JOIN {table} AS w ON w.workflow_uuid = t.id",
        values,
    ).all()
    different = {str(key) for key, differs in stored if differs}
    if different:
        statement = (
            f"UPDATE {table} AS w SET inputs = t.inputs, retention_timestamp = t.at FROM {source} "
            "WHERE w.workflow_uuid = t.id AND w.inputs IS DISTINCT FROM t.inputs RETURNING w.workflow_uuid"
        )
        if kept := different - _update_if_allowed(connection, statement, values):
            raise RowsRejected(kept, LEFTOVER)
    return len(stored)


def _update_if_allowed(connection: Connection, statement: str, values: tuple[object, ...]) -> set[str]:
    """Update rows and return the one column of the result; nothing where the role may not update."""
    try:
        with connection.begin_nested():
            return {*connection.exec_driver_sql(statement, values).scalars()}
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise
        return set()


def _driver_name(database: Database, table: str) -> str:
    """Return the table's name where the driver, not SQLAlchemy, reads the placeholders."""
    return database.table(table).replace("%", "%%")


def copy_text(columns: Sequence[Sequence[Cell]], count: int) -> bytes:
    """Encode rows in COPY's text format, column by column.

    Source: PostgreSQL, COPY, text format.
    """
    tab = Repeated("\t", count)
    pieces = [piece for column in columns for piece in (tab, _encode_column(column))]
    return ("\n".join(join_texts(pieces[1:], count, "")) + "\n").encode()


def _copy_rows(connection: Connection, table: str, columns: Sequence[str], text: bytes) -> int:
    """Append rows to a table and return how many the server wrote: a trigger may drop some.

    Raises: psycopg.Error; the transaction then has to be rolled back to its last savepoint.
    """
    with driver_of(connection).cursor() as cursor:
        with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            copy.write(text)
        return int(cursor.rowcount)


def _encode_column(values: Sequence[Cell]) -> Sequence[str]:
    if isinstance(values, Repeated):
        return Repeated(_encode(values.value), len(values))
    kinds = {*map(type, values)}
    if kinds == {int}:
        return [*map({value: str(value) for value in {*values}}.__getitem__, values)]
    if kinds == {str} and _is_plain(texts := cast("Sequence[str]", values)):
        return texts
    return [*map(_encode, values)]


def _is_plain(texts: Sequence[str]) -> bool:
    text = "".join(texts)
    return not any(character in text for character in _ESCAPES)


def _encode(value: Cell) -> str:
    if value is None:
        return "\\N"
    if type(value) is str:
        return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], value)
    return str(value)
