"""Classify the errors of database drivers, and retry the transient ones."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import psycopg
import tenacity
from sqlalchemy.exc import DBAPIError

from ..core.errors import DatabaseDenied, DatabaseError, DatabaseUnreachable
from ..planning.results import RetryNotice

Result = TypeVar("Result")
ErrorKind = Literal["transient", "denied", "data", "fatal"]
"""`data`: the database rejects a row. `denied`: no retry helps until someone changes a right or a setting."""

UNIQUE_VIOLATION = "23505"
INSUFFICIENT_PRIVILEGE = "42501"  # also a policy of row-level security that a row violates
_CANCELED = "57014"  # statement_timeout: the same transaction would take as long again
_TRANSIENT = {"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300"} | {
    "25P03",  # idle_in_transaction_session_timeout: on a busy machine this program itself may pause
    "57P05",  # idle_session_timeout
}
_DENIED = {"28000", "28P01", INSUFFICIENT_PRIVILEGE, "25006", "3D000"}

# A connection that failed has only a text; `open_session` adds the SQLSTATE if a server refused it. These are
# the English texts of libpq, of poolers, which have one SQLSTATE for all, and of servers if it is unknown.
# libpq separates a server's severity, in its language, from its message by two spaces.
_FROM_SERVER = re.compile(r"\bfailed: [^:\n]+:  ")
_BUSY = (
    "too many clients", "too many connections", "connection slots", "starting up", "shutting down",
    "not yet accepting", "system is not accepting", "recovery mode", "terminating connection",
    "cannot connect to server", "query_wait_timeout", "login has been failing", "server down", "ax client",
)  # fmt: skip
_REFUSED = (
    "authentication failed", "no pg_hba.conf entry", "does not exist", "no password supplied",
    "certificate", "does not support SSL", "ermission denied", "channel binding", "authentication method",
    "private key", "requirepeer", "wrong version number", "unsupported protocol", "protocol version",
    "received invalid response", "GSSAPI encryption required",
)  # fmt: skip

_READ_ONLY = 8
_SQLITE_TEXTS = {  # SQLite has one language
    5: r"database is (locked|busy)", 6: r"database (table|schema) is locked", 3: "access permission denied",
    _READ_ONLY: "attempt to write a readonly", 14: "unable to open",
    23: "not authorized|access to .* prohibited",
}  # fmt: skip
_SQLITE_TRANSIENT = (5, 6)
_SQLITE_DENIED = (3, _READ_ONLY, 14, 23)

_PREFIX = re.compile(r"^connection (?:is bad|failed): (?=connection to server)")  # psycopg's, redundant


@dataclass(frozen=True)
class Retry:
    """Retries transient errors with growing pauses, within a budget per call."""

    budget_s: float
    on_retry: Callable[[RetryNotice], None]

    def call(self, function: Callable[[], Result], *, since_start: bool = False) -> Result:
        """Call a function until it returns; the budget counts from its first failure, or from the start.

        Raises: DatabaseUnreachable when the budget is spent, DatabaseDenied and DatabaseError for errors that
                are not transient. For a rejected row (SQLSTATE 22, 23, 54) it is the driver's error.
        """
        counted_from_s: list[float] = []
        growing = tenacity.wait_exponential(multiplier=0.1, max=10) + tenacity.wait_random(0, 0.3)

        def left_s(state: tenacity.RetryCallState) -> float:
            # from the first failure: a long transaction that fails at its end has the whole budget left
            assert state.outcome_timestamp is not None
            if not counted_from_s:
                counted_from_s.append(state.start_time if since_start else state.outcome_timestamp)
            return self.budget_s - (state.outcome_timestamp - counted_from_s[0])

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: classify(error) == "transient"),
            stop=lambda state: left_s(state) <= 0,
            wait=lambda state: max(0.0, min(growing(state), left_s(state))),
            before_sleep=self._notify,
            reraise=True,
        )
        try:
            return retrying(function)
        except (DBAPIError, psycopg.Error, sqlite3.Error) as error:
            if classify(error) == "data":
                raise
            raise _to_tool_error(error) from error

    def _notify(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait_s = state.next_action.sleep if state.next_action else 0.0
        self.on_retry(RetryNotice(state.attempt_number, describe_error(error), wait_s))


def _driver_error(error: BaseException | None) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _sqlstate(error: BaseException) -> str | None:
    driver = _driver_error(error)
    return driver.sqlstate if isinstance(driver, psycopg.Error) else None


def classify(error: BaseException) -> ErrorKind:
    """Classify an error by what to do about it.

    Source: SPEC §4, Retries; PostgreSQL error codes; SQLite result codes.
    """
    driver = _driver_error(error)
    if isinstance(driver, sqlite3.Error):
        return _classify_sqlite(driver)
    if isinstance(driver, psycopg.Error):
        state = driver.sqlstate
        if state is None:
            return _classify_unnumbered(driver)
        if state in _TRANSIENT or state[:2] == "08":
            return "transient"
        if state in _DENIED:
            return "denied"
        return "data" if state[:2] in ("22", "23", "54") else "fatal"
    return "fatal"


def is_from_server(text: str) -> bool:
    """Return whether the text of a failed connection is a server's message, in any language."""
    return _FROM_SERVER.search(text) is not None


def _classify_unnumbered(error: psycopg.Error) -> ErrorKind:
    text = str(error)
    if isinstance(error, psycopg.DataError):  # the client rejects it, as a NUL character
        return "data"
    is_refused = is_from_server(text) or any(phrase in text for phrase in _REFUSED)
    if is_refused and not any(phrase in text for phrase in _BUSY):
        return "denied"
    return "transient" if isinstance(error, psycopg.OperationalError) else "fatal"


def _classify_sqlite(error: sqlite3.Error) -> ErrorKind:
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.DataError)):  # their text may be that of a trigger
        return "data"
    code = _sqlite_code(error)
    if code in _SQLITE_TRANSIENT:
        return "transient"
    return "denied" if code in _SQLITE_DENIED else "fatal"


def is_read_only(error: BaseException) -> bool:
    """Return whether SQLite may not write to the file or its folder."""
    driver = _driver_error(error)
    return isinstance(driver, sqlite3.Error) and _sqlite_code(driver) == _READ_ONLY


def _sqlite_code(error: sqlite3.Error) -> int | None:
    """Return the primary result code."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:  # before Python 3.11
        return next((number for number, text in _SQLITE_TEXTS.items() if re.match(text, str(error))), None)
    return code & 0xFF


def describe_error(error: BaseException | None) -> str:
    """Return the driver's message on one line, without the statement and its parameters."""
    driver = _driver_error(error)
    if isinstance(driver, psycopg.Error) and driver.diag.message_primary:
        # the detail of other errors may quote the whole row
        detail = driver.diag.message_detail if driver.sqlstate == UNIQUE_VIOLATION else None
        return driver.diag.message_primary + (f" ({detail})" if detail else "")
    return _PREFIX.sub("", " ".join(str(driver).split()))


def _to_tool_error(error: BaseException) -> DatabaseError:
    """Convert a driver's error into an error of this program, with a hint."""
    kind, message = classify(error), describe_error(error)
    if kind == "transient":
        return DatabaseUnreachable(
            f"cannot reach the system database: {message}",
            "check that it is running, and that host and port are correct",
        )
    if kind == "denied":
        return DatabaseDenied(
            f"the system database refused the request: {message}",
            "check the user name, password, database name and privileges",
        )
    hint = (
        "set a smaller --chunk-size or a longer statement_timeout" if _sqlstate(error) == _CANCELED else None
    )
    return DatabaseError(f"the system database reported an error: {message}", hint)
