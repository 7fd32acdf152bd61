"""Hold PostgreSQL's advisory lock of a manifest, which keeps two applies of it apart."""

from __future__ import annotations

import hashlib
import time

import psycopg

from ..core.errors import Refused

_POLL_S = 0.2


def lock_key(schema: str, manifest: str) -> int:
    """Return the number of a manifest's lock: 64 bits, signed."""
    raw = hashlib.sha256("\0".join(("dbos-manifest", schema, manifest)).encode()).digest()[:8]
    return int.from_bytes(raw, "big", signed=True)


def open_locked(
    parameters: dict[str, str], schema: str, manifest: str, timeout_s: float
) -> psycopg.Connection:
    """Open a session that holds the lock until it is closed.

    With a connection pooler the session is closed and holds no lock: in transaction mode the lock would stay
    with a connection of the pool and block the next apply, and an open transaction would occupy a
    connection of the pool for as long.
    Raises: Refused naming the holder when the time is up; psycopg.Error.
    """
    named = {**parameters, "application_name": f"dbos-manifest apply {manifest}"[:63]}
    connection = psycopg.connect(
        psycopg.conninfo.make_conninfo(**named), autocommit=True, prepare_threshold=None
    )
    try:
        if _is_pooled(connection):
            connection.close()
        else:
            _acquire(connection, lock_key(schema, manifest), manifest, timeout_s)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_pooled(connection: psycopg.Connection) -> bool:
    """Return whether the connection leads to a pooler, whose greeting names another process."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is not None and row[0] != connection.info.backend_pid


def _acquire(connection: psycopg.Connection, key: int, manifest: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
        if row is not None and row[0]:
            return
        if time.monotonic() >= deadline:
            raise Refused(
                f"another apply of `{manifest}` is running: {_describe_holder(connection, key)}",
                "wait for it to finish, or set a longer --lock-timeout",
            )
        time.sleep(_POLL_S)


def _describe_holder(connection: psycopg.Connection, key: int) -> str:
    row = connection.execute(
        "SELECT a.application_name, a.pid, coalesce(host(a.client_addr), 'local'), a.backend_start::text "
        "FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
        "WHERE l.locktype = 'advisory' AND l.granted "
        "AND l.classid::bigint = (%s::bigint >> 32) & 4294967295 "
        "AND l.objid::bigint = %s::bigint & 4294967295",
        (key, key),
    ).fetchone()
    if row is None:
        return "its session is not visible to this role"
    return f"{row[0]}, process {row[1]}, from {row[2]}, since {row[3]}"
