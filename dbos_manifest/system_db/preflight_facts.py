"""Read the facts for preflight: queues, application versions, known names, old workers, the clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from ..planning.rows import QueueRow
from .database import Database
from .read import decode_text
from .retry import INSUFFICIENT_PRIVILEGE

MAX_NAMES_SEARCHED = 50
NEWEST_ROWS = 10_000
_PARTITION_LIMITS = (
    "partition_concurrency",
    "partition_worker_concurrency",
    "partition_rate_limit_max",
    "partition_rate_limit_period_sec",
)


def read_queues(connection: Connection, database: Database) -> dict[str, QueueRow]:
    """Read the registered queues; none where the schema has no such table.

    Source: partitioned by `partition_queue` (older SDKs) or any partition limit (newer ones).
    """
    columns = database.layout.columns.get("queues", frozenset())
    if not columns:
        return {}
    limits = [name for name in _PARTITION_LIMITS if name in columns]
    newer = " OR ".join(f"{name} IS NOT NULL" for name in limits) or "NULL"
    owner = "application_name" if "application_name" in columns else "NULL"
    flag = "partition_queue" if "partition_queue" in columns else "NULL"
    rows = connection.execute(text(f"SELECT name, {owner}, {flag}, {newer} FROM {database.table('queues')}"))
    named = ((decode_text(row[0]), decode_text(row[1]), row[2], row[3]) for row in rows if row[0] is not None)
    return {name: QueueRow(name, owner, _partitioned(older, newer)) for name, owner, older, newer in named}


def _partitioned(older: object, newer: object) -> bool | None:
    """Combine the two signs; None where there is none, or they disagree."""
    signs = {bool(sign) for sign in (older, newer) if sign is not None}
    return signs.pop() if len(signs) == 1 else None


def read_application_versions(connection: Connection, database: Database) -> frozenset[str] | None:
    """Read the versions that workers have registered; None where the schema has no such table."""
    columns = database.layout.columns.get("application_versions", frozenset())
    if "version_name" not in columns:
        return None
    statement = f"SELECT version_name FROM {database.table('application_versions')}"
    return _read_if_allowed(connection, statement)


def _read_if_allowed(connection: Connection, statement: str) -> frozenset[str] | None:
    """Read the one column of a statement; None where the role may not read it, for it only gives hints."""
    try:
        with connection.begin_nested():
            rows = connection.execute(text(statement))
            return frozenset(decode_text(row[0]) for row in rows if row[0] is not None)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise
        return None


def read_known_names(connection: Connection, database: Database, names: Collection[str]) -> frozenset[str]:
    """Find which of these workflow names rows or schedules have, and names to compare the others with.

    Cost:   no index has the names. The newest rows are read first, then for each name that they do not have
            all rows up to the first that has it.
    """
    table = database.table("workflow_status")
    newest = f"SELECT name FROM {table} ORDER BY created_at DESC LIMIT {NEWEST_ROWS}"
    found = connection.execute(text(f"SELECT DISTINCT name FROM ({newest}) newest"))
    seen = {decode_text(row[0]) for row in found}
    if "workflow_name" in database.layout.columns.get("workflow_schedules", frozenset()):
        statement = f"SELECT workflow_name FROM {database.table('workflow_schedules')}"
        seen |= _read_if_allowed(connection, statement) or frozenset()
    if seen:
        for name in sorted(set(names) - seen)[:MAX_NAMES_SEARCHED]:
            found = connection.execute(
                text(f"SELECT 1 FROM {table} WHERE name = :name LIMIT 1"), {"name": name}
            )
            if found.first() is not None:
                seen.add(name)
    return frozenset(name for name in seen if name)


def read_waiting_behind(
    connection: Connection, database: Database, lowest: Mapping[str, int]
) -> dict[str, int]:
    """Count the queued rows of each queue with a greater priority number than the manifest's lowest."""
    statement = text(
        f"SELECT count(*) FROM {database.table('workflow_status')} "
        "WHERE queue_name = :queue AND status = 'ENQUEUED' AND priority > :priority"
    )
    counts = {
        queue: connection.execute(statement, {"queue": queue, "priority": priority}).scalar_one()
        for queue, priority in sorted(lowest.items())
    }
    return {queue: count for queue, count in counts.items() if count}


def read_run_by_old_worker(connection: Connection, database: Database) -> str | None:
    """Find a workflow among the newest whose arguments a new client wrote and whose result an old worker.

    Old workers know neither workflow_input nor workflow_output; new ones write no result to workflow_status.
    """
    if not database.layout.has_workflow_input:
        return None
    table = database.table("workflow_status")
    newest = f"SELECT workflow_uuid, output, error FROM {table} ORDER BY created_at DESC LIMIT {NEWEST_ROWS}"
    found = connection.execute(
        text(
            f"SELECT newest.workflow_uuid FROM ({newest}) newest "
            f"JOIN {database.table('workflow_input')} wi ON wi.workflow_uuid = newest.workflow_uuid "
            "WHERE newest.output IS NOT NULL OR newest.error IS NOT NULL LIMIT 1"
        )
    ).first()
    return None if found is None else str(found[0])


def read_clock_ms(connection: Connection, database: Database) -> int:
    """Read the clock of the database, in epoch ms."""
    return int(connection.execute(text(f"SELECT {database.clock_ms}")).scalar_one())
