"""Specs in, rows in the DBOS tables out: the rows that the official client would have written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Connection

from ..core.columns import Repeated, convert, is_all_none, pick
from ..workflows.batch import Batch, encode_batch_inputs
from .connect import Database
from .copy import copy_rows, copy_text
from .layout import Layout
from .read import read_ids
from .retry import classify


@dataclass(frozen=True, slots=True)
class NewRows:
    """Rows of workflow_status by its columns, with their inputs; at least one.

    Shape:  `columns` has every column that is ever written, whether this schema has it or not.
    Source: DBOSClient.enqueue of dbos 3.4.0, `_enqueue_options.py` and `_sys_db.py`.
    """

    columns: Mapping[str, Sequence[Any]]
    count: int

    def pick(self, mask: bytes | bytearray) -> NewRows:
        """The rows at the places where the mask is not 0."""
        columns = {name: pick(column, mask) for name, column in self.columns.items()}
        return NewRows(columns, len(columns["workflow_uuid"]))

    def cut(self, start: int, stop: int) -> NewRows:
        part = slice(start, stop)
        return NewRows({name: column[part] for name, column in self.columns.items()}, stop - start)


_PG_TYPES = {
    "priority": "int4", "created_at": "int8", "workflow_timeout_ms": "int8",
    "workflow_deadline_epoch_ms": "int8", "delay_until_epoch_ms": "int8", "attributes": "jsonb",
}  # fmt: skip
_FIXED = ("updated_at", "recovery_attempts", "serialization")
_INPUT_COLUMNS = ("workflow_uuid", "inputs", "retention_timestamp")
_INPUT_SOURCES = ("workflow_uuid", "inputs", "created_at")  # of NewRows
_SQLITE_VARIABLES = 32_000  # in a statement; SQLite's own bound is 32,766 since 3.32
_OPTION_COLUMNS = (
    ("application", "application_name", "application"),
    ("queue_partition_key", "queue_partition_key", "queue_partition_key"),
    ("delay_ms", "delay_until_epoch_ms", "delay"),
    ("not_before_ms", "delay_until_epoch_ms", "not_before"),
    ("attributes", "attributes", "attributes"),
    ("schedule", "schedule_name", "schedule"),
)


def options_without_column(layout: Layout) -> list[tuple[str, str]]:
    """The options that this schema has no column for: the field of a spec, and the option's name."""
    return [(field, option) for field, column, option in _OPTION_COLUMNS if column not in layout.status]


def make_rows(
    batch: Batch,
    *,
    created_at_ms: Sequence[int],
    now_ms: int,
    attributes: Sequence[str | None],
    creator_xid: str,
) -> NewRows:
    """The rows of workflows. `delay` counts from `now_ms`; `attributes` are JSON."""
    fields, count = batch.columns, len(batch)
    delay_until = fields["not_before_ms"]
    if batch.sets("delay_ms"):
        delay_until = [
            until if delay is None else now_ms + delay
            for until, delay in zip(delay_until, fields["delay_ms"], strict=True)
        ]
    columns: dict[str, Sequence[Any]] = {
        "workflow_uuid": batch.ids,
        "status": convert(delay_until, lambda until: "ENQUEUED" if until is None else "DELAYED"),
        "name": fields["workflow"],
        "class_name": fields["class_name"],
        "config_name": fields["instance_name"],
        "queue_name": fields["queue"],
        "application_version": fields["application_version"],
        "application_name": fields["application"],
        "authenticated_user": fields["authenticated_user"],
        "authenticated_roles": convert(fields["authenticated_roles"], _encode_roles),
        "assumed_role": fields["assumed_role"],
        "priority": fields["priority"],
        "created_at": created_at_ms,
        "workflow_timeout_ms": fields["timeout_ms"],
        "workflow_deadline_epoch_ms": fields["deadline_ms"],
        "deduplication_id": fields["deduplication_id"],
        "queue_partition_key": fields["queue_partition_key"],
        "delay_until_epoch_ms": delay_until,
        "attributes": attributes,
        "schedule_name": fields["schedule"],
        "creator_xid": Repeated(creator_xid, count),
        "inputs": encode_batch_inputs(batch),
    }
    return NewRows(columns, count)


