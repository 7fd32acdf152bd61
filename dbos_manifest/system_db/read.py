"""Read the rows of workflows by their IDs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, text

from ..core.units import MAX_TIMESTAMP, MIN_TIMESTAMP
from ..planning.missing_rows import OldestRows
from ..planning.rows import FINAL_STATUSES, LiveRow, SnapshotRow
from .database import Database

Value = TypeVar("Value")
Record = TypeVar("Record")
_SNAPSHOT = (
    "workflow_uuid", "status", "name", "class_name", "config_name", "application_name", "queue_name",
    "queue_partition_key", "deduplication_id", "application_version", "priority", "workflow_timeout_ms",
    "workflow_deadline_epoch_ms", "delay_until_epoch_ms", "authenticated_user", "authenticated_roles",
    "assumed_role", "serialization", "inputs", "schedule_name", "executor_id", "recovery_attempts",
    "started", "touched", "created_at", "completed_at", "creator_xid",
)  # fmt: skip
_LIVE = (
    "workflow_uuid", "status", "name", "queue_name", "created_at", "started_at_epoch_ms", "completed_at",
    "recovery_attempts", "serialization", "output", "error",
)  # fmt: skip
_NUMBERS = frozenset(
    {
        "priority", "workflow_timeout_ms", "workflow_deadline_epoch_ms", "delay_until_epoch_ms", "started",
        "recovery_attempts", "touched", "created_at", "started_at_epoch_ms", "completed_at",
    }
)  # fmt: skip
_UNSHARED = ("workflow_uuid", "inputs", "created_at", "completed_at", "creator_xid")
_FIELDS = dict(zip(_SNAPSHOT, SnapshotRow._fields, strict=True))
_SHARED = tuple(name for name in _SNAPSHOT if name not in _UNSHARED)
_SHARED_FIELDS = tuple(_FIELDS[name] for name in _SHARED)
_UNSHARED_EMPTY: dict[str, Any] = {"id": "", "inputs": None, "completed_at_ms": None, "creator_xid": None}
_TIME_MASK = 2**48 - 1  # keeps every time up to the year 9999, and a sum of them in 64 bits


def read_ids(connection: Connection, database: Database, table: str, ids: Sequence[str]) -> set[str]:
    """Return those of the IDs that a DBOS table has a row for."""
    database.prefer_index_scans(connection)
    statement = f"SELECT workflow_uuid FROM {database.table(table)} WHERE workflow_uuid {database.in_list}"
    return {*connection.execute(text(statement), {"ids": database.encode_list(ids)}).scalars()}


def read_snapshot(connection: Connection, database: Database, ids: Sequence[str]) -> dict[str, SnapshotRow]:
    """Read the rows of these IDs, with their inputs as stored."""
    return _read(connection, database, ids, _SNAPSHOT, SnapshotRow)


def read_shared_rows(
    connection: Connection, database: Database, ids: Sequence[str]
) -> tuple[dict[str, SnapshotRow], int]:
    """Read the rows of these IDs, with one record for all rows that have the same values.

    Shape:  the rows, and the sum of `created_at` over all of them. In a row `id`, `inputs`, `completed_at_ms`
            and `creator_xid` are empty; `created_at_ms` is the latest of the rows that share the record.
    Cost:   where most rows have the same values, a tenth of the time of separate rows.
    """
    selected = ", ".join(_select(database, name) for name in _SHARED)
    numbers = ", ".join(str(4 + position) for position in range(len(_SHARED)))
    database.prefer_index_scans(connection)
    found = connection.execute(
        text(
            f"SELECT {database.array_agg}(ws.workflow_uuid), max(ws.created_at), "
            f"sum(ws.created_at & {_TIME_MASK}), {selected} "
            f"FROM {database.table('workflow_status')} ws WHERE ws.workflow_uuid {database.in_list} "
            f"GROUP BY {numbers}"
        ),
        {"ids": database.encode_list(ids)},
    )
    rows: dict[str, SnapshotRow] = {}
    total = 0
    for members, created_at, part, *values in found:
        total += int(part or 0)
        # here, and not in the statement as in `_column`: there are few records and many rows
        fields = dict(zip(_SHARED_FIELDS, map(decode_text, values), strict=True))
        fields["status"] = fields["status"] or "unknown"
        row = SnapshotRow(**_UNSHARED_EMPTY, created_at_ms=clamp_time(created_at), **fields)
        rows.update(dict.fromkeys(json.loads(members) if isinstance(members, str) else members, row))
    return rows, total


def decode_text(value: Value) -> Value:
    """Decode a stored text: in SQLite it may be bytes. Other values are returned unchanged."""
    if isinstance(value, bytes):
        return cast("Value", value.decode("utf-8", "backslashreplace"))
    return value


def clamp_time(value: object) -> int:
    """Return the nearest moment of the years 1 to 9999; what is not a number is 1970."""
    return int(min(max(value, MIN_TIMESTAMP), MAX_TIMESTAMP)) if isinstance(value, (int, float)) else 0


def read_rows_of_other_times(
    connection: Connection, database: Database, times: Mapping[str, int]
) -> dict[str, SnapshotRow]:
    """Read those rows, of these IDs, that were created at another time than the given one (epoch ms)."""
    columns = ("workflow_uuid", "created_at")
    stored = _read(connection, database, [*times], columns, lambda _, created_at: created_at)
    others = [workflow_id for workflow_id, created_at in stored.items() if created_at != times[workflow_id]]
    return read_snapshot(connection, database, others) if others else {}


def read_live(
    connection: Connection, database: Database, ids: Sequence[str], *, outputs: bool = True
) -> dict[str, LiveRow]:
    """Read the live rows of these IDs, with output and error as stored; without `outputs` no output."""
    select = _column_as_stored if outputs else _column_without_output
    return _read(connection, database, ids, _LIVE, LiveRow, select)


def read_statuses(
    connection: Connection, database: Database, ids: Sequence[str]
) -> dict[str, tuple[str, int | None]]:
    """Read the status of these IDs and, for a final one, completed_at (epoch ms)."""
    columns = ("workflow_uuid", "status", "completed_at")
    return _read(connection, database, ids, columns, lambda _, status, completed_at: (status, completed_at))


def _read(
    connection: Connection,
    database: Database,
    ids: Sequence[str],
    columns: Sequence[str],
    make: Callable[..., Record],
    select: Callable[[Database, str], str] | None = None,
) -> dict[str, Record]:
    """Read records by ID, made of the values of these columns; the ID is the first of them."""
    select = select or _column
    selected = ", ".join(f"{select(database, name)} AS {name}" for name in columns)
    joins = ""
    if "inputs" in columns and database.layout.has_workflow_input:
        joins += f" LEFT JOIN {database.table('workflow_input')} wi ON wi.workflow_uuid = ws.workflow_uuid"
    if "output" in columns and database.layout.has_workflow_output:
        joins += f" LEFT JOIN {database.table('workflow_output')} wo ON wo.workflow_uuid = ws.workflow_uuid"
    database.prefer_index_scans(connection)
    rows = connection.execute(
        text(
            f"SELECT {selected} FROM {database.table('workflow_status')} ws{joins} "
            f"WHERE ws.workflow_uuid {database.in_list}"
        ),
        {"ids": database.encode_list(ids)},
    ).all()
    return {row[0]: make(*row) for row in rows}


def _column(database: Database, name: str) -> str:
    """Select a column to decide by: times that a lockfile can hold, and text columns as text.

    SQLite stores any value in any column, and no database rejects a time in another unit.
    """
    selected = _select(database, name)
    if name in ("created_at", "completed_at"):
        return database.clamp_time(selected)
    return _as_text(database, name, selected)


def _column_as_stored(database: Database, name: str) -> str:
    """Select a column to show: a time as stored, also where it is not one."""
    return _as_text(database, name, _select(database, name))


def _column_without_output(database: Database, name: str) -> str:
    return "NULL" if name == "output" else _column_as_stored(database, name)


def _as_text(database: Database, name: str, selected: str) -> str:
    if name == "status":
        selected = f"COALESCE({selected}, 'unknown')"
    return selected if name in _NUMBERS else database.as_text(selected)


def _select(database: Database, name: str) -> str:
    layout = database.layout
    if name == "inputs" and layout.has_workflow_input:
        return "COALESCE(wi.inputs, ws.inputs)"
    if name in ("output", "error"):
        stored = f"COALESCE(wo.{name}, ws.{name})" if layout.has_workflow_output else f"ws.{name}"
        return f"NULLIF({stored}, '')"  # Go writes '' as the error of a workflow that had none
    if name == "started":
        return "ws.started_at_epoch_ms IS NOT NULL" if "started_at_epoch_ms" in layout.status else "FALSE"
    if name == "touched":
        # where `updated_at` is NULL, as in a row of an old release, the row counts as changed
        return "COALESCE(ws.updated_at <> ws.created_at, TRUE)"
    if name == "created_at":
        return "COALESCE(ws.created_at, 0)"
    if name == "completed_at":
        final = ", ".join(f"'{status}'" for status in sorted(FINAL_STATUSES))
        updated = f"CASE WHEN ws.status IN ({final}) THEN ws.updated_at END"
        return f"COALESCE(ws.completed_at, {updated})" if name in layout.status else updated
    return f"ws.{name}" if name in layout.status else "NULL"


def read_oldest_rows(connection: Connection, database: Database) -> OldestRows:
    """Read when the oldest row, and the oldest row that has ended, were created.

    Cost:   both use the index of `created_at`; the second reads the older rows that wait or run.
    """
    table = database.table("workflow_status")
    final = ", ".join(f"'{status}'" for status in sorted(FINAL_STATUSES))
    created_at = database.clamp_time("created_at")
    first, completed = (
        connection.execute(
            text(f"SELECT {created_at} FROM {table} {where} ORDER BY created_at LIMIT 1")
        ).scalar()
        for where in ("", f"WHERE status IN ({final})")
    )
    return OldestRows(first, completed)


def read_deduplication_holders(
    connection: Connection, database: Database, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Find the workflow that holds each (queue, deduplication ID), for those that are held."""
    columns = ", ".join(
        _as_text(database, name, name) for name in ("queue_name", "deduplication_id", "workflow_uuid")
    )
    rows = connection.execute(
        text(
            f"SELECT {columns} FROM {database.table('workflow_status')} ws "
            f"WHERE deduplication_id {database.in_list}"
        ),
        {"ids": database.encode_list(sorted({pair[1] for pair in pairs}))},
    )
    wanted = set(pairs)
    return {(queue, key): holder for queue, key, holder in rows if (queue, key) in wanted}
