"""A manifest's name in; a lock in the database out, so that two applies of it do not go side by side."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ..errors import Refused
from .connect import APPLICATION_NAME, Database

POLL_S = 0.25
# longer than a chunk takes; then the wait counts as a failed attempt and the retry budget decides
LONGEST_CHUNK = "30s"


def transaction_lock(connection: Connection, database: Database, manifest_name: str) -> None:
    """Wait until no other apply of the manifest is in a transaction; held to the end of this one.

    On SQLite every transaction has the whole file's write lock already.
    """
    if database.dialect == "postgresql":
        connection.execute(
            text("SELECT set_config('lock_timeout', :timeout, true), pg_advisory_xact_lock(:key)"),
            {"timeout": LONGEST_CHUNK, "key": _key("dbos-manifest", database.schema, manifest_name)},
        )


@contextmanager
def session_lock(database: Database, manifest_name: str, timeout_s: float) -> Iterator[None]:
    """Hold the manifest's apply lock over the block, on a connection of its own; nothing on SQLite.

    A courtesy: what it protects is safe without it, so a connection that cannot be had, or is lost
    on the way, is no error.
    Raises: Refused naming the holder when it is not free within `timeout_s`.
    """
    if database.dialect != "postgresql":
        yield
        return
    # an open transaction holds it, not the session: behind a pooler a session is anybody's
    connection = _take(database, manifest_name, timeout_s)
    try:
        yield
    finally:
        if connection is not None:
            _close(connection)


def _take(database: Database, manifest_name: str, timeout_s: float) -> Connection | None:
    key = _key("dbos-manifest apply", database.schema, manifest_name)
    connection: Connection | None = None
    try:
        connection = database.engine.connect()
        connection.execute(
            text(
                """
                SELECT set_config('application_name', :name, true),
                       set_config('idle_in_transaction_session_timeout', '0', true)
                """
            ),
            {"name": f"{APPLICATION_NAME} apply {manifest_name}"},
        )
        give_up_at = time.monotonic() + timeout_s
        while not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}):
            if time.monotonic() >= give_up_at:
                raise _held(connection, key, manifest_name)
            time.sleep(POLL_S)
        return connection
    except DBAPIError:
        if connection is not None:
            _close(connection)
        return None
    except BaseException:
        if connection is not None:
            _close(connection)
        raise


def _close(connection: Connection) -> None:
    with suppress(DBAPIError):  # it was lost on the way, and the lock with it
        connection.close()


def _held(connection: Connection, key: int, manifest_name: str) -> Refused:
    high, low = (key >> 32) & 0xFFFFFFFF, key & 0xFFFFFFFF
    holder = connection.execute(
        text(
            """
            SELECT activity.application_name, locks.pid, host(activity.client_addr),
                   to_char(activity.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24\\:MI\\:SS"Z"')
            FROM pg_catalog.pg_locks AS locks
            JOIN pg_catalog.pg_database AS here
              ON here.oid = locks.database AND here.datname = current_database()
            LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = locks.pid
            WHERE locks.locktype = 'advisory' AND locks.granted AND locks.objsubid = 1
              AND locks.classid = CAST(:high AS oid) AND locks.objid = CAST(:low AS oid)
            """
        ),
        {"high": str(high), "low": str(low)},
    ).first()
    who = "another process"
    if holder is not None:
        name, pid, address, since = holder
        who = f"`{name or 'unknown'}` (server process {pid}"
        who += f", from {address}" if address else ""
        who += f", since {since})" if since else ")"
    return Refused(
        f"another apply of `{manifest_name}` is running: {who} holds its lock",
        "wait for it to end, or wait longer with --lock-timeout",
    )


def _key(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big", signed=True)
