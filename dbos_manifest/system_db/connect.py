"""Open the system database of a URL."""

from __future__ import annotations

from dataclasses import replace

from ..core.errors import UsageError
from .database import DEFAULT_LOCK_TIMEOUT_S, Database
from .postgresql import PostgreSQLDatabase
from .retry import Retry
from .sqlite import SQLiteDatabase

FIRST_CONNECTION_BUDGET_S = 10.0


def open_database(
    url: str, *, schema: str = "dbos", retry: Retry, lock_timeout_s: float = DEFAULT_LOCK_TIMEOUT_S
) -> Database:
    """Connect and read the layout; `retry` and the lock timeout hold for all later work too.

    Raises: UsageError for an unusable URL, DatabaseUnreachable, DatabaseDenied, SchemaNotSupported.
    """
    scheme, _, rest = url.partition(":")
    kind = scheme.partition("+")[0]
    database: Database
    if kind == "sqlite":
        database = SQLiteDatabase(rest, retry)
    elif kind in ("postgresql", "postgres"):
        database = PostgreSQLDatabase(f"postgresql:{rest}", schema, retry)
    else:
        raise UsageError(
            "the database URL is neither PostgreSQL nor SQLite",
            "write postgresql://user@host/database or sqlite:///path/to/file.sqlite",
        )
    database.lock_timeout_s = lock_timeout_s
    first = replace(retry, budget_s=min(FIRST_CONNECTION_BUDGET_S, retry.budget_s))
    try:
        first.call(database.inspect, since_start=True)
    except BaseException:
        database.engine.dispose()
        raise
    return database
