"""Advisory locks by manifest name. Safety rests on the primary key; these only keep applies apart."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from ..core.errors import Refused
from .connect import Database
from .retry import Retry

POLL_S = 0.2


def lock_key(database: Database, manifest: str) -> int:
    """The advisory lock's number, 64 bits, signed."""
    raw = hashlib.sha256("\0".join(("dbos-manifest", database.schema, manifest)).encode()).digest()[:8]
    return int.from_bytes(raw, "big", signed=True)


@contextmanager
def apply_lock(database: Database, manifest: str, timeout_s: float, *, retry: Retry) -> Iterator[None]:
    """Held for a whole apply, by a session of its own; its loss is no error.

    Behind a pooler there is none: in transaction mode a session's lock would stay behind in the pool and
    keep the next apply out, and an open transaction would take a connection from the pool for as long.
    Raises: Refused naming the holder when the time is up.
    """
    if database.dialect == "sqlite":
        yield  # the lockfile's own lock does it
        return
    connection = retry.call(lambda: _open_locked(database, manifest, timeout_s))
    try:
        yield
    finally:
        with suppress(psycopg.Error):
            connection.close()


def _open_locked(database: Database, manifest: str, timeout_s: float) -> psycopg.Connection[Any]:
    words = {**database.connect_words, "application_name": f"dbos-manifest apply {manifest}"[:63]}
    connection = psycopg.connect(
        psycopg.conninfo.make_conninfo(**words), autocommit=True, prepare_threshold=None
    )
    try:
        if _is_pooled(connection):
            connection.close()
        else:
            _acquire(connection, lock_key(database, manifest), manifest, timeout_s)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Whether the process that greeted us is not the one that answers: a pooler gives keys of its own."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is not None and row[0] != connection.info.backend_pid


def _acquire(connection: psycopg.Connection[Any], key: int, manifest: str, timeout_s: float) -> None:
    give_up = time.monotonic() + timeout_s
    while True:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
        if row is not None and row[0]:
            return
        if time.monotonic() >= give_up:
            raise Refused(
                f"another apply of `{manifest}` is running: {_holder(connection, key)}",
                "wait for it to end, or give it longer with --lock-timeout",
            )
        time.sleep(POLL_S)


def _holder(connection: psycopg.Connection[Any], key: int) -> str:
    row = connection.execute(
        "SELECT a.application_name, a.pid, coalesce(host(a.client_addr), 'local'), a.backend_start::text "
        "FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
        "WHERE l.locktype = 'advisory' AND l.granted "
        "AND l.classid::bigint = (%s::bigint >> 32) & 4294967295 "
        "AND l.objid::bigint = %s::bigint & 4294967295",
        (key, key),
    ).fetchone()
    if row is None:
        return "its session cannot be seen"
    return f"{row[0]}, process {row[1]}, from {row[2]}, since {row[3]}"
