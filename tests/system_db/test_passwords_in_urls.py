"""Test that no message repeats a part of a password, however a URL is written."""

from __future__ import annotations

import socket
import traceback

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbos_manifest.core.errors import ManifestToolError, UsageError
from dbos_manifest.planning.results import RetryNotice
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.postgresql_url import defaults
from dbos_manifest.system_db.retry import Retry

MARK = "hunter2"
URLS = [
    "postgresql://u:{}@127.0.0.1:1/db",
    "postgres://u:{}@127.0.0.1:1/db?sslmode=disable",
    "postgresql+psycopg://u:{}@127.0.0.1:1/db",
    "postgresql://u:{}@[::1/db",
    "postgresql://u:{}@[::1]:1/db?target_session_attrs=any",
    "postgresql://u:{}@/db?host=127.0.0.1&port=1",
    "postgresql://u:{}@127.0.0.1:1,127.0.0.1:1/db",
    "postgresql://u:{}@127.0.0.1:1/db?sslmode=no-verify",
    "postgresql://u:{}@127.0.0.1:1/db?unknown=1",
    "postgresql://u:{}@127.0.0.1:port/db",
    # what separates is encoded, or missing
    "postgresql://u:{}%40127.0.0.1:1/db",
    "postgresql://u%3A{}@127.0.0.1:1/db",
    "postgresql://u%3A{}%40127.0.0.1:1/db",
    "postgresql:/u:{}@127.0.0.1:1/db",
    "postgresql:u:{}@127.0.0.1:1/db",
    "postgresql:///u:{}@127.0.0.1:1/db",
    "u:{}@127.0.0.1:1/db",
    "host=127.0.0.1 port=1 password={}",
    "postgresql:host=127.0.0.1 port=1 password={}",
    "postgresql://127.0.0.1:1/db?password={}",
    "postgresql://u@127.0.0.1:1/db?password={}&sslmode=disable",
    "postgresql://u@127.0.0.1:1/db?sslmode=no-verify&password={}",
    "postgresql://u@127.0.0.1:1/db?pass%77ord={}",
    *(
        f"postgresql://u@127.0.0.1:1/db?{name}={{}}"
        for name, option in defaults().items()
        if option.dispchar == b"*"
    ),
]
PIECES = [*"\"'%@/:?#&=[]{} \\,;$!+<>\n\té", "a", "12", "%00", "%zz", "%40", "%2F", "%3A", "%22"]
SPECIAL = st.lists(st.sampled_from(PIECES), max_size=4).map("".join)


def shown_for(url: str) -> str:
    """Return everything that may be shown of the error of a URL."""
    notices: list[RetryNotice] = []
    with pytest.raises(ManifestToolError) as caught:
        open_database(url, retry=Retry(0, notices.append))
    trace = traceback.format_exception(caught.value, chain=True)
    lines = [line for line in "".join(trace).splitlines() if not line.startswith("    ")]  # no source lines
    return "\n".join([*lines, caught.value.message, str(caught.value.hint), *map(str, notices)])


def no_name(host: object, *arguments: object, **named: object) -> object:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize("url", URLS)
@settings(max_examples=40, deadline=None)
@given(before=SPECIAL, after=SPECIAL)
@example(before='x"', after="%zz")
@example(before='x%zz"', after="")
@example(before="a@", after="")
@example(before="12/", after="")
@example(before="12?", after="")
@example(before="a&", after="")
@example(before="a&", after="=b")
@example(before="", after=":b")
def test_no_part_of_a_password_is_shown(url: str, before: str, after: str) -> None:
    text = url.format(f"{before}{MARK}{after}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", no_name)  # a piece of the password may be read as the host
        assert MARK not in shown_for(text), text


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ('postgresql://u:x"y%zz@localhost/db', "invalid percent-encoded token", "%40"),
        ("postgresql://u:a@b@localhost/db", "misplaced `@`", "@ is %40"),
        ("postgresql://u:a/b@localhost/db", "misplaced `@`", "/ is %2F"),
        ("postgresql://localhost/db?user=a@b", "misplaced `@`", "@ is %40"),
        ("postgresql://u%3Ax@localhost/db", "not allowed there", ": is %3A"),
        ("postgresql:/localhost/db", "expected postgresql://", "postgresql://user"),
        ("postgresql://u:%aa@localhost/db", "not UTF-8", "percent-encode"),
        ("postgresql://u:\udce4@localhost/db", "not UTF-8", "percent-encode"),
        ("postgresql://localhost/db?password=a&b", "missing key/value separator", "percent-encode"),
    ],
)
def test_url_that_cannot_be_read_is_described_without_repeating_it(url: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_database(url, retry=Retry(0, lambda notice: None))
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


def test_value_is_repeated_only_without_a_password_in_the_query() -> None:
    assert "no-verify" in shown_for("postgresql://u:p@127.0.0.1:1/db?sslmode=no-verify")
    hidden = shown_for("postgresql://u@127.0.0.1:1/db?password=a&sslmode=no-verify")
    assert "`sslmode`" in hidden
    assert "no-verify" not in hidden
