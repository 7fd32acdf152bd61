"""Workers drain while applies are killed, and retention deletes what is done: each workflow runs once."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from fault_harness import COUNTS, THOROUGH, Batch, run_here

WORKFLOWS, CHUNK = 300, 1
ROUNDS = 15 if THOROUGH else 1
PATIENCE_S = 60
RECREATE = ("--recreate-vanished", "--recreate-missing")


@pytest.fixture
def runs(database_url: str, tmp_path: Path) -> Iterator[Path]:
    """The file in which a worker notes what it runs."""
    path = tmp_path / "runs"
    path.touch()
    script = Path(__file__).with_name("worker.py")
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, script, database_url, path], stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n", (tmp_path / "worker.log").read_text()
    yield path
    worker.terminate()
    worker.wait(PATIENCE_S)
    worker.stdout.close()


def wait_for(runs: Path, batch: Batch) -> None:
    """Until each workflow has run, and none of them twice."""
    give_up = time.monotonic() + PATIENCE_S
    while len(found := runs.read_text().split()) < batch.count:
        assert time.monotonic() < give_up, f"{len(found)} of {batch.count} ran"
        time.sleep(0.05)
    assert sorted(map(int, found)) == sorted(batch.ids.values())


def test_kills_beside_a_worker(
    database_url: str, make_batch: Callable[[str, int], Batch], runs: Path
) -> None:
    chance = random.Random(3)
    kills = 0
    for number in range(ROUNDS):
        batch = make_batch(f"w{number}", WORKFLOWS)
        words = ["apply", str(batch.path), "--database-url", database_url]
        for _ in range(3):
            apply = subprocess.Popen(
                [sys.executable, "-m", "dbos_manifest", *words, "--skip-missing", "--chunk-size", str(CHUNK)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            before = len(batch.rows())
            while len(batch.rows()) == before and apply.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.1))
            apply.kill()
            kills += apply.wait() != 0
            batch.check_honest()
        code = run_here(*words, "--skip-missing")
        doubtful = batch.locked().keys() - batch.rows().keys()
        if doubtful:  # SQLite does not tell whether a COMMIT that a kill hit was done: no guess is made
            assert database_url.startswith("sqlite") and len(doubtful) <= 3 * CHUNK
            assert not {str(batch.ids[workflow_id]) for workflow_id in doubtful} & {*runs.read_text().split()}
            code = run_here(*words, *RECREATE)
        assert code == 0
        wait_for(runs, batch)
        batch.check_complete()
        runs.write_text("")
    COUNTS.append(f"{kills} kills beside a worker; each workflow ran once")


def test_retention_deletes_what_is_done(
    database_url: str, make_batch: Callable[[str, int], Batch], runs: Path
) -> None:
    deleted = 0
    for number in range(ROUNDS):
        batch = make_batch(f"r{number}", WORKFLOWS)
        with retention(batch) as counts:
            for _ in range(5):
                words = ["apply", batch.path, "--database-url", database_url, "--skip-missing"]
                assert run_here(*words, "--chunk-size", CHUNK) == 0
            wait_for(runs, batch)
        deleted += sum(counts)
        assert batch.locked().keys() == batch.ids.keys()
        runs.write_text("")
    COUNTS.append(f"{deleted} workflows deleted by retention between applies; each ran once")
    assert deleted


@contextmanager
def retention(batch: Batch) -> Iterator[list[int]]:
    """Deletes finished workflows over and over; how many each time."""
    stop = threading.Event()
    counts: list[int] = []
    delete = sa.text(f"DELETE FROM {batch.tables}workflow_status WHERE status = 'SUCCESS'")

    def work() -> None:
        while not stop.wait(0.05):
            with batch.engine.begin() as connection:
                counts.append(connection.execute(delete).rowcount)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield counts
    finally:
        stop.set()
        thread.join()