def _encode_roles(roles: list[str] | None) -> str | None:
    return json.dumps(roles) if roles else None


class Prepared(NamedTuple):
    """Rows ready to be inserted: what takes time and no database is done."""

    rows: NewRows
    names: Sequence[str]  # of the columns of workflow_status that are written
    status_text: bytes  # for COPY; empty where there is none
    input_text: bytes

    @property
    def ids(self) -> Sequence[str]:
        return self.rows.columns["workflow_uuid"]


def prepare_rows(database: Database, rows: NewRows, *, legacy_inputs: bool = False) -> Prepared:
    """What `insert_rows` takes. Columns that all rows leave NULL are left out: none of them has a default."""
    layout, columns, count = database.layout, rows.columns, rows.count
    in_status = legacy_inputs or not layout.has_workflow_input
    names = [
        name
        for name, column in columns.items()
        if (name in layout.status and name != "inputs" and not is_all_none(column))
        or (name == "inputs" and in_status)
    ]
    if database.dialect == "sqlite":
        return Prepared(rows, names, b"", b"")
    created_at = columns["created_at"]
    fixed = [created_at, Repeated(0, count), Repeated("portable_json", count)]
    inputs = [columns["workflow_uuid"], columns["inputs"], created_at]
    return Prepared(
        rows,
        names,
        copy_text([*map(columns.__getitem__, names), *fixed], count),
        copy_text(inputs, count) if layout.has_workflow_input else b"",
    )


class RowsRejected(Exception):
    """The database accepted rows and did not store them under their IDs."""

    def __init__(self, ids: set[str]) -> None:
        super().__init__(f"{len(ids)} rows were not stored")
        self.ids = ids


def insert_rows(
    connection: Connection, database: Database, prepared: Prepared, *, has_triggers: bool = False
) -> set[str]:
    """Insert the rows whose id is not there yet, and give the ids that were inserted.

    Inputs go only to rows that were really inserted: an input row beside an older workflow would
    replace its arguments. The rows that the server counts are compared with those that were written;
    where there are triggers, which may also give a row another ID, they are looked up.
    Raises: RowsRejected; the caller then rolls back to its savepoint.
    """
    if database.dialect == "sqlite":
        inserted, written = _insert_sqlite(connection, database, prepared)
    else:
        inserted, written = _insert_postgresql(connection, database, prepared)
    if has_triggers and database.dialect != "sqlite":
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")  # deferred ones would end the COMMIT
    expected = len(inserted) * (2 if database.layout.has_workflow_input else 1)
    if has_triggers or written != expected:
        _check_stored(connection, database, prepared, inserted)
    return inserted


def _check_stored(connection: Connection, database: Database, prepared: Prepared, inserted: set[str]) -> None:
    """Raises: RowsRejected for those that have no row, or were inserted and have no inputs."""
    rejected = {*prepared.ids} - read_ids(connection, database, "workflow_status", prepared.ids)
    if database.layout.has_workflow_input and inserted:
        rejected |= inserted - read_ids(connection, database, "workflow_input", prepared.ids)
    if rejected:
        raise RowsRejected(rejected)


def _insert_postgresql(
    connection: Connection, database: Database, prepared: Prepared
) -> tuple[set[str], int]:
    """COPY, as pass one found none of the rows there; the careful way when that proves wrong.

    Shape:  the IDs that were inserted, and the rows that the server counted, inputs included.
    """
    try:
        with connection.begin_nested():
            names = (*prepared.names, *_FIXED)
            written = copy_rows(connection, database.table("workflow_status"), names, prepared.status_text)
            if prepared.input_text:
                table = database.table("workflow_input")
                written += copy_rows(connection, table, _INPUT_COLUMNS, prepared.input_text)
        return set(prepared.ids), written
    except psycopg.Error as error:
        if classify(error) != "data":
            raise
        return _insert_missing(connection, database, prepared)


