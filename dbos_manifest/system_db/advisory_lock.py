"""Hold PostgreSQL's advisory locks of manifests, which keep two applies of one manifest apart."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence

import psycopg
from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.exc import DBAPIError

from ..core.errors import Refused
from .lock_waits import format_timeout, is_lock_timeout
from .postgresql_connect import driver_of, open_session

MOST_LOCKS = 1_000
"""Locks of one session. The lock table of a server with default settings has room for about 6,400 of all
sessions. An apply of more manifests excludes every other apply in the schema, with one lock."""

# What follows the lock has the timeout of the session, but not an unlimited one.
# OFFSET keeps the subquery, so that it is evaluated first.
_LOCK = (
    "set_config('lock_timeout', :timeout, true), pg_advisory_xact_lock(:key), "
    "set_config('lock_timeout', CASE before.timeout WHEN '0' THEN :timeout ELSE before.timeout END, true)"
)
_BEFORE = "(SELECT current_setting('lock_timeout') AS timeout OFFSET 0) AS before"
_STATEMENT_SPARE_S = 5  # for the statement itself, however long it may wait for locks


def lock_key(schema: str, *manifest: str) -> int:
    """Return the number of the lock of a manifest, or of the whole schema: 64 bits, signed."""
    raw = hashlib.sha256("\0".join(("dbos-manifest", schema, *manifest)).encode()).digest()[:8]
    return int.from_bytes(raw, "big", signed=True)


def open_locked(
    parameters: dict[str, str], schema: str, manifests: Sequence[str], timeout_s: float
) -> psycopg.Connection:
    """Open a session that holds the locks of all these manifests until it is closed.

    With a connection pooler the session is closed and holds no lock: in transaction mode the locks would stay
    with a connection of the pool and block the next apply, and an open transaction would occupy a
    connection of the pool for as long.
    Raises: Refused naming the holder when the time is up; psycopg.Error.
    """
    label = manifests[0] if len(manifests) == 1 else f"{len(manifests)} manifests"
    named = {**parameters, "application_name": f"dbos-manifest apply {label}"[:63]}
    connection = open_session(named, autocommit=True)
    try:
        if _is_pooled(connection):
            connection.close()
        else:
            _acquire(connection, schema, manifests, timeout_s)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_pooled(connection: psycopg.Connection) -> bool:
    """Return whether the connection leads to a pooler, whose greeting names another process."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is not None and row[0] != connection.info.backend_pid


def _acquire(connection: psycopg.Connection, schema: str, manifests: Sequence[str], timeout_s: float) -> None:
    """Take the lock of the schema, which applies of few manifests share, and then those of the manifests.

    The order is the same for every apply, so that no two of them wait for each other.
    """
    whole = lock_key(schema)
    if len(manifests) > MOST_LOCKS:
        steps, names = [("pg_advisory_lock", [whole])], {}
    else:
        names = {lock_key(schema, manifest): manifest for manifest in manifests}
        steps = [("pg_advisory_lock_shared", [whole]), ("pg_advisory_lock", sorted(names))]
    deadline = time.monotonic() + timeout_s
    for function, keys in steps:
        left_s = max(0.0, deadline - time.monotonic())
        _set_timeouts(connection, left_s)
        try:
            connection.execute(f"SELECT {function}(key) FROM unnest(%s::bigint[]) AS key", (keys,))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
            held = find_holder(connection, keys)
            which = f" of `{names[held[0]]}`" if held is not None and held[0] in names else ""
            raise refuse_held(which, held) from None


def _set_timeouts(connection: psycopg.Connection, left_s: float) -> None:
    """Let a statement wait for one lock, and for all of its locks; 0 would be without a limit."""
    for name, limit_s in (("lock_timeout", left_s), ("statement_timeout", left_s + _STATEMENT_SPARE_S)):
        connection.execute("SELECT set_config(%s, %s, false)", (name, format_timeout(limit_s)))


Holder = tuple[int, str]
"""The key of a lock, and the description of the session that holds it."""


def find_holder(connection: psycopg.Connection, keys: Sequence[int]) -> Holder | None:
    """Find the first of some locks that another session holds; None where this role cannot see it."""
    row = connection.execute(
        "SELECT key, a.application_name, a.pid, coalesce(host(a.client_addr), 'local'), "
        "a.backend_start::text FROM unnest(%s::bigint[]) AS key "
        "JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted "
        "AND l.classid::bigint = (key >> 32) & 4294967295 AND l.objid::bigint = key & 4294967295 "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "JOIN pg_stat_activity a ON a.pid = l.pid WHERE a.pid <> pg_backend_pid() ORDER BY key LIMIT 1",
        ([*keys],),
    ).fetchone()
    if row is None:
        return None
    return row[0], f"{row[1]}, process {row[2]}, from {row[3]}, since {row[4]}"


def refuse_held(which: str, holder: Holder | None) -> Refused:
    """Return the error for a lock that was not released in time."""
    found = holder[1] if holder is not None else "its session is not visible to this role"
    return Refused(
        f"another apply{which} is running: {found}", "wait for it to finish, or set a longer --lock-timeout"
    )


def lock_transaction(
    connection: Connection,
    key: int,
    manifest: str,
    timeout_s: float,
    columns: str,
    values: Mapping[str, str],
) -> RowMapping:
    """Take a lock until the transaction ends, and read some columns once it is taken.

    Raises: Refused naming the holder when the time is up.
    """
    known = {**values, "key": key, "timeout": format_timeout(timeout_s)}
    try:
        return connection.execute(text(f"SELECT {_LOCK}, {columns} FROM {_BEFORE}"), known).mappings().one()
    except DBAPIError as error:
        if not is_lock_timeout(error):
            raise
        connection.rollback()
        holder = find_holder(driver_of(connection), [key])
        raise refuse_held(f" of `{manifest}`", holder) from None
