"""Workflow ids in; what the database holds for them out, in the words of `snapshot`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from ..snapshot import FINAL_STATUSES, LiveRow, QueueRow, SnapshotRow
from .connect import Database
from .layout import Layout

_FINAL = ", ".join(f"'{status}'" for status in sorted(FINAL_STATUSES))
_PARTITION_LIMITS = (
    "partition_concurrency",
    "partition_worker_concurrency",
    "partition_rate_limit_max",
    "partition_rate_limit_period_sec",
)
# SnapshotRow's fields as columns of workflow_status; `inputs` and `completed_at` have rules of their own
_SNAPSHOT_COLUMNS = (
    "workflow_uuid", "status", "name", "class_name", "config_name", "application_name", "queue_name",
    "queue_partition_key", "deduplication_id", "application_version", "priority", "workflow_timeout_ms",
    "workflow_deadline_epoch_ms", "delay_until_epoch_ms", "authenticated_user", "authenticated_roles",
    "assumed_role", "serialization", "inputs", "schedule_name", "executor_id", "recovery_attempts",
    "started_at_epoch_ms", "created_at", "completed_at", "creator_xid",
)  # fmt: skip
_LIVE_COLUMNS = (
    "workflow_uuid", "status", "name", "queue_name", "created_at", "started_at_epoch_ms", "completed_at",
    "serialization", "output", "error",
)  # fmt: skip


def read_snapshot(connection: Connection, database: Database, ids: Sequence[str]) -> dict[str, SnapshotRow]:
    """The rows that exist, by id, as a plan compares them."""
    return {
        row[0]: SnapshotRow._make(row) for row in _read_rows(connection, database, _SNAPSHOT_COLUMNS, ids)
    }


def read_live(connection: Connection, database: Database, ids: Sequence[str]) -> dict[str, LiveRow]:
    """The rows that exist, by id, with output and error as stored."""
    return {row[0]: LiveRow._make(row) for row in _read_rows(connection, database, _LIVE_COLUMNS, ids)}


def read_statuses(
    connection: Connection, database: Database, ids: Sequence[str]
) -> dict[str, tuple[str, int | None]]:
    """Status and time of completion (epoch ms) of the rows that exist, by id."""
    rows = _read_rows(connection, database, ("workflow_uuid", "status", "completed_at"), ids)
    return {row[0]: (row[1], row[2]) for row in rows}


def read_existing_ids(connection: Connection, database: Database, ids: Sequence[str]) -> set[str]:
    return {row[0] for row in _read_rows(connection, database, ("workflow_uuid",), ids)}


def _read_rows(
    connection: Connection, database: Database, columns: Sequence[str], ids: Sequence[str]
) -> Sequence[Row[Any]]:
    layout = database.layout
    joins = ""
    if "inputs" in columns and layout.has_workflow_input:
        joins += f" LEFT JOIN {layout.table('workflow_input')} AS wi ON wi.workflow_uuid = ws.workflow_uuid"
    if "output" in columns and layout.has_workflow_output:
        joins += f" LEFT JOIN {layout.table('workflow_output')} AS wo ON wo.workflow_uuid = ws.workflow_uuid"
    if database.dialect == "sqlite":
        wanted = "IN (SELECT value FROM json_each(:ids))"
        parameter: str | list[str] = json.dumps(list(ids))
    else:
        wanted, parameter = "= ANY(CAST(:ids AS text[]))", list(ids)
    selected = ", ".join(_expression(layout, column) for column in columns)
    source = f"{layout.table('workflow_status')} AS ws{joins}"
    statement = f"SELECT {selected} FROM {source} WHERE ws.workflow_uuid {wanted}"
    return connection.execute(text(statement), {"ids": parameter}).all()


def _expression(layout: Layout, column: str) -> str:
    """The column where this schema keeps it. Source: DBOS.md §5, §6.2."""
    if column == "inputs" and layout.has_workflow_input:
        return "COALESCE(wi.inputs, ws.inputs)"
    if column in ("output", "error") and layout.has_workflow_output:
        return f"COALESCE(wo.{column}, ws.{column})"
    if column == "completed_at":
        # older SDKs end workflows without setting it; a row's last update is its end then
        fallback = f"CASE WHEN ws.status IN ({_FINAL}) THEN ws.updated_at END"
        return f"COALESCE(ws.completed_at, {fallback})" if "completed_at" in layout.columns else fallback
    return f"ws.{column}" if column in layout.columns else "NULL"


def read_deduplication_holders(
    connection: Connection, database: Database, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Which workflow holds each (queue, deduplication id) that is held."""
    table = database.layout.table("workflow_status")
    if database.dialect == "sqlite":
        # CROSS JOIN keeps the order of the tables, so that each pair is looked up in the index
        source = f"json_each(:pairs) AS pair CROSS JOIN {table} AS ws"
        queue, deduplication_id = "json_extract(pair.value, '$[0]')", "json_extract(pair.value, '$[1]')"
        parameters: dict[str, object] = {"pairs": json.dumps(list(pairs))}
    else:
        wanted = "unnest(CAST(:queues AS text[]), CAST(:ids AS text[])) AS pair(queue, id)"
        source = f"{wanted} CROSS JOIN {table} AS ws"
        queue, deduplication_id = "pair.queue", "pair.id"
        parameters = {"queues": [queue for queue, _ in pairs], "ids": [id_ for _, id_ in pairs]}
    rows = connection.execute(
        text(
            f"""
            SELECT ws.queue_name, ws.deduplication_id, ws.workflow_uuid FROM {source}
            WHERE ws.queue_name = {queue} AND ws.deduplication_id = {deduplication_id}
            """
        ),
        parameters,
    )
    return {(queue_name, held): workflow_id for queue_name, held, workflow_id in rows}


def read_queues(connection: Connection, database: Database) -> dict[str, QueueRow]:
    """The registered queues by name; none where the schema has no such table.

    Source: DBOS.md §7: older SDKs mark a partitioned queue by `partition_queue`, newer ones by a limit.
    """
    columns = database.layout.queue_columns
    if not columns:
        return {}
    limits = [f"{column} IS NOT NULL" for column in _PARTITION_LIMITS if column in columns]
    owner = "application_name" if "application_name" in columns else "NULL"
    flag = "partition_queue" if "partition_queue" in columns else "NULL"
    limited = " OR ".join(limits) or "NULL"
    rows = connection.execute(
        text(f"SELECT name, {owner}, {flag}, {limited} FROM {database.layout.table('queues')}")
    )
    return {name: QueueRow(name, owner, _agree(flag, limited)) for name, owner, flag, limited in rows}


def _agree(flag: bool | int | None, limited: bool | int | None) -> bool | None:
    signs = {bool(sign) for sign in (flag, limited) if sign is not None}
    return signs.pop() if len(signs) == 1 else None


def read_clock_ms(connection: Connection) -> int:
    """The database's clock, epoch ms."""
    if connection.dialect.name == "sqlite":
        # one `now` for the whole statement
        statement = "SELECT strftime('%s', 'now') * 1000 + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER)"
    else:
        statement = "SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS bigint)"
    now_ms: int = connection.execute(text(statement)).scalar_one()
    return now_ms


def read_registered_versions(connection: Connection, database: Database) -> set[str]:
    """The application versions that workers have registered; none where the schema has no such table."""
    if not database.layout.has_application_versions:
        return set()
    table = database.layout.table("application_versions")
    return set(connection.scalars(text(f"SELECT version_name FROM {table}")))