def _insert_missing(connection: Connection, database: Database, prepared: Prepared) -> tuple[set[str], int]:
    rows, names = prepared.rows, prepared.names
    types = [_PG_TYPES.get(name, "text") for name in names]
    # a jsonb array parameter would be parsed as JSON again: text goes in, jsonb comes of it
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
    ids = set(inserted).intersection(prepared.ids)  # a trigger may have put others in their place
    written = len(ids)
    if database.layout.has_workflow_input and ids:
        picked_rows = rows.pick(bytes(key in ids for key in prepared.ids))
        written += _insert_inputs(connection, database, picked_rows)
    return ids, written


def _insert_inputs(connection: Connection, database: Database, rows: NewRows) -> int:
    """Insert arguments and return how many rows have theirs now."""
    table = _driver_name(database, "workflow_input")
    source = "unnest(%s::text[], %s::text[], %s::int8[]) AS t(id, inputs, at)"
    values = tuple([*rows.columns[name]] for name in _INPUT_SOURCES)
    written = connection.exec_driver_sql(
        f"INSERT INTO {table} (workflow_uuid, inputs, retention_timestamp) "
        f"SELECT t.id, t.inputs, t.at FROM {source} ON CONFLICT (workflow_uuid) DO NOTHING",
        values,
    )
    count = written.rowcount
    if count < rows.count:
        # a row left by a removed workflow would give ours its arguments; not ON CONFLICT DO UPDATE,
        # which would ask every enqueuer for the privilege to update
        connection.exec_driver_sql(
            f"UPDATE {table} AS w SET inputs = t.inputs, retention_timestamp = t.at FROM {source} "
            "WHERE w.workflow_uuid = t.id AND w.inputs IS DISTINCT FROM t.inputs",
            values,
        )
        count = len(read_ids(connection, database, "workflow_input", rows.columns["workflow_uuid"]))
    return count


def _driver_name(database: Database, table: str) -> str:
    """The table's name where the driver, not SQLAlchemy, reads the placeholders."""
    return database.table(table).replace("%", "%%")


def _insert_sqlite(connection: Connection, database: Database, prepared: Prepared) -> tuple[set[str], int]:
    # the transaction is the only writer, so what is missing now stays missing until the insert
    ids = prepared.ids
    present = read_ids(connection, database, "workflow_status", ids)
    if len(present) == len(ids):
        return set(), 0
    rows = prepared.rows.pick(bytes(key not in present for key in ids)) if present else prepared.rows
    marks = ", ".join("?" * len(prepared.names))
    written = _insert_values(
        connection,
        f"workflow_status ({', '.join(prepared.names)}, updated_at, recovery_attempts, serialization)",
        f"({marks}, ?, 0, 'portable_json')",
        [rows.columns[name] for name in (*prepared.names, "created_at")],
    )
    if database.layout.has_workflow_input:
        # a row left by a removed workflow would give ours its arguments
        written += _insert_values(
            connection,
            "workflow_input (workflow_uuid, inputs, retention_timestamp)",
            "(?, ?, ?)",
            [rows.columns[name] for name in _INPUT_SOURCES],
            " ON CONFLICT (workflow_uuid) DO UPDATE SET inputs = excluded.inputs, "
            "retention_timestamp = excluded.retention_timestamp",
        )
    return set(rows.columns["workflow_uuid"]), written


def _insert_values(
    connection: Connection, into: str, marks: str, columns: Sequence[Sequence[Any]], tail: str = ""
) -> int:
    """Insert as many rows with a statement as SQLite takes, and return how many it counted.

    The driver gives Python's lock back once a statement: with a row each, the threads would wait for
    one another at every row.
    """
    rows, written = zip(*columns, strict=True), 0
    while part := [*islice(rows, _SQLITE_VARIABLES // len(columns))]:
        values = ", ".join([marks] * len(part))
        statement = f"INSERT INTO {into} VALUES {values}{tail}"
        written += connection.exec_driver_sql(statement, tuple(chain.from_iterable(part))).rowcount
    return written
