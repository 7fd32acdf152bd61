"""Ids in, what the database holds about them out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from ..core.units import MAX_TIMESTAMP, MIN_TIMESTAMP
from ..plan.absence import OldestRows
from ..plan.rows import FINAL_STATUSES, LiveRow, SnapshotRow
from .connect import Database

_SNAPSHOT = (
    "workflow_uuid", "status", "name", "class_name", "config_name", "application_name", "queue_name",
    "queue_partition_key", "deduplication_id", "application_version", "priority", "workflow_timeout_ms",
    "workflow_deadline_epoch_ms", "delay_until_epoch_ms", "authenticated_user", "authenticated_roles",
    "assumed_role", "serialization", "inputs", "schedule_name", "executor_id", "recovery_attempts",
    "started", "touched", "created_at", "completed_at", "creator_xid",
)  # fmt: skip
_LIVE = (
    "workflow_uuid", "status", "name", "queue_name", "created_at", "started_at_epoch_ms", "completed_at",
    "serialization", "output", "error",
)  # fmt: skip
_NUMBERS = frozenset(
    {
        "priority", "workflow_timeout_ms", "workflow_deadline_epoch_ms", "delay_until_epoch_ms", "started",
        "recovery_attempts", "touched", "created_at", "started_at_epoch_ms", "completed_at",
    }
)  # fmt: skip
_OF_ITS_OWN = ("workflow_uuid", "inputs", "created_at", "completed_at", "creator_xid")
_FIELDS = dict(zip(_SNAPSHOT, SnapshotRow._fields, strict=True))
_SHARED = tuple(name for name in _SNAPSHOT if name not in _OF_ITS_OWN)
_SHARED_FIELDS = tuple(_FIELDS[name] for name in _SHARED)
_NOTHING_OF_ITS_OWN: dict[str, Any] = {"id": "", "inputs": None, "completed_at_ms": None, "creator_xid": None}
_TIME_MASK = 2**48 - 1  # keeps every time up to the year 9999, and a sum of them in 64 bits
_STEERING = ", ".join(
    f"set_config('{name}', '{value}', true)"
    for name, value in {
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "enable_sort": "off",
        "max_parallel_workers_per_gather": "0",
    }.items()
)


def read_ids(connection: Connection, database: Database, table: str, ids: Sequence[str]) -> set[str]:
    """Those of the IDs that a DBOS table has a row for."""
    _steer_planner(connection, database)
    statement = f"SELECT workflow_uuid FROM {database.table(table)} WHERE workflow_uuid {_among(database)}"
    return {*connection.execute(text(statement), {"ids": _list(database, ids)}).scalars()}


def read_snapshot(connection: Connection, database: Database, ids: Sequence[str]) -> dict[str, SnapshotRow]:
    """The rows of these ids, with their inputs as stored."""
    return {row[0]: SnapshotRow(*row) for row in _read(connection, database, ids, _SNAPSHOT)}


def read_shared_rows(
    connection: Connection, database: Database, ids: Sequence[str]
) -> tuple[dict[str, SnapshotRow], int]:
    """Read the rows of these IDs without what nearly every row has of its own, so that many share one record.

    Shape:  the rows, and the sum of `created_at` over all of them. In a row `id`, `inputs`, `completed_at_ms`
            and `creator_xid` are empty; `created_at_ms` is the latest of the rows that share the record.
    Cost:   a tenth of what the rows take one by one, where most are alike.
    """
    selected = ", ".join(_select(database, name) for name in _SHARED)
    together = "json_group_array" if database.dialect == "sqlite" else "array_agg"
    numbers = ", ".join(str(4 + position) for position in range(len(_SHARED)))
    _steer_planner(connection, database)
    found = connection.execute(
        text(
            f"SELECT {together}(ws.workflow_uuid), max(ws.created_at), sum(ws.created_at & {_TIME_MASK}), "
            f"{selected} "
            f"FROM {database.table('workflow_status')} ws WHERE ws.workflow_uuid {_among(database)} "
            f"GROUP BY {numbers}"
        ),
        {"ids": _list(database, ids)},
    )
    rows: dict[str, SnapshotRow] = {}
    total = 0
    for members, created_at, part, *values in found:
        total += int(part or 0)
        # here, and not in the statement as `_column` does: the records are few and the rows many
        fields = dict(zip(_SHARED_FIELDS, map(decode_text, values), strict=True))
        fields["status"] = fields["status"] or "unknown"
        row = SnapshotRow(**_NOTHING_OF_ITS_OWN, created_at_ms=_clamp_time(created_at), **fields)
        rows.update(dict.fromkeys(json.loads(members) if isinstance(members, str) else members, row))
    return rows, total


def decode_text(value: Any) -> Any:
    """Decode a stored text: SQLite may have bytes in its place."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _clamp_time(value: Any) -> int:
    """Return the nearest moment of the years 1 to 9999; what is not a number is 1970."""
    return int(min(max(value, MIN_TIMESTAMP), MAX_TIMESTAMP)) if isinstance(value, (int, float)) else 0


def read_rows_of_other_times(
    connection: Connection, database: Database, times: Mapping[str, int]
) -> dict[str, SnapshotRow]:
    """Read those rows, of these IDs, that were created at another time than the given one (epoch ms)."""
    stored = _read(connection, database, [*times], ("workflow_uuid", "created_at"))
    others = [row[0] for row in stored if row[1] != times[row[0]]]
    return read_snapshot(connection, database, others) if others else {}


def read_live(connection: Connection, database: Database, ids: Sequence[str]) -> dict[str, LiveRow]:
    """The live rows of these ids, with output and error as stored."""
    rows = _read(connection, database, ids, _LIVE, _column_as_stored)
    return {row[0]: LiveRow(*row) for row in rows}


