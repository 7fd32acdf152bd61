"""Read a PostgreSQL URL, and describe what libpq rejects in it before it contacts a server."""

from __future__ import annotations

import re
import socket

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo, ConninfoOption

from ..core.errors import DatabaseUnreachable, UsageError
from ..core.suggest import suggest

# Every message of libpq about a server that it tried to reach begins with these words (PostgreSQL 14 on).
_ATTEMPTED = "connection to server"
# libpq reads these numbers only when it opens the socket, so its message begins with the words above
_LATE = re.compile(r'invalid integer value ".*" for connection option ".*"')
_FROM_PSYCOPG = re.compile(r"^connection (?:is bad|failed): ")
_ENCODE = (
    "percent-encode special characters in the user name and password: @ is %40, / is %2F, : is %3A, ? is %3F"
)
# libpq describes these without the parameter's name
_NAMELESS = {
    "SSL protocol version range": "ssl_min_protocol_version",
    "parse network address": "hostaddr",
    "socket path": "host",
}


def read_url(url: str) -> dict[str, str]:
    """Return the connection parameters of a PostgreSQL URL.

    Raises: UsageError, which never contains what could be a part of the password.
    """
    try:
        parameters = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError as error:
        raise _unreadable(url, str(error)) from None
    # a special character that is not encoded moves a part of the password into these: never print them
    ports = parameters.get("port", "").split(",")
    if any("@" in parameters.get(key, "") for key in ("host", "dbname")) or not all(
        port == "" or port.isdecimal() for port in ports
    ):
        raise UsageError(
            "the PostgreSQL URL cannot be read: a character in the host, port or database name is "
            "not allowed there",
            _ENCODE,
        )
    return parameters


def _unreadable(url: str, text: str) -> UsageError:
    named = re.search(r'URI query parameter: "([^"]*)"', text)
    if named is None or _may_hide_password(url):
        # libpq quotes the URL in its message, and with it the password
        reason = re.sub(r'"[^"]*"', "…", text).strip()
        return UsageError(
            f"the PostgreSQL URL is not valid: {reason}",
            "write postgresql://user:password@host:5432/database",
        )
    name = named[1]
    if text.startswith("invalid URI query parameter"):
        hint = suggest(name, _defaults()) or "remove it"
        if name == "schema":
            hint = "remove it; use `--schema` for the schema of the DBOS tables"
        return UsageError(f"the PostgreSQL URL has an unknown parameter `{name}`", hint)
    return UsageError(
        f"the parameter `{name}` of the PostgreSQL URL cannot be read",
        f"write `{name}=VALUE` with one `=`, and percent-encode the value: = is %3D, & is %26",
    )


def _may_hide_password(url: str) -> bool:
    """Return whether the query may begin inside a password in which `/` and `?` are not encoded."""
    return "@" in url.partition("?")[2]


def connect(url: str, parameters: dict[str, str]) -> psycopg.Connection:
    """Open a connection; `url` decides only what a message may repeat.

    Raises: UsageError for parameters that libpq rejects before it contacts a server, DatabaseUnreachable
            for an unknown host name; psycopg.Error for everything else.
    """
    try:
        # no server-side prepared statements: a PgBouncer in transaction mode would lose them
        return psycopg.connect(make_conninfo(**parameters), prepare_threshold=None)
    except UnicodeError:  # the encoding of host names raises it, and psycopg lets it through
        raise _unknown_host(url, parameters) from None
    except psycopg.Error as error:
        text = str(error)
        unresolved = text.startswith("failed to resolve host")
        # EAI_AGAIN is transient: the name server did not respond. Any other error means an unknown host
        if unresolved and f"[Errno {socket.EAI_AGAIN}]" not in text:
            raise _unknown_host(url, parameters) from None
        if not unresolved and error.sqlstate is None and _is_rejected_before_connecting(error, text):
            raise _rejected(url, parameters, text) from None
        raise


def _unknown_host(url: str, parameters: dict[str, str]) -> DatabaseUnreachable:
    host = parameters.get("host") or _defaults()["host"].val
    return DatabaseUnreachable(
        f"the host name `{host.decode() if isinstance(host, bytes) else host}` is unknown",
        _ENCODE if _may_hide_password(url) else _correct("host", parameters),
    )


def _is_rejected_before_connecting(error: psycopg.Error, text: str) -> bool:
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return False
    return _ATTEMPTED not in text or _LATE.search(text) is not None


def _rejected(url: str, parameters: dict[str, str], text: str) -> UsageError:
    """Describe a rejected parameter: its name, libpq's reason, and where its value comes from."""
    first = _FROM_PSYCOPG.sub("", text.splitlines()[0])
    late = _LATE.search(first)
    reason = late[0] if late else first
    name = _parameter_in(reason)
    hidden = _may_hide_password(url)
    if hidden:
        reason = re.sub(r"""["'].*["']""", "…", reason)
    subject = f"parameter `{name}`" if name else "parameters"
    return UsageError(
        f"libpq rejected the connection {subject}: {reason}",
        _ENCODE if hidden else _correct(name, parameters),
    )


def _correct(name: str | None, parameters: dict[str, str]) -> str:
    variable = _defaults()[name].envvar if name and name not in parameters else None
    if variable:
        return f"correct the environment variable {variable.decode()}, or set `{name}` in the database URL"
    return f"correct `{name}` in the database URL" if name else "correct the database URL"


def _parameter_in(reason: str) -> str | None:
    for phrase, name in _NAMELESS.items():
        if phrase in reason:
            return name
    plain = reason.rpartition(" for connection option ")[2].replace(" ", "_").lower()
    names = sorted(_defaults(), key=len, reverse=True)
    found = re.search(rf"(?<![a-z])({'|'.join(map(re.escape, names))})(?![a-z])", plain)
    return found[1] if found else None


def _defaults() -> dict[str, ConninfoOption]:
    """Return libpq's parameters by name, with their defaults and environment variables."""
    return {option.keyword.decode(): option for option in Conninfo.get_defaults()}
