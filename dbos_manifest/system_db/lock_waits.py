"""Limit how long PostgreSQL waits for locks, and name the transaction that holds those of rows and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ..core.errors import Refused
from .postgresql_connect import is_cockroach

if TYPE_CHECKING:
    from .database import Database

Result = TypeVar("Result")
LOCK_NOT_AVAILABLE = "55P03"
_LOCKED = ("workflow_status", "workflow_input")


def format_timeout(limit_s: float) -> str:
    """Return the value of `lock_timeout` or `statement_timeout` for a limit, at least 1 ms."""
    return f"{min(max(1, round(limit_s * 1000)), 2**31 - 1)}ms"


def limit_lock_waits(driver: psycopg.Connection, timeout_s: float) -> bool:
    """Set `lock_timeout` for a session without a stricter one; return whether it was set.

    A connection to a pooler is unchanged, because the setting would stay there; so is CockroachDB, whose
    settings have other forms.
    """
    if is_cockroach(driver):
        return False
    driver.autocommit = True  # or else a rollback would reset it
    row = driver.execute(
        "SELECT set_config('lock_timeout', %s, false) WHERE pg_backend_pid() = %s AND "
        "coalesce(nullif(current_setting('lock_timeout')::interval, '0') > %s::interval, true)",
        (format_timeout(timeout_s), driver.info.backend_pid, format_timeout(timeout_s)),
    ).fetchone()
    driver.autocommit = False
    return row is not None


def is_lock_timeout(error: BaseException) -> bool:
    """Return whether a statement ended because a lock was not released in time."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(driver, psycopg.Error) and driver.sqlstate == LOCK_NOT_AVAILABLE


def refuse_locked(database: Database, attempt: Callable[[], Result]) -> Result:
    """Return what a function returns. Raises: Refused when it waited too long for a lock; what it raises."""
    try:
        return attempt()
    except (DBAPIError, psycopg.Error) as error:
        if not is_lock_timeout(error):
            raise
        with database.reading() as connection:
            holder = _find_writer(connection, [database.table(name) for name in _LOCKED])
        raise Refused(
            f"another transaction locks the tables of DBOS or some of their rows{holder}",
            "wait for it to finish, or set a longer --lock-timeout for `apply`",
        ) from error


def _find_writer(connection: Connection, tables: Sequence[str]) -> str:
    """Describe the oldest other transaction that can lock rows; empty where this role cannot see it."""
    row = connection.execute(
        text(
            "SELECT a.application_name, a.pid, coalesce(host(a.client_addr), 'local'), a.xact_start::text "
            "FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
            "WHERE l.relation IN (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) AS name) "
            "AND l.granted AND l.mode <> 'AccessShareLock' AND a.pid <> pg_backend_pid() "
            "AND a.datname = current_database() ORDER BY a.xact_start LIMIT 1"
        ),
        {"tables": [*tables]},
    ).one_or_none()
    return "" if row is None else f": {row[0]}, process {row[1]}, from {row[2]}, since {row[3]}"
