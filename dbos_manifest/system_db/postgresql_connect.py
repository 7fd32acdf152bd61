"""Connect to PostgreSQL, protect the password on its way, and describe what libpq rejects."""

from __future__ import annotations

import ipaddress
import re
import socket
from contextlib import suppress

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection

from ..core.errors import DatabaseDenied, DatabaseUnreachable, UsageError
from .database import Encryption
from .postgresql_sqlstate import find_sqlstate
from .postgresql_url import defaults, may_hide_password
from .retry import classify, is_from_server

# Every message of libpq about a server that it tried to reach begins with these words (PostgreSQL 14 on).
_ATTEMPTED = "connection to server"
# libpq reads these numbers only when it opens the socket, so its message begins with the words above
_LATE = re.compile(r'invalid integer value ".*" for connection option ".*"')
_FROM_PSYCOPG = re.compile(r"^connection (?:is bad|failed): ")
# libpq describes these without the parameter's name
_NAMELESS = {
    "SSL protocol version range": "ssl_min_protocol_version",
    "parse network address": "hostaddr",
    "socket path": "host",
}


# most servers have this text: there the password is not tried twice
_WRONG_PASSWORD = " failed: FATAL:  password authentication failed for user "
_ENCRYPTED_MODES = ("require", "verify-ca", "verify-full")
_NO_CLEAR_TEXT = "!password"


def protect_password(parameters: dict[str, str]) -> dict[str, str]:
    """Add that no server gets the password in clear text over a connection that may not be encrypted.

    By default libpq gives it to whichever server asks for it. Parameters with `require_auth` are unchanged,
    and those of Unix sockets.
    """
    known = defaults()

    def found(name: str) -> str:
        default = known[name].val if name in known else None
        return parameters.get(name) or (default or b"").decode(errors="replace")

    hosts = (found("hostaddr") or found("host")).split(",")
    if (
        "require_auth" not in known  # libpq before 16
        or found("require_auth")
        or "service" in parameters  # its file may have any of them
        or found("sslmode") in _ENCRYPTED_MODES
        or found("sslrootcert") == "system"  # implies verify-full
        or all(host == "" or host.startswith(("/", "@")) for host in hosts)
    ):
        return parameters
    return {**parameters, "require_auth": _NO_CLEAR_TEXT}


def read_encryption(driver: psycopg.Connection) -> Encryption:
    """Read how an open connection is protected."""
    used = {option.keyword: (option.val or b"").decode(errors="replace") for option in driver.pgconn.info}
    protocol = None
    if driver.pgconn.ssl_in_use:
        protocol = "TLS"
    elif not is_cockroach(driver) and driver.info.server_version >= 120_000:
        statement = "SELECT encrypted FROM pg_stat_gssapi WHERE pid = pg_backend_pid()"
        row = driver.execute(statement).fetchone()
        protocol = "GSSAPI" if row is not None and row[0] else None
    return Encryption(protocol, used[b"sslmode"] or "prefer", _is_local(driver.info))


def _is_local(info: psycopg.ConnectionInfo) -> bool:
    if info.host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(info.hostaddr).is_loopback
    except ValueError:
        return False


def driver_of(connection: Connection) -> psycopg.Connection:
    """Return the driver's connection."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def is_cockroach(driver: psycopg.Connection) -> bool:
    """Return whether the server is CockroachDB."""
    return driver.info.parameter_status("crdb_version") is not None


def connect(url: str, parameters: dict[str, str]) -> psycopg.Connection:
    """Open a connection; `url` decides only what a message may repeat.

    Raises: UsageError for parameters that libpq rejects before it contacts a server, DatabaseUnreachable
            for an unknown host name, DatabaseDenied for a server that asks for the password in clear text;
            psycopg.Error for everything else.
    """
    try:
        return open_session(parameters)
    except UnicodeError:  # the encoding of host names raises it, and psycopg lets it through
        raise _unknown_host(parameters) from None
    except psycopg.Error as error:
        text = str(error)
        if parameters.get("require_auth") == _NO_CLEAR_TEXT and _NO_CLEAR_TEXT in text:
            raise DatabaseDenied(
                "the server asks for the password in clear text over a connection that may not be encrypted",
                "set sslmode=verify-full in the database URL, or require_auth=password to allow it",
            ) from None
        unresolved = text.startswith("failed to resolve host")
        # EAI_AGAIN is transient: the name server did not respond. Any other error means an unknown host
        if unresolved and f"[Errno {socket.EAI_AGAIN}]" not in text:
            raise _unknown_host(parameters) from None
        if not unresolved and error.sqlstate is None and _is_rejected_before_connecting(error, text):
            raise _rejected(url, parameters, text) from None
        raise


def open_session(parameters: dict[str, str], *, autocommit: bool = False) -> psycopg.Connection:
    """Open a connection.

    Raises: psycopg.Error. For a refusal of the server it has a SQLSTATE, if that can be found out.
    """
    conninfo = make_conninfo(**parameters)
    try:
        # no server-side prepared statements: a PgBouncer in transaction mode would lose them
        return psycopg.connect(conninfo, autocommit=autocommit, prepare_threshold=None)
    except psycopg.OperationalError as error:
        if error.sqlstate is not None or not is_from_server(str(error)):
            raise
        if _WRONG_PASSWORD in str(error):
            raise psycopg.errors.InvalidPassword(str(error)) from None
        state = find_sqlstate(conninfo)
        if state is None or state.startswith("08"):  # poolers use this class for every refusal
            raise
        raise _make_refusal(state, str(error)) from None


def _make_refusal(state: str, text: str) -> psycopg.Error:
    """Make an error with that SQLSTATE if a retry may help, and with that of a refused login otherwise."""
    with suppress(KeyError):  # a state of another server than PostgreSQL
        error = psycopg.errors.lookup(state)(text)
        if classify(error) == "transient":
            return error
    return psycopg.errors.InvalidAuthorizationSpecification(text)


def _unknown_host(parameters: dict[str, str]) -> DatabaseUnreachable:
    host = parameters.get("host") or defaults()["host"].val
    return DatabaseUnreachable(
        f"the host name `{host.decode() if isinstance(host, bytes) else host}` is unknown",
        _correct("host", parameters),
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
    if may_hide_password(url):
        reason = re.sub(r"""\s*["'].*""", " …", reason)
    subject = f"parameter `{name}`" if name else "parameters"
    return UsageError(f"libpq rejected the connection {subject}: {reason}", _correct(name, parameters))


def _correct(name: str | None, parameters: dict[str, str]) -> str:
    variable = defaults()[name].envvar if name and name not in parameters else None
    if variable:
        return f"correct the environment variable {variable.decode()}, or set `{name}` in the database URL"
    return f"correct `{name}` in the database URL" if name else "correct the database URL"


def _parameter_in(reason: str) -> str | None:
    for phrase, name in _NAMELESS.items():
        if phrase in reason:
            return name
    plain = reason.rpartition(" for connection option ")[2].replace(" ", "_").lower()
    names = sorted(defaults(), key=len, reverse=True)
    found = re.search(rf"(?<![a-z])({'|'.join(map(re.escape, names))})(?![a-z])", plain)
    return found[1] if found else None
