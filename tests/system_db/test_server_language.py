"""Test that a refused connection is judged by its SQLSTATE, whatever language the server has."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from dbos_manifest.core.errors import DatabaseDenied, DatabaseUnreachable
from dbos_manifest.planning.results import RetryNotice
from dbos_manifest.system_db.advisory_lock import open_locked
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.postgresql_sqlstate import find_sqlstate
from dbos_manifest.system_db.retry import Retry

SEVERITIES = ["FATAL", "ВАЖНО", "致命错误", "NGHIÊM TRỌNG", "FATALE"]
PROTOCOL_3 = 196_608


class RefusingServer:
    """Refuse every connection with one error."""

    def __init__(self, severity: str, state: str, text: str) -> None:
        fields = (f"S{severity}", "VFATAL", f"C{state}", f"M{text}", "")
        body = "\0".join(fields).encode() + b"\0"
        self._answer = b"E" + struct.pack("!I", len(body) + 4) + body
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"postgresql://u@127.0.0.1:{self._listener.getsockname()[1]}/db"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, suppress(OSError, struct.error):
                    while _read_code(client) != PROTOCOL_3:
                        client.sendall(b"N")  # no TLS
                    client.sendall(self._answer)


def _read_code(client: socket.socket) -> int:
    (length,) = struct.unpack("!I", client.recv(4))
    (code,) = struct.unpack("!I", client.recv(length - 4)[:4])
    return int(code)


@pytest.fixture
def serve() -> Iterator[Callable[[str, str, str], str]]:
    servers: list[RefusingServer] = []

    def make(severity: str, state: str, text: str) -> str:
        servers.append(RefusingServer(severity, state, text))
        return servers[-1].url

    yield make
    for server in servers:
        server.close()


BUSY = [
    ("53300", "tut mir leid, schon zu viele Verbindungen"),
    ("53300", "извините, уже слишком много клиентов"),
    ("57P03", "数据库系统启动中"),
    ("57P03", 'role "authentication failed" does not exist'),
    ("57P01", "breche Verbindung ab aufgrund von Anweisung des Administrators"),
]
REFUSED = [
    ("28P01", "Passwort-Authentifizierung für Benutzer »u« fehlgeschlagen"),
    ("28000", 'роли "u" вход в систему запрещён'),
    ("3D000", "la base de données « db » n'existe pas"),
    ("3D000", 'database "too many connections" does not exist'),
    ("42501", "没有权限"),
    ("22023", "ungültiger Wert für Parameter »statement_timeout«"),
    ("55000", 'database "db" is not currently accepting connections, starting up'),
    ("99999", "unbekannt"),
]
KINDS = [*((True, *each) for each in BUSY), *((False, *each) for each in REFUSED)]


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize(("is_busy", "state", "text"), KINDS)
def test_sqlstate_decides_whether_a_refusal_is_retried(
    serve: Callable[[str, str, str], str], severity: str, is_busy: bool, state: str, text: str
) -> None:
    notices: list[RetryNotice] = []
    with pytest.raises(DatabaseUnreachable if is_busy else DatabaseDenied, match=text[:20]):
        open_database(serve(severity, state, text), retry=Retry(0.2, notices.append))
    assert bool(notices) is is_busy


@pytest.mark.parametrize(("is_busy", "state", "text"), KINDS)
def test_sqlstate_decides_for_the_session_of_the_lock_too(
    serve: Callable[[str, str, str], str], is_busy: bool, state: str, text: str
) -> None:
    port = serve("ВАЖНО", state, text).partition("127.0.0.1:")[2].partition("/")[0]
    parameters = {"host": "127.0.0.1", "port": port, "user": "u", "dbname": "db"}
    with pytest.raises(DatabaseUnreachable if is_busy else DatabaseDenied):
        Retry(0, lambda notice: None).call(lambda: open_locked(parameters, "dbos", ["jobs"], 0))


@pytest.mark.parametrize(
    ("is_busy", "text"),
    [(True, "query_wait_timeout"), (True, "server login has been failing"), (False, "no such user")],
)
def test_words_decide_for_a_pooler_which_has_one_sqlstate(
    serve: Callable[[str, str, str], str], is_busy: bool, text: str
) -> None:
    with pytest.raises(DatabaseUnreachable if is_busy else DatabaseDenied, match=text):
        open_database(serve("FATAL", "08P01", text), retry=Retry(0, lambda notice: None))


def test_refusal_that_is_over_at_the_second_attempt_is_retried(postgres_url: str) -> None:
    assert find_sqlstate(postgres_url) == "57P03"


def test_sqlstate_in_the_text_of_an_error_does_not_decide(serve: Callable[[str, str, str], str]) -> None:
    assert find_sqlstate(serve("FATAL", "28P01", 'x" C "53300" ErrorResponse C "53300"')) == "28P01"
