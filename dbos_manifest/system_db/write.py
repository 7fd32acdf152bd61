"""Specs in; rows of workflow_status and workflow_input out, as the official DBOS client writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from ..spec import WorkflowSpec
from .connect import Database
from .layout import Layout
from .read import read_existing_ids

_OPTION_COLUMNS = {
    "application": "application_name",
    "queue_partition_key": "queue_partition_key",
    "not_before_ms": "delay_until_epoch_ms",
    "delay_ms": "delay_until_epoch_ms",
    "attributes": "attributes",
}  # the options whose columns DBOS added after `serialization`, and queue_partition_key
_OPTION_NAMES = {"not_before_ms": "not_before", "delay_ms": "delay"}
_encode_inputs = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class NewRow(NamedTuple):
    """What an enqueue writes, by DBOS's column names."""

    workflow_uuid: str
    status: str
    name: str
    class_name: str | None
    config_name: str | None
    queue_name: str
    queue_partition_key: str | None
    deduplication_id: str | None
    application_version: str | None
    application_name: str | None
    authenticated_user: str | None
    authenticated_roles: str | None  # JSON text
    assumed_role: str | None
    priority: int
    workflow_timeout_ms: int | None
    workflow_deadline_epoch_ms: int | None
    delay_until_epoch_ms: int | None
    attributes: str | None  # JSON text
    creator_xid: str | None
    created_at: int  # epoch ms; updated_at is the same
    inputs: str  # JSON text


_BIGINTS = {"workflow_timeout_ms", "workflow_deadline_epoch_ms", "delay_until_epoch_ms", "created_at"}
_POSTGRES_TYPES = dict.fromkeys(_BIGINTS, "bigint") | {"priority": "integer"}
# the same in every row we write; `inputs` goes to its own table where there is one
_CONSTANTS = {"updated_at": "row.created_at", "recovery_attempts": "0", "serialization": "'portable_json'"}


def option_columns_missing(layout: Layout, spec: WorkflowSpec) -> list[str]:
    """The options that a spec sets and this schema has no column for."""
    return [
        _OPTION_NAMES.get(option, option)
        for option, column in _OPTION_COLUMNS.items()
        if column not in layout.columns and getattr(spec, option) is not None
    ]


def make_row(
    spec: WorkflowSpec,
    *,
    created_at_ms: int,
    now_ms: int,
    attributes: dict[str, Any] | None,
    creator_xid: str | None,
) -> NewRow:
    """The row of a spec; a delay counts from `now_ms`, `attributes` stand for the spec's own.

    Source: dbos 3.4.0 `_enqueue_options.py`, `_serialization.py`.
    """
    delay_until_ms = spec.not_before_ms if spec.delay_ms is None else now_ms + spec.delay_ms
    return NewRow(
        workflow_uuid=spec.id,
        status="ENQUEUED" if delay_until_ms is None else "DELAYED",
        name=spec.workflow,
        class_name=spec.class_name,
        config_name=spec.instance_name,
        queue_name=spec.queue,
        queue_partition_key=spec.queue_partition_key,
        deduplication_id=spec.deduplication_id,
        application_version=spec.application_version,
        application_name=spec.application,
        authenticated_user=spec.authenticated_user,
        authenticated_roles=json.dumps(spec.authenticated_roles) if spec.authenticated_roles else None,
        assumed_role=spec.assumed_role,
        priority=spec.priority,
        workflow_timeout_ms=spec.timeout_ms,
        workflow_deadline_epoch_ms=spec.deadline_ms,
        delay_until_epoch_ms=delay_until_ms,
        attributes=None if attributes is None else json.dumps(attributes),
        creator_xid=creator_xid,
        created_at=created_at_ms,
        inputs=_encode_inputs({"namedArgs": spec.kwargs, "positionalArgs": spec.args}),
    )


def insert_rows(
    connection: Connection, database: Database, rows: Sequence[NewRow], legacy_inputs: bool = False
) -> set[str]:
    """Enqueue the rows whose id the database does not have, and say which those were.

    A row that exists is not touched, nor is its input: its writer may have kept that in
    workflow_status, where a new row of workflow_input would hide it.
    Raises: sqlalchemy.exc.DBAPIError, the transaction being unusable then on PostgreSQL.
    Source: DBOS.md §0, §4.
    """
    layout = database.layout
    columns = [name for name in NewRow._fields if name in layout.columns and name != "inputs"]
    if legacy_inputs or not layout.has_workflow_input:
        columns.append("inputs")
    insert = _insert_postgres if database.dialect == "postgresql" else _insert_sqlite
    return insert(connection, database, rows, columns)


def _insert_postgres(
    connection: Connection, database: Database, rows: Sequence[NewRow], columns: Sequence[str]
) -> set[str]:
    layout = database.layout
    statement = text(
        f"""
        INSERT INTO {layout.table("workflow_status")} ({", ".join([*columns, *_CONSTANTS])})
        SELECT {", ".join([*map(_from_row, columns), *_CONSTANTS.values()])} FROM {_unnested(columns)}
        ON CONFLICT (workflow_uuid) DO NOTHING RETURNING workflow_uuid
        """
    )
    inserted = set(connection.scalars(statement, _columns_of(rows, columns)))
    if layout.has_workflow_input and inserted:
        new = [row for row in rows if row.workflow_uuid in inserted]
        wanted = ("workflow_uuid", "inputs", "created_at")
        connection.execute(
            text(
                f"""
                INSERT INTO {layout.table("workflow_input")} (workflow_uuid, inputs, retention_timestamp)
                SELECT row.workflow_uuid, row.inputs, row.created_at FROM {_unnested(wanted)}
                ON CONFLICT (workflow_uuid) DO NOTHING
                """
            ),
            _columns_of(new, wanted),
        )
    return inserted


def _from_row(column: str) -> str:
    return "CAST(row.attributes AS jsonb)" if column == "attributes" else f"row.{column}"


def _unnested(columns: Sequence[str]) -> str:
    arrays = ", ".join(f"CAST(:{name} AS {_POSTGRES_TYPES.get(name, 'text')}[])" for name in columns)
    return f"unnest({arrays}) AS row({', '.join(columns)})"


def _columns_of(rows: Sequence[NewRow], columns: Sequence[str]) -> dict[str, list[Any]]:
    by_column = dict(zip(NewRow._fields, map(list, zip(*rows, strict=True)), strict=True))
    return {name: by_column[name] for name in columns}


def _insert_sqlite(
    connection: Connection, database: Database, rows: Sequence[NewRow], columns: Sequence[str]
) -> set[str]:
    layout = database.layout
    # the transaction holds the write lock, so what is missing now stays missing
    existing = read_existing_ids(connection, database, [row.workflow_uuid for row in rows])
    new = [row._asdict() for row in rows if row.workflow_uuid not in existing]
    if not new:
        return set()
    constants = {**_CONSTANTS, "updated_at": ":created_at"}
    connection.execute(
        text(
            f"""
            INSERT INTO {layout.table("workflow_status")} ({", ".join([*columns, *constants])})
            VALUES ({", ".join([*(f":{name}" for name in columns), *constants.values()])})
            """
        ),
        new,
    )
    if layout.has_workflow_input:
        connection.execute(
            text(
                f"""
                INSERT INTO {layout.table("workflow_input")} (workflow_uuid, inputs, retention_timestamp)
                VALUES (:workflow_uuid, :inputs, :created_at)
                ON CONFLICT (workflow_uuid) DO NOTHING
                """
            ),
            new,
        )
    return {row["workflow_uuid"] for row in new}
