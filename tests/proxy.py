"""A TCP proxy in front of PostgreSQL that cuts one connection at a chosen message of the protocol."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

from waiting import PATIENCE_S


class CuttingProxy:
    """Count the messages from clients over all connections, and cut the connection at number `cut_at`.

    With `deliver` the message reaches the server and its reply is lost; without it the message is lost.
    With `containing` only messages with these bytes are counted. `on_cut` is called after a cut, before
    another connection is accepted.
    """

    def __init__(self, server_url: str) -> None:
        self._target = _target(server_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open = threading.Event()
        self.arm(None, deliver=False)
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(
        self,
        cut_at: int | None,
        *,
        deliver: bool,
        containing: bytes = b"",
        on_cut: Callable[[], None] = lambda: None,
    ) -> None:
        self.messages, self.cuts = 0, 0
        self._cut_at, self._deliver, self._containing, self._on_cut = cut_at, deliver, containing, on_cut
        self._open.set()

    def wait(self) -> None:
        """Wait until `on_cut` has returned; the cut message may be one whose reply no one waits for."""
        assert self._open.wait(PATIENCE_S)

    def url(self, server_url: str) -> str:
        """Return the server's URL through this proxy."""
        parts = urlsplit(server_url)
        user = parts.netloc.rpartition("@")[0]
        return f"postgresql://{user}@127.0.0.1:{self.port}{parts.path}?sslmode=disable&gssencmode=disable"

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.wait()
                server = socket.socket(*self._target[:1])
                server.connect(self._target[1])
                for work in (self._forward, self._back):
                    threading.Thread(target=work, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        """Yield the client's messages: a letter, except in the first message, then a length and the body."""
        reader = client.makefile("rb")
        started = False
        with suppress(OSError, ValueError):
            while True:
                letter = reader.read(1) if started else b""
                size = reader.read(4)
                if len(size) < 4:
                    break
                message = letter + size + reader.read(int.from_bytes(size, "big") - 4)
                started = True
                if self._counts_to_the_cut(message):
                    self._cut(client, server, message)
                    return
                server.sendall(message)
        _close(client)
        _close(server)

    def _cut(self, client: socket.socket, server: socket.socket, message: bytes) -> None:
        try:
            _close(client)  # before the server can reply
            if self._deliver:
                server.sendall(message)
                with suppress(OSError):  # a reply that has arrived may have ended the connection
                    server.shutdown(socket.SHUT_WR)
            else:
                _close(server)
            self._on_cut()
        finally:
            self._open.set()

    def _counts_to_the_cut(self, message: bytes) -> bool:
        if self._containing not in message:
            return False
        with self._lock:
            self.messages += 1
            cut = self.messages == self._cut_at
            self.cuts += cut
            if cut:
                self._open.clear()
            return cut

    def _back(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
        _close(client)
        _close(server)


def _close(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def _target(url: str) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [None])[0] or unquote(parts.hostname or "")
    if host.startswith("/"):
        return socket.AF_UNIX, f"{host}/.s.PGSQL.{parts.port or 5432}"
    return socket.AF_INET, (host, parts.port or 5432)