def read_statuses(
    connection: Connection, database: Database, ids: Sequence[str]
) -> dict[str, tuple[str, int | None]]:
    """Status and, for a final one, completed_at (epoch ms) of these ids."""
    rows = _read(connection, database, ids, ("workflow_uuid", "status", "completed_at"))
    return {row[0]: (row[1], row[2]) for row in rows}


def _read(
    connection: Connection,
    database: Database,
    ids: Sequence[str],
    columns: Sequence[str],
    select: Callable[[Database, str], str] | None = None,
) -> Sequence[Any]:
    select = select or _column
    selected = ", ".join(f"{select(database, name)} AS {name}" for name in columns)
    joins = ""
    if "inputs" in columns and database.layout.has_workflow_input:
        joins += f" LEFT JOIN {database.table('workflow_input')} wi ON wi.workflow_uuid = ws.workflow_uuid"
    if "output" in columns and database.layout.has_workflow_output:
        joins += f" LEFT JOIN {database.table('workflow_output')} wo ON wo.workflow_uuid = ws.workflow_uuid"
    _steer_planner(connection, database)
    return connection.execute(
        text(
            f"SELECT {selected} FROM {database.table('workflow_status')} ws{joins} "
            f"WHERE ws.workflow_uuid {_among(database)}"
        ),
        {"ids": _list(database, ids)},
    ).all()


def _steer_planner(connection: Connection, database: Database) -> None:
    """Until the transaction ends: rows are found by the index and grouped by hash.

    Left alone, PostgreSQL reads a whole table of a million rows for each ten thousand ids, by several
    processes, and sorts rows by twenty columns that are nearly all alike.
    """
    if database.dialect == "postgresql":
        connection.execute(text(f"SELECT {_STEERING}"))


def _among(database: Database) -> str:
    # SQLite has no arrays, and a bound on variables: a JSON list is one variable
    return (
        "IN (SELECT value FROM json_each(:ids))"
        if database.dialect == "sqlite"
        else "= ANY(CAST(:ids AS text[]))"
    )


def _list(database: Database, values: Sequence[str]) -> str:
    return json.dumps(list(values)) if database.dialect == "sqlite" else _array(values)


def _array(values: Sequence[str]) -> str:
    """An array as PostgreSQL reads it from text: in a tenth of the driver's time."""
    inside = '","'.join(values)
    if "\\" in inside or inside.count('"') > 2 * (len(values) - 1):
        inside = '","'.join(value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return f'{{"{inside}"}}' if values else "{}"


def _column(database: Database, name: str) -> str:
    """Select a column as decisions need it: times that a lockfile can spell, and texts that are texts.

    SQLite stores any value in any column, and every database takes a time in another unit.
    """
    selected = _select(database, name)
    if name in ("created_at", "completed_at"):
        return _clamp(database, selected)
    return _as_text(database, name, selected)


def _column_as_stored(database: Database, name: str) -> str:
    """Select a column to show it: a time is what is stored, whatever that is."""
    return _as_text(database, name, _select(database, name))


def _as_text(database: Database, name: str, selected: str) -> str:
    if name == "status":
        selected = f"COALESCE({selected}, 'unknown')"
    if database.dialect == "sqlite" and name not in _NUMBERS:
        return f"CAST({selected} AS TEXT)"
    return selected


def _clamp(database: Database, selected: str) -> str:
    """The nearest moment of the years 1 to 9999; what is no number at all is 1970."""
    if database.dialect != "sqlite":
        clamped = f"LEAST(GREATEST({selected}, {MIN_TIMESTAMP}), {MAX_TIMESTAMP})"
        return f"CASE WHEN {selected} IS NULL THEN NULL ELSE {clamped} END"
    clamped = f"CAST(MIN(MAX({selected}, {MIN_TIMESTAMP}), {MAX_TIMESTAMP}) AS INTEGER)"
    return (
        f"CASE typeof({selected}) WHEN 'null' THEN NULL WHEN 'integer' THEN {clamped} "
        f"WHEN 'real' THEN {clamped} ELSE 0 END"
    )


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
        # beside null it is null: a row of an old release that nobody can tell of
        return "COALESCE(ws.updated_at <> ws.created_at, TRUE)"
    if name == "created_at":
        return "COALESCE(ws.created_at, 0)"
    if name == "completed_at":
        final = ", ".join(f"'{status}'" for status in sorted(FINAL_STATUSES))
        updated = f"CASE WHEN ws.status IN ({final}) THEN ws.updated_at END"
        return f"COALESCE(ws.completed_at, {updated})" if name in layout.status else updated
    return f"ws.{name}" if name in layout.status else "NULL"


def read_oldest_rows(connection: Connection, database: Database) -> OldestRows:
    """Read when the oldest row, and the oldest one that has ended, were created.

    Cost:   both follow the index of `created_at`, the second over the rows that wait or run.
    """
    table = database.table("workflow_status")
    final = ", ".join(f"'{status}'" for status in sorted(FINAL_STATUSES))
    created_at = _clamp(database, "created_at")
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
    """The workflow that holds each (queue, deduplication id), for those that are held."""
    columns = ", ".join(
        _as_text(database, name, name) for name in ("queue_name", "deduplication_id", "workflow_uuid")
    )
    rows = connection.execute(
        text(
            f"SELECT {columns} FROM {database.table('workflow_status')} ws "
            f"WHERE deduplication_id {_among(database)}"
        ),
        {"ids": _list(database, sorted({pair[1] for pair in pairs}))},
    )
    wanted = set(pairs)
    return {(queue, key): holder for queue, key, holder in rows if (queue, key) in wanted}
