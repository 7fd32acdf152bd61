"""Test the TLS options of a URL: the certificate and the host name are verified."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import trustme

from dbos_manifest.core.errors import DatabaseDenied, DatabaseError
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.retry import Retry

SSL_REQUEST = bytes.fromhex("00000008 04d2162f")


class TlsFront:
    """Terminate TLS in front of the server, because the wheel's server is built without TLS."""

    def __init__(self, server_url: str, certificate: trustme.LeafCert | None) -> None:
        parts = urlsplit(server_url)
        host = parse_qs(parts.query).get("host", [unquote(parts.hostname or "")])[0]
        port = parts.port or 5432
        self._address = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.encrypted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            if self._context is not None:
                assert client.recv(8) == SSL_REQUEST
                client.sendall(b"S")
                client = self._context.wrap_socket(client, server_side=True)
                self.encrypted += 1
            family = socket.AF_UNIX if isinstance(self._address, str) else socket.AF_INET
            server = socket.socket(family)
            server.connect(self._address)
            if self._context is None and client.recv(8) == SSL_REQUEST:
                client.sendall(b"N")
            threading.Thread(target=_pump, args=(server, client), daemon=True).start()
            _pump(client, server)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def front(postgres_url: str) -> Iterator[Callable[[trustme.LeafCert | None], TlsFront]]:
    fronts: list[TlsFront] = []

    def make(certificate: trustme.LeafCert | None) -> TlsFront:
        fronts.append(TlsFront(postgres_url, certificate))
        return fronts[-1]

    yield make
    for found in fronts:
        found.close()


def url_of(postgres_url: str, front: TlsFront, options: str) -> str:
    return f"postgresql://postgres@localhost:{front.port}{urlsplit(postgres_url).path}?{options}"


def open_once(url: str) -> None:
    open_database(url, retry=Retry(0, lambda notice: None)).engine.dispose()


def test_verify_full_checks_the_certificate_and_the_host_name(
    postgres_url: str, tmp_path: Path, front: Callable[[trustme.LeafCert | None], TlsFront]
) -> None:
    ours, others = trustme.CA(), trustme.CA()
    trusted = tmp_path / "ca.pem"
    ours.cert_pem.write_to_path(trusted)
    options = f"sslmode=verify-full&sslrootcert={trusted}"
    good = front(ours.issue_cert("localhost"))
    open_once(url_of(postgres_url, good, options))
    assert good.encrypted
    for certificate in (others.issue_cert("localhost"), ours.issue_cert("db.example.com")):
        with pytest.raises(DatabaseError, match="certificate"):
            open_once(url_of(postgres_url, front(certificate), options))


def test_server_without_tls_is_refused(
    postgres_url: str, front: Callable[[trustme.LeafCert | None], TlsFront]
) -> None:
    with pytest.raises(DatabaseDenied, match="does not support SSL"):
        open_once(url_of(postgres_url, front(None), "sslmode=require"))
