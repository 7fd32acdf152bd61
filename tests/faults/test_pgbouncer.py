"""A PgBouncer in transaction mode between the apply and the server."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from fault_harness import Batch, run_here

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
pytestmark = [
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
    pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed (Debian: pgbouncer)"),
]
SETTINGS = """\
[databases]
* = host={host} port={port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
ignore_startup_parameters = extra_float_digits
"""


@pytest.fixture
def pooled_url(database_url: str) -> Iterator[str]:
    """The database by way of a PgBouncer of the test's own, with three connections to the server."""
    parts = urlsplit(database_url)
    host = parse_qs(parts.query).get("host", [unquote(parts.hostname or "")])[0]
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = free.getsockname()[1]
    folder = Path("/tmp") / f"dm-pool-{uuid.uuid4().hex[:8]}"
    folder.mkdir(mode=0o755)
    settings = folder / "pgbouncer.ini"
    settings.write_text(SETTINGS.format(host=host, port=parts.port or 5432, listen=listen))
    assert PGBOUNCER is not None
    # it refuses to run as root, and the server's owner may use its socket
    as_owner = ["-u", Path(host).owner()] if os.geteuid() == 0 else []
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PGBOUNCER, *as_owner, str(settings)], stderr=log)
    try:
        _wait_for(listen, folder / "log")
        yield f"postgresql://postgres@127.0.0.1:{listen}{parts.path}"
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


def _wait_for(port: int, log: Path) -> None:
    give_up = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.02)


def test_an_apply_leaves_no_lock_in_the_pool(
    pooled_url: str, database_url: str, make_batch: Callable[[str, int], Batch]
) -> None:
    """Two after each other, while another client moves the pool's connections about."""
    batch = make_batch("pooled", 500)
    words = ["apply", batch.path, "--database-url", pooled_url, "--chunk-size", 50, "--lock-timeout", "2s"]
    assert run_here(*words) == 0
    batch.check_complete()
    batch.lockfile.unlink()
    for way in (pooled_url, database_url, pooled_url):
        assert run_here(*words[:3], way, *words[4:]) == 0
    batch.check_complete()


@pytest.mark.parametrize("atomic", [False, True])
def test_a_killed_apply_leaves_no_lock_in_the_pool(
    pooled_url: str, database_url: str, make_batch: Callable[[str, int], Batch], atomic: bool
) -> None:
    batch = make_batch("killed", 3000)
    words = ["apply", str(batch.path), "--database-url", pooled_url, "--chunk-size", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dbos_manifest", *words, *(["--atomic"] if atomic else [])],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if atomic:
        time.sleep(1.5)
    while not atomic and not batch.rows():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run_here("apply", batch.path, "--database-url", database_url, "--lock-timeout", "10s") == 0
    batch.check_complete()


def test_eight_applies_share_three_connections(
    pooled_url: str, make_batch: Callable[[str, int], Batch]
) -> None:
    """No lock keeps them apart here: they meet in the database, each with a lockfile of its own."""
    batch = make_batch("pool", 400)
    command = [sys.executable, "-m", "dbos_manifest", "apply", str(batch.path), "--database-url", pooled_url]
    applies = [
        subprocess.Popen(
            [*command, "--chunk-size", "10", "--target", f"t{number}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    told = [apply.communicate() for apply in applies]
    assert [err for apply, (_, err) in zip(applies, told, strict=True) if apply.returncode] == []
    assert run_here("apply", batch.path, "--database-url", pooled_url) == 0
    batch.check_complete()
    sent = [
        int(found.replace(",", "")) for out, _ in told for found in re.findall(r"([\d,]+) enqueued;", out)
    ]
    assert sum(sent) == 400, told
