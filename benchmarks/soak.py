"""Applies one after the other in one process while workers run: memory, connections, files, and latency.

A worker drains what is applied, another one serves a queue of its own, and a probe goes through that queue
five times a second: what it waits tells whether an apply keeps others waiting.

python benchmarks/soak.py [workflows] [applies] [postgresql|sqlite]
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from statistics import median, quantiles

import sqlalchemy as sa
from dbos import DBOSClient
from enqueue import DAYS, MANIFEST
from servers import postgres_server, sqlite_files

from dbos_manifest.cli.error_boundary import run_guarded
from dbos_manifest.cli.main import cli

BEFORE_S = 20
PAUSE_S = 0.2


@contextmanager
def worker(url: str, file: Path, queue: str) -> Iterator[None]:
    script = Path(__file__).with_name("worker.py")
    with Path(os.devnull).open("wb") as nothing:
        process = subprocess.Popen(
            [sys.executable, script, url, file, queue], stdout=subprocess.PIPE, stderr=nothing
        )
    assert process.stdout is not None
    if process.stdout.readline() != b"ready\n":
        raise RuntimeError("the worker did not start")
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def probing(url: str) -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        client = DBOSClient(system_database_url=url)
        while not stop.wait(PAUSE_S):
            client.enqueue({"workflow_name": "probe", "queue_name": "other"}, time.time())
        client.destroy()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def waits(file: Path, start: int) -> str:
    """Median, 95 % and worst of what the probes waited, from the `start`th on."""
    found = [float(line) for line in file.read_text().split()[start:]]
    return f"{median(found):.2f} | {quantiles(found, n=20)[-1]:.2f} | {max(found):.2f} | {len(found)}"


def kept(engine: sa.Engine) -> tuple[int, int, int]:
    """What this process holds: memory in MiB, open files, connections of applies."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len([*Path("/proc/self/fd").iterdir()])
    connections = 0
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            count = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'dbos-manifest%'"
            connections = connection.execute(sa.text(count)).scalar_one()
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20, files, connections


def main() -> None:
    words = [*sys.argv[1:], *("1000000", "10", "postgresql")[len(sys.argv) - 1 :]]
    workflows, applies, dialect = int(words[0]), int(words[1]), words[2]
    with tempfile.TemporaryDirectory() as name, ExitStack() as held:
        folder = Path(name)
        server = held.enter_context(sqlite_files(folder) if dialect == "sqlite" else postgres_server())
        url = server.new_database()
        engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        held.callback(engine.dispose)
        other, drained = folder / "other", folder / "drained"
        other.touch()
        held.enter_context(worker(url, drained, "etl"))
        held.enter_context(worker(url, other, "other"))
        held.enter_context(probing(url))
        time.sleep(BEFORE_S)
        before = len(other.read_text().split())
        quiet = waits(other, 0)
        print(f"{workflows:,} workflows in {applies} applies on {dialect}\n")
        print("| apply | s | MiB | open files | connections left |\n|---|---|---|---|---|")
        for number in range(applies):
            text = MANIFEST.format(workflows=workflows // applies, shards=workflows // applies // DAYS)
            path = folder / f"soak{number}.yaml"
            path.write_text(
                text.replace("orders-backfill", f"soak-{number}").replace("orders-$", f"o{number}-$")
            )
            start = time.perf_counter()
            with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
                code = run_guarded(cli, ["apply", str(path), "--database-url", url])
            if code:
                raise RuntimeError(f"apply {number} ended with {code}")
            memory, files, connections = kept(engine)
            seconds = time.perf_counter() - start
            print(f"| {number + 1} | {seconds:.1f} | {memory} | {files} | {connections} |", flush=True)
        with engine.connect() as connection:
            table = "workflow_status" if dialect == "sqlite" else "dbos.workflow_status"
            counts = connection.execute(
                sa.text(f"SELECT status, count(*) FROM {table} WHERE queue_name = 'etl' GROUP BY status")
            ).all()
        total = sum(count for _, count in counts)
        if total != workflows:
            raise RuntimeError(f"{total} of {workflows} workflows are there")
        print(f"\nIn the end: {', '.join(f'{count:,} {status}' for status, count in sorted(counts))}\n")
        print("| another queue waited, s | median | 95 % | worst | probes |\n|---|---|---|---|---|")
        print(f"| before | {quiet} |\n| during the applies | {waits(other, before)} |")


if __name__ == "__main__":
    main()
