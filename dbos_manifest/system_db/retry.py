"""Driver errors in; out: whether trying again helps, another try, or an error with a message for people."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from ..errors import DatabaseDenied, DatabaseError, DatabaseUnreachable, ManifestToolError, SchemaNotSupported

Kind = Literal["transient", "data", "fatal"]
Result = TypeVar("Result")

LONGEST_WAIT_S = 5.0
_TRANSIENT = {"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300"}
_CONNECTION_CLASS = "08"
_DATA_CLASSES = ("22", "23", "54")
_DENIED = {"42501", "25006"}
_DENIED_CLASS = "28"
_OTHER_TABLES = {"42P01", "42703", "3F000", "42704"}

# libpq gives no SQLSTATE for a connection that failed, only text. What the server says there begins with
# FATAL, in the server's language, and is a refusal, but for a few answers that pass by themselves:
_BUSY_SERVER = (
    "too many clients", "too many connections", "connection slots", "starting up", "shutting down",
    "not yet accepting", "recovery mode", "terminating connection", "cannot connect to server",
    "query_wait_timeout", "server closed the connection",
)  # fmt: skip
# what libpq says itself is mostly the network's fault, but for these:
_REFUSED = (
    "FATAL", "authentication failed", "authentication method", "no password supplied", "certificate",
    "does not support SSL", "ermission denied", "read-only", "hot standby",
)  # fmt: skip


class RetryNotice(NamedTuple):
    attempt: int  # the one that failed, from 1
    reason: str
    wait_s: float  # until the next


class Retry:
    """Calls something again while its errors pass by themselves and the budget lasts."""

    def __init__(self, budget_s: float, on_retry: Callable[[RetryNotice], None]) -> None:
        self.budget_s = budget_s
        self.on_retry = on_retry

    def call(
        self,
        fn: Callable[[], Result],
        *,
        since_start: bool = False,
        translate: Callable[[DBAPIError], ManifestToolError] | None = None,
    ) -> Result:
        """`fn`'s result. Each call has the whole budget, counted from its first failure or its start.

        Raises: ManifestToolError for a driver's error that is left; whatever else `fn` raises.
        Source: SPEC §4, Retries.
        """
        first_failure_s: list[float] = []

        def left_s(state: RetryCallState) -> float:
            assert state.outcome_timestamp is not None
            first_failure_s.append(state.start_time if since_start else state.outcome_timestamp)
            return self.budget_s - (state.outcome_timestamp - first_failure_s[0])

        backoff = wait_random_exponential(multiplier=0.2, max=LONGEST_WAIT_S)
        retrying = Retrying(
            retry=retry_if_exception(lambda error: classify(error) == "transient"),
            stop=lambda state: left_s(state) <= 0,
            wait=lambda state: max(0.0, min(backoff(state), left_s(state))),
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            return retrying(fn)
        except DBAPIError as error:
            raise (translate or to_tool_error)(error) from error

    def _tell(self, state: RetryCallState) -> None:
        assert state.outcome is not None and state.next_action is not None
        error = state.outcome.exception()
        assert error is not None
        self.on_retry(RetryNotice(state.attempt_number, describe_error(error), state.next_action.sleep))


def classify(error: BaseException) -> Kind:
    """Whether an error passes by itself, is the rows' fault, or neither.

    Source: SPEC §4, Retries.
    """
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return "transient"
        error = error.orig or error
    if isinstance(error, psycopg.Error):
        return _classify_postgres(error)
    if isinstance(error, sqlite3.Error):
        return _classify_sqlite(error)
    return "fatal"


def _classify_postgres(error: psycopg.Error) -> Kind:
    state = error.sqlstate
    if state is None:
        if isinstance(error, psycopg.DataError):  # found by the client, as a NUL character
            return "data"
        text = str(error)
        refused = any(word in text for word in _REFUSED) and not any(word in text for word in _BUSY_SERVER)
        return "transient" if isinstance(error, psycopg.OperationalError) and not refused else "fatal"
    if state in _TRANSIENT or state.startswith(_CONNECTION_CLASS):
        return "transient"
    return "data" if state.startswith(_DATA_CLASSES) else "fatal"


def _classify_sqlite(error: sqlite3.Error) -> Kind:
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.DataError)):
        return "data"
    # by its text: the error codes are only there since Python 3.11
    return "transient" if isinstance(error, sqlite3.OperationalError) and "locked" in str(error) else "fatal"


def describe_error(error: BaseException) -> str:
    """What the driver says, on one line, without the statement and without the row."""
    if isinstance(error, DBAPIError):
        error = error.orig or error
    text = str(error)
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        text = error.diag.message_primary
    return " ".join(text.split())


def to_tool_error(error: DBAPIError) -> ManifestToolError:
    """The driver's error as one of ours, by what its reader can do about it."""
    reason = describe_error(error)
    cause = error.orig
    if isinstance(cause, psycopg.Error) and cause.sqlstate:
        return _from_postgres(cause.sqlstate, reason)
    if isinstance(cause, sqlite3.Error):
        return _from_sqlite(reason)
    if classify(error) == "transient":
        return _lost_connection(reason)
    return DatabaseError(f"the database driver failed: {reason}")


def _from_postgres(state: str, reason: str) -> ManifestToolError:
    if state in _DENIED or state.startswith(_DENIED_CLASS):
        return DatabaseDenied(
            f"the database refused: {reason}",
            "give the role what enqueueing needs: USAGE on the schema, SELECT and INSERT on "
            "workflow_status and workflow_input, SELECT on the other DBOS tables",
        )
    if state in _OTHER_TABLES:
        return SchemaNotSupported(
            f"the DBOS tables changed while in use: {reason}",
            "run the command again when the migration is done",
        )
    if state.startswith((_CONNECTION_CLASS, "57P")):
        return _lost_connection(reason)
    if state in _TRANSIENT:
        return DatabaseUnreachable(
            f"the database stayed too busy: {reason}", "try again later, or with a longer --retry-budget"
        )
    return DatabaseError(f"the database failed: {reason} (SQLSTATE {state})")


def _from_sqlite(reason: str) -> ManifestToolError:
    if "locked" in reason:
        return DatabaseUnreachable(
            f"another process keeps the SQLite file locked: {reason}",
            "try again later, or with a longer --retry-budget",
        )
    if "readonly" in reason:
        return DatabaseDenied(
            f"the SQLite file cannot be written: {reason}",
            "the file, and its folder for the journal, must be writable for this user",
        )
    if "unable to open" in reason:
        return DatabaseDenied(
            f"the SQLite file cannot be opened: {reason}", "check the permissions of file and folder"
        )
    if "not a database" in reason or "malformed" in reason:
        return SchemaNotSupported(f"the file is not a sound SQLite database: {reason}")
    if reason.startswith("no such"):
        return SchemaNotSupported(f"the DBOS tables changed while in use: {reason}", "run the command again")
    return DatabaseError(f"the database failed: {reason}")


def _lost_connection(reason: str) -> DatabaseUnreachable:
    return DatabaseUnreachable(
        f"the connection to the database was lost: {reason}",
        "run the same command again: it goes on from there",
    )
