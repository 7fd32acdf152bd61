"""Test the TLS options of a URL: the certificate and the host name are verified."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import trustme

from dbos_manifest.actions.doctor import check_encryption
from dbos_manifest.core.doctor_check import Level
from dbos_manifest.core.errors import DatabaseDenied, DatabaseError
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.database import Encryption
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


def test_authorities_of_the_system_are_those_of_the_environment(
    postgres_url: str,
    tmp_path: Path,
    front: Callable[[trustme.LeafCert | None], TlsFront],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    open_once(url_of(postgres_url, front(ca.issue_cert("localhost")), "sslrootcert=system"))
    with pytest.raises(DatabaseError, match="certificate"):
        other = front(trustme.CA().issue_cert("localhost"))
        open_once(url_of(postgres_url, other, "sslrootcert=system"))


def test_server_without_tls_is_refused(
    postgres_url: str, front: Callable[[trustme.LeafCert | None], TlsFront]
) -> None:
    with pytest.raises(DatabaseDenied, match="does not support SSL"):
        open_once(url_of(postgres_url, front(None), "sslmode=require"))


class ClearTextServer:
    """Ask each client for its password in clear text, over TLS if there is a certificate."""

    def __init__(self, certificate: trustme.LeafCert | None = None) -> None:
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.passwords: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, struct.error):
            while (message := _read_message(client))[:4] == SSL_REQUEST[4:]:
                client.sendall(b"S" if self._context else b"N")
                if self._context is not None:
                    client = self._context.wrap_socket(client, server_side=True)
            assert message[:4] == struct.pack("!I", 196_608)  # version 3.0 of the protocol
            client.sendall(b"R" + struct.pack("!II", 8, 3))
            if client.recv(1) == b"p":
                self.passwords.append(_read_message(client).rstrip(b"\0"))
            text = b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "server down"\0\0'
            client.sendall(b"E" + struct.pack("!I", len(text) + 4) + text)
        client.close()


def _read_message(client: socket.socket) -> bytes:
    (length,) = struct.unpack("!I", client.recv(4))
    return client.recv(length - 4)


MakeServer = Callable[[trustme.LeafCert | None], ClearTextServer]


@pytest.fixture
def clear_text() -> Iterator[MakeServer]:
    servers: list[ClearTextServer] = []

    def make(certificate: trustme.LeafCert | None) -> ClearTextServer:
        servers.append(ClearTextServer(certificate))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def refusal(server: ClearTextServer, options: str, host: str = "localhost") -> DatabaseDenied:
    with pytest.raises(DatabaseDenied) as caught:
        open_once(f"postgresql://u:s3cret@{host}:{server.port}/db?{options}")
    return caught.value


@pytest.mark.parametrize("options", ["", "sslmode=disable", "sslmode=allow", "sslmode=prefer"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.1:1,localhost"])
@pytest.mark.parametrize("with_tls", [False, True])
def test_password_is_not_given_in_clear_text_by_default(
    clear_text: MakeServer, options: str, host: str, with_tls: bool
) -> None:
    """TLS with an unknown certificate does not prove which server it is."""
    server = clear_text(trustme.CA().issue_cert("localhost") if with_tls else None)
    error = refusal(server, options, host)
    assert "password in clear text" in error.message
    assert "sslmode=verify-full" in str(error.hint)
    assert server.passwords == []


def test_password_is_given_in_clear_text_if_the_url_allows_it(clear_text: MakeServer) -> None:
    server = clear_text(None)
    assert "authentication failed" in refusal(server, "require_auth=password").message
    assert server.passwords == [b"s3cret"]


def test_password_is_given_in_clear_text_to_a_verified_server(clear_text: MakeServer, tmp_path: Path) -> None:
    ca = trustme.CA()
    trusted = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(trusted)
    server = clear_text(ca.issue_cert("localhost"))
    refusal(server, f"sslmode=verify-full&sslrootcert={trusted}")
    assert server.passwords == [b"s3cret"]


@pytest.mark.parametrize(
    ("variable", "value", "given"),
    [("PGSSLMODE", "prefer", 0), ("PGSSLMODE", "require", 1), ("PGREQUIREAUTH", "password", 2)],
)
def test_environment_of_libpq_counts_like_the_url(
    clear_text: MakeServer, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, given: int
) -> None:
    monkeypatch.setenv(variable, value)
    server = clear_text(trustme.CA().issue_cert("localhost"))
    refusal(server, "")
    assert len(server.passwords) == given


def test_encryption_of_the_connection_is_read(
    postgres_url: str, tmp_path: Path, front: Callable[[trustme.LeafCert | None], TlsFront]
) -> None:
    ca = trustme.CA()
    trusted = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(trusted)
    encrypted, plain = front(ca.issue_cert("localhost")), front(None)
    for url, expected in (
        (url_of(postgres_url, encrypted, ""), Encryption("TLS", "prefer", is_local=True)),
        (
            url_of(postgres_url, encrypted, f"sslmode=verify-full&sslrootcert={trusted}"),
            Encryption("TLS", "verify-full", is_local=True),
        ),
        (url_of(postgres_url, plain, ""), Encryption(None, "prefer", is_local=True)),
        (postgres_url, Encryption(None, "prefer", is_local=True)),
    ):
        with open_database(url, retry=Retry(0, lambda notice: None)) as database:
            assert database.read(lambda connection, opened: opened.read_encryption(connection)) == expected


@pytest.mark.parametrize(
    ("protocol", "sslmode", "is_local", "level", "words"),
    [
        (None, "prefer", False, Level.WARNING, "not encrypted (sslmode=prefer)"),
        (None, "disable", True, Level.OK, "stays on this machine"),
        ("TLS", "prefer", False, Level.WARNING, "another server could take the place"),
        ("TLS", "require", False, Level.WARNING, "another server could take the place"),
        ("TLS", "verify-ca", False, Level.OK, "encrypted with TLS (sslmode=verify-ca)"),
        ("TLS", "verify-full", False, Level.OK, "encrypted with TLS (sslmode=verify-full)"),
        ("GSSAPI", "prefer", False, Level.OK, "encrypted with GSSAPI"),
    ],
)
def test_doctor_warns_of_a_connection_that_others_can_read_or_take_over(
    protocol: str | None, sslmode: str, is_local: bool, level: Level, words: str
) -> None:
    check = check_encryption(Encryption(protocol, sslmode, is_local))
    assert (check.level, check.what) == (level, "encryption")
    assert words in check.message
    assert level is Level.OK or "sslmode=verify-full" in str(check.help)
