"""Specs in, rows in the DBOS tables out: the rows that the official client would have written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

import psycopg
from sqlalchemy import Connection

from ..spec import WorkflowSpec, encode_inputs
from .connect import Database
from .copy import copy_rows, copy_text
from .layout import Layout
from .retry import classify


class NewRow(NamedTuple):
    """A row of workflow_status, by its columns, and its inputs.

    Source: DBOSClient.enqueue of dbos 3.4.0, `_enqueue_options.py` and `_sys_db.py`.
    """

    workflow_uuid: str
    status: str
    name: str
    class_name: str | None
    config_name: str | None
    queue_name: str
    application_version: str | None
    application_name: str | None
    authenticated_user: str | None
    authenticated_roles: str | None
    assumed_role: str | None
    priority: int
    created_at: int
    workflow_timeout_ms: int | None
    workflow_deadline_epoch_ms: int | None
    deduplication_id: str | None
    queue_partition_key: str | None
    delay_until_epoch_ms: int | None
    attributes: str | None
    creator_xid: str
    inputs: str


_PG_TYPES = {
    "priority": "int4", "created_at": "int8", "workflow_timeout_ms": "int8",
    "workflow_deadline_epoch_ms": "int8", "delay_until_epoch_ms": "int8", "attributes": "jsonb",
}  # fmt: skip
_FIXED = ("updated_at", "recovery_attempts", "serialization")
_INPUT_COLUMNS = ("workflow_uuid", "inputs", "retention_timestamp")
_SQLITE_VARIABLES = 32_000  # in a statement; SQLite's own bound is 32,766 since 3.32
_OPTION_COLUMNS = (
    ("application", "application_name", "application"),
    ("queue_partition_key", "queue_partition_key", "queue_partition_key"),
    ("delay_ms", "delay_until_epoch_ms", "delay"),
    ("not_before_ms", "delay_until_epoch_ms", "not_before"),
    ("attributes", "attributes", "attributes"),
)


def options_without_column(layout: Layout) -> list[tuple[str, str]]:
    """The options that this schema has no column for: the field of a spec, and the option's name."""
    return [(field, option) for field, column, option in _OPTION_COLUMNS if column not in layout.status]


def make_row(
    spec: WorkflowSpec,
    *,
    created_at_ms: int,
    now_ms: int,
    attributes: str | None,
    creator_xid: str,
) -> NewRow:
    """The row of a workflow. `delay` counts from `now_ms`; `attributes` is JSON."""
    delay_until_ms = spec.not_before_ms if spec.delay_ms is None else now_ms + spec.delay_ms
    return NewRow(  # by position: this is made a million times
        spec.id,
        "ENQUEUED" if delay_until_ms is None else "DELAYED",
        spec.workflow,
        spec.class_name,
        spec.instance_name,
        spec.queue,
        spec.application_version,
        spec.application,
        spec.authenticated_user,
        json.dumps(spec.authenticated_roles) if spec.authenticated_roles else None,
        spec.assumed_role,
        spec.priority,
        created_at_ms,
        spec.timeout_ms,
        spec.deadline_ms,
        spec.deduplication_id,
        spec.queue_partition_key,
        delay_until_ms,
        attributes,
        creator_xid,
        encode_inputs(spec),
    )


class Prepared(NamedTuple):
    """Rows ready to be inserted: what takes time and no database is done."""

    rows: Sequence[NewRow]
    columns: Sequence[str]  # of workflow_status, all of them in NewRow
    status_text: bytes  # for COPY; empty where there is none
    input_text: bytes

    @property
    def ids(self) -> set[str]:
        return {row.workflow_uuid for row in self.rows}


def prepare_rows(database: Database, rows: Sequence[NewRow], *, legacy_inputs: bool = False) -> Prepared:
    """What `insert_rows` takes. Columns that all rows leave NULL are left out: none of them has a default."""
    layout = database.layout
    if not rows:
        return Prepared((), (), b"", b"")
    by_name = dict(zip(NewRow._fields, zip(*rows, strict=True), strict=True))
    in_status = legacy_inputs or not layout.has_workflow_input
    count = len(rows)
    columns = [
        name
        for name, values in by_name.items()
        if (name in layout.status and name != "inputs" and values.count(None) < count)
        or (name == "inputs" and in_status)
    ]
    if database.dialect == "sqlite":
        return Prepared(rows, columns, b"", b"")
    created_at = by_name["created_at"]
    fixed = [created_at, (0,) * count, ("portable_json",) * count]
    inputs = [by_name["workflow_uuid"], by_name["inputs"], created_at]
    return Prepared(
        rows,
        columns,
        copy_text([*(by_name[name] for name in columns), *fixed]),
        copy_text(inputs) if layout.has_workflow_input else b"",
    )


def insert_rows(connection: Connection, database: Database, prepared: Prepared) -> set[str]:
    """Insert the rows whose id is not there yet, and give the ids that were inserted.

    Inputs go only to rows that were really inserted: an input row beside an older workflow would
    replace its arguments.
    """
    if not prepared.rows:
        return set()
    if database.dialect == "sqlite":
        return _insert_sqlite(connection, database, prepared.rows, prepared.columns)
    return _insert_postgresql(connection, database, prepared)


