"""A database URL in; out: where it leads, with the secret parts kept apart from what may be shown."""

from __future__ import annotations

import re
from typing import NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..errors import UsageError

FORMS = "write it as postgresql://user:password@host:5432/database or sqlite:///path/to/file.sqlite"


class PostgresAddress(NamedTuple):
    parameters: dict[str, str]  # libpq's, the password among them

    @property
    def label(self) -> str:
        """Host, port and database; no user, no password."""
        hosts = self.parameters.get("host") or self.parameters.get("hostaddr") or ""
        ports = self.parameters.get("port", "").split(",")
        names = hosts.split(",") if hosts else ["localhost"]
        ports = ports * len(names) if len(ports) == 1 else ports
        shown = ",".join(f"{name}:{port}" if port else name for name, port in zip(names, ports, strict=False))
        return f"{shown}/{self.database}"

    @property
    def database(self) -> str:
        return self.parameters.get("dbname") or self.parameters.get("user") or ""

    @property
    def secrets(self) -> list[str]:
        return [self.parameters[key] for key in ("password", "sslpassword") if self.parameters.get(key)]


class SqliteAddress(NamedTuple):
    path: str

    @property
    def label(self) -> str:
        return self.path


def parse_url(url: str) -> PostgresAddress | SqliteAddress:
    """Read a database URL; libpq's own rules hold for PostgreSQL.

    Raises: UsageError that repeats no part of the URL which could be a password.
    """
    url = url.strip()
    scheme, colon, rest = url.partition(":")
    dialect, _, driver = scheme.lower().partition("+")
    if colon and dialect in ("postgresql", "postgres"):
        if driver not in ("", "psycopg", "psycopg2"):
            raise UsageError(
                f"the driver `{driver}` in the database URL is not supported", "write postgresql://…"
            )
        return _parse_postgres(f"postgresql:{rest}")
    if colon and dialect == "sqlite" and driver in ("", "pysqlite"):
        return _parse_sqlite(rest)
    if colon and rest.startswith("//") and re.fullmatch(r"[a-z0-9]+", dialect):
        raise UsageError(f"DBOS has no system database of the kind `{dialect}://`", FORMS)
    raise UsageError("the database URL is not a URL of PostgreSQL or SQLite", FORMS)


def _parse_sqlite(rest: str) -> SqliteAddress:
    if "?" in rest:
        raise UsageError("the SQLite URL has options after `?`, which are not supported", "leave them out")
    path = rest
    if rest.startswith("//"):  # sqlite:///relative and sqlite:////absolute; Go writes sqlite:path
        slash, path = rest[2:3], rest[3:]
        if slash not in ("", "/"):
            raise UsageError(
                "the SQLite URL has a host", "write three slashes, sqlite:///path, or four before /path"
            )
    if path in ("", ":memory:"):
        raise UsageError("the SQLite URL names no file", "write sqlite:///path/to/file.sqlite")
    return SqliteAddress(path)


def _parse_postgres(url: str) -> PostgresAddress:
    try:
        parsed = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise UsageError(f"the database URL cannot be read: {_reason(str(error), url)}", FORMS) from None
    parameters = {key: str(value) for key, value in parsed.items() if value is not None}
    ports = parameters.get("port", "").split(",")
    # what libpq takes for host, port or database then holds a part of the password, so it is not repeated
    if any("@" in parameters.get(key, "") for key in ("host", "dbname")) or not all(
        port == "" or port.isdecimal() for port in ports
    ):
        raise UsageError(
            "the database URL cannot be read: a character in its host, port or database is out of place",
            "percent-encode special characters in user and password: @ is %40, / is %2F, : is %3A, ? is %3F",
        )
    return PostgresAddress(parameters)


def _reason(text: str, url: str) -> str:
    parameter = re.fullmatch(r'invalid URI query parameter: "([a-z_]+)"', text.strip())
    if parameter and "@" not in url.partition("?")[2]:
        return f"libpq has no parameter `{parameter[1]}`"
    if "percent-encoded" in text:
        return "a `%` in it must be followed by two hexadecimal digits; a literal `%` is written %25"
    return "it is malformed"
