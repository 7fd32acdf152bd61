"""Run applies through PgBouncer in transaction mode."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
import pytest
import sqlalchemy as sa
from fault_harness import Apply, Batch, run_here
from waiting import wait_until

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
pytestmark = [
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
    pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed (Debian: pgbouncer)"),
]
SETTINGS = """\
[databases]
* = host={host} port={port} user=postgres
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = 3
ignore_startup_parameters = extra_float_digits
"""


@pytest.fixture
def pooled_url(database_url: str) -> Iterator[str]:
    """Start a PgBouncer with three server connections and return the URL through it."""
    parts = urlsplit(database_url)
    host = parse_qs(parts.query).get("host", [unquote(parts.hostname or "")])[0]
    folder = Path("/tmp") / f"dm-pool-{uuid.uuid4().hex[:8]}"
    folder.mkdir(mode=0o755)
    settings = folder / "pgbouncer.ini"
    settings.write_text(SETTINGS.format(host=host, port=parts.port or 5432, folder=folder))
    assert PGBOUNCER is not None
    # PgBouncer refuses to run as root; the server's owner may use the socket
    as_owner = ["-u", Path(host).owner()] if os.geteuid() == 0 else []
    if as_owner:
        shutil.chown(folder, as_owner[1])
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PGBOUNCER, *as_owner, str(settings)], stderr=log)
    url = f"postgresql://postgres@{parts.path}?host={folder}&port=6432"
    try:
        wait_until(lambda: _answers(url), (folder / "log").read_text)
        yield url
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def writes_are_open(engine: sa.Engine) -> bool:
    """Return whether a writing transaction is open in this database."""
    with engine.connect() as connection:
        found = connection.execute(
            sa.text(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND backend_xid IS NOT NULL"
            )
        )
        return bool(found.scalar_one())


def test_apply_leaves_no_lock_in_the_pool(
    pooled_url: str, database_url: str, make_batch: Callable[[str, int], Batch]
) -> None:
    """Run two applies in sequence while another client occupies connections of the pool."""
    batch = make_batch("pooled", 500)
    words = ["apply", batch.path, "--database-url", pooled_url, "--chunk-size", 50, "--lock-timeout", "60s"]
    assert run_here(*words) == 0
    batch.check_complete()
    batch.lockfile.unlink()
    for way in (pooled_url, database_url, pooled_url):
        assert run_here(*words[:3], way, *words[4:]) == 0
    batch.check_complete()


@pytest.mark.parametrize("atomic", [False, True])
def test_killed_apply_leaves_no_lock_in_the_pool(
    pooled_url: str, database_url: str, make_batch: Callable[[str, int], Batch], atomic: bool
) -> None:
    batch = make_batch("killed", 1000)
    apply = Apply(batch, pooled_url, "--chunk-size", 1, *(["--atomic"] if atomic else []))
    if atomic:
        wait_until(lambda: writes_are_open(batch.engine) or not apply.runs, every_s=0.005)
    else:
        apply.wait_for_rows(1)
    apply.kill()
    assert run_here("apply", batch.path, "--database-url", database_url, "--lock-timeout", "60s") == 0
    batch.check_complete()


def test_eight_applies_share_three_connections(
    pooled_url: str, make_batch: Callable[[str, int], Batch]
) -> None:
    """The pool prevents the lock between them; each has its own lockfile, and they meet in the database."""
    batch = make_batch("pool", 400)
    allow = ("--allow", "lockfile-missing")  # lockfiles of other targets
    options = ("--chunk-size", 10, "--retry-budget", "10m", *allow)
    applies = [Apply(batch, pooled_url, *options, "--target", f"t{number}") for number in range(8)]
    assert [apply.log for apply in applies if apply.wait() != 0] == []
    assert run_here("apply", batch.path, "--database-url", pooled_url, *allow) == 0
    batch.check_complete()
    outcomes = [
        json.loads(line).get("outcome")
        for number in range(8)
        for line in batch.path.with_name(f"pool.t{number}.lock.jsonl").read_text().splitlines()[1:]
    ]
    assert outcomes.count(None) == 400  # the others found existing rows
