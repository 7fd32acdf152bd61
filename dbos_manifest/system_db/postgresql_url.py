"""Read a PostgreSQL URL. No message repeats what may be a part of a password, however the URL is written."""

from __future__ import annotations

import re
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo, ConninfoOption

from ..core.errors import UsageError
from ..core.suggest import suggest

_ENCODE = (
    "percent-encode special characters in the user name and password: @ is %40, / is %2F, : is %3A, ? is %3F"
)
_START = "postgresql://"
_AUTHORITY = re.compile(r"postgresql://(?:(?P<user>[^/?]*)@)?(?P<hosts>[^/?@]*)(?P<rest>.*)", re.DOTALL)
_HOSTS = re.compile(r"(?:\[[^\]]*\]|[^:\[\],]*)(?::\d*)?(?:,(?:\[[^\]]*\]|[^:\[\],]*)(?::\d*)?)*", re.ASCII)
_HOST = re.compile(r"/.*|[\w.-]*|[0-9A-Fa-f:.]+(?:%[\w.-]+)?", re.DOTALL)
_SECRET_PARAMETER = re.compile(r"(?:password|secret|scram_\w+_key)\s*=", re.IGNORECASE)


def read_url(url: str) -> dict[str, str]:
    """Return the connection parameters of a PostgreSQL URL.

    Raises: UsageError.
    """
    parts = _AUTHORITY.fullmatch(url)
    if parts is not None and ("@" in (parts["user"] or "") or "@" in parts["rest"]):
        raise UsageError("the PostgreSQL URL is not valid: it has a misplaced `@`", _ENCODE)
    try:
        parameters = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError as error:
        raise _unreadable(url, str(error)) from None
    except UnicodeError:  # decoding percent-encoded bytes, or encoding bytes of the environment
        raise UsageError(
            "the PostgreSQL URL is not valid: a part of it, or what it percent-encodes, is not UTF-8",
            "percent-encode the UTF-8 bytes of a character, and % itself: ä is %C3%A4, % is %25",
        ) from None
    if not _is_plausible(parameters):
        raise UsageError(
            "the PostgreSQL URL is not valid: a character in the user, host, port or database name is not "
            "allowed there",
            _ENCODE,
        )
    return parameters


def _is_plausible(parameters: dict[str, str]) -> bool:
    """Return whether no part of a password is in another place, where a message would repeat it.

    `:` and `@` are there when they are encoded although they separate, and a port that is no number when
    they separate although they should be encoded.
    """
    found = parameters.get
    return (
        all(_HOST.fullmatch(host) for host in found("host", "").split(","))
        and all(port == "" or port.isdecimal() for port in found("port", "").split(","))
        and "@" not in found("dbname", "")
        and ":" not in found("user", "")
    )


def _unreadable(url: str, text: str) -> UsageError:
    named = re.search(r'URI query parameter: "(\w*)"', text)
    if named is None or may_hide_password(url):
        # libpq quotes the URL in its message, and with it the password
        reason = text.partition('"')[0].rstrip(" :(") if url.startswith(_START) else f"expected {_START}"
        return UsageError(
            f"the PostgreSQL URL is not valid: {reason}",
            f"write postgresql://user:password@host:5432/database?parameter=value, and {_ENCODE}",
        )
    name = named[1]
    if text.startswith("invalid URI query parameter"):
        hint = suggest(name, defaults()) or "remove it"
        if name == "schema":
            hint = "remove it; use `--schema` for the schema of the DBOS tables"
        return UsageError(f"the PostgreSQL URL has an unknown parameter `{name}`", hint)
    return UsageError(
        f"the parameter `{name}` of the PostgreSQL URL cannot be read",
        f"write `{name}=VALUE` with one `=`, and percent-encode the value: = is %3D, & is %26",
    )


def may_hide_password(url: str) -> bool:
    """Return whether names and values of the query may be parts of a password that is not encoded.

    They may follow a `&` in a password that is a parameter, or a `?` in a password before an encoded `@`.
    """
    parts = _AUTHORITY.fullmatch(url)
    if parts is None or not _HOSTS.fullmatch(parts["hosts"]):
        return True
    query = unquote(parts["rest"].partition("?")[2])
    return "@" in query or _SECRET_PARAMETER.search(query) is not None


def defaults() -> dict[str, ConninfoOption]:
    """Return libpq's parameters by name, with their defaults and environment variables."""
    return {option.keyword.decode(): option for option in Conninfo.get_defaults()}