def _insert_postgresql(connection: Connection, database: Database, prepared: Prepared) -> set[str]:
    """COPY, as pass one found none of the rows there; the careful way when that proves wrong."""
    try:
        with connection.begin_nested():
            columns = (*prepared.columns, *_FIXED)
            copy_rows(connection, database.table("workflow_status"), columns, prepared.status_text)
            if prepared.input_text:
                table = database.table("workflow_input")
                copy_rows(connection, table, _INPUT_COLUMNS, prepared.input_text)
        return prepared.ids
    except psycopg.Error as error:
        if classify(error) != "data":
            raise
        return _insert_missing(connection, database, prepared.rows, prepared.columns)


def _insert_missing(
    connection: Connection, database: Database, rows: Sequence[NewRow], columns: Sequence[str]
) -> set[str]:
    types = [_PG_TYPES.get(name, "text") for name in columns]
    # a jsonb array parameter would be parsed as JSON again: text goes in, jsonb comes of it
    arrays = ", ".join(f"%s::{'text' if kind == 'jsonb' else kind}[]" for kind in types)
    picked = ", ".join(
        f"t.{name}::jsonb" if kind == "jsonb" else f"t.{name}"
        for name, kind in zip(columns, types, strict=True)
    )
    names = ", ".join(columns)
    inserted = connection.exec_driver_sql(
        f"INSERT INTO {_driver_name(database, 'workflow_status')} "
        f"({names}, updated_at, recovery_attempts, serialization) "
        f"SELECT {picked}, t.created_at, 0, 'portable_json' FROM unnest({arrays}) AS t({names}) "
        "ON CONFLICT (workflow_uuid) DO NOTHING RETURNING workflow_uuid",
        tuple([getattr(row, name) for row in rows] for name in columns),
    ).scalars()
    ids = set(inserted)
    if database.layout.has_workflow_input and ids:
        new = [row for row in rows if row.workflow_uuid in ids]
        _insert_inputs(connection, database, new)
    return ids


def _insert_inputs(connection: Connection, database: Database, rows: Sequence[NewRow]) -> None:
    table = _driver_name(database, "workflow_input")
    source = "unnest(%s::text[], %s::text[], %s::int8[]) AS t(id, inputs, at)"
    values = (
        [row.workflow_uuid for row in rows],
        [row.inputs for row in rows],
        [row.created_at for row in rows],
    )
    written = connection.exec_driver_sql(
        f"INSERT INTO {table} (workflow_uuid, inputs, retention_timestamp) "
        f"SELECT t.id, t.inputs, t.at FROM {source} ON CONFLICT (workflow_uuid) DO NOTHING",
        values,
    )
    if written.rowcount < len(rows):
        # a row left by a removed workflow would give ours its arguments; not ON CONFLICT DO UPDATE,
        # which would ask every enqueuer for the privilege to update
        connection.exec_driver_sql(
            f"UPDATE {table} AS w SET inputs = t.inputs, retention_timestamp = t.at FROM {source} "
            "WHERE w.workflow_uuid = t.id AND w.inputs IS DISTINCT FROM t.inputs",
            values,
        )


def _driver_name(database: Database, table: str) -> str:
    """The table's name where the driver, not SQLAlchemy, reads the placeholders."""
    return database.table(table).replace("%", "%%")


def _insert_sqlite(
    connection: Connection, database: Database, rows: Sequence[NewRow], columns: Sequence[str]
) -> set[str]:
    # the transaction is the only writer, so what is missing now stays missing until the insert
    present = set(
        connection.exec_driver_sql(
            "SELECT workflow_uuid FROM workflow_status "
            "WHERE workflow_uuid IN (SELECT value FROM json_each(?))",
            (json.dumps([row.workflow_uuid for row in rows]),),
        ).scalars()
    )
    new = [row for row in rows if row.workflow_uuid not in present]
    if not new:
        return set()
    marks = ", ".join("?" * len(columns))
    _insert_values(
        connection,
        f"workflow_status ({', '.join(columns)}, updated_at, recovery_attempts, serialization)",
        f"({marks}, ?, 0, 'portable_json')",
        list(map(attrgetter(*columns, "created_at"), new)),
    )
    if database.layout.has_workflow_input:
        # a row left by a removed workflow would give ours its arguments
        _insert_values(
            connection,
            "workflow_input (workflow_uuid, inputs, retention_timestamp)",
            "(?, ?, ?)",
            list(map(attrgetter("workflow_uuid", "inputs", "created_at"), new)),
            " ON CONFLICT (workflow_uuid) DO UPDATE SET inputs = excluded.inputs, "
            "retention_timestamp = excluded.retention_timestamp",
        )
    return {row.workflow_uuid for row in new}


def _insert_values(
    connection: Connection, into: str, marks: str, rows: Sequence[tuple[object, ...]], tail: str = ""
) -> None:
    """As many rows a statement as SQLite takes.

    The driver gives Python's lock back once a statement: with a row each, the threads would wait for
    one another at every row.
    """
    size = _SQLITE_VARIABLES // len(rows[0])
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        values = ", ".join([marks] * len(part))
        connection.exec_driver_sql(
            f"INSERT INTO {into} VALUES {values}{tail}", tuple(chain.from_iterable(part))
        )
