"""Run workers while applies are killed and finished rows are deleted: each workflow runs once."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from fault_harness import COUNTS, THOROUGH, Apply, Batch, run_here
from waiting import wait_until

WORKFLOWS, CHUNK = 300, 1
ROUNDS = 15 if THOROUGH else 1
RECREATE = ("--recreate-vanished", "--recreate-missing")


@pytest.fixture
def runs(database_url: str, tmp_path: Path) -> Iterator[Path]:
    """Return the file in which a worker logs what it runs."""
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
    worker.kill()
    worker.wait()
    worker.stdout.close()


def wait_for(runs: Path, batch: Batch) -> None:
    """Wait until each workflow has run, and check that none has run twice."""
    wait_until(lambda: len(runs.read_text().split()) >= batch.count, runs.read_text)
    assert sorted(map(int, runs.read_text().split())) == sorted(batch.ids.values())


def test_killed_applies_and_a_worker_run_each_workflow_once(
    database_url: str, make_batch: Callable[[str, int], Batch], runs: Path
) -> None:
    chance = random.Random(3)
    kills = 0
    for number in range(ROUNDS):
        batch = make_batch(f"w{number}", WORKFLOWS)
        for _ in range(3):
            apply = Apply(batch, database_url, "--skip-missing", "--chunk-size", CHUNK)
            apply.wait_for_rows(batch.count_rows() + chance.randint(1, WORKFLOWS // 4))
            kills += apply.kill()
            batch.check_honest()
        words = ["apply", batch.path, "--database-url", database_url]
        code = run_here(*words, "--skip-missing")
        doubtful = batch.locked().keys() - batch.rows().keys()
        if doubtful:  # SQLite does not report whether a killed COMMIT was done, so apply does not guess
            assert database_url.startswith("sqlite") and len(doubtful) <= 3 * CHUNK
            assert not {str(batch.ids[workflow_id]) for workflow_id in doubtful} & {*runs.read_text().split()}
            code = run_here(*words, *RECREATE)
        assert code == 0
        wait_for(runs, batch)
        batch.check_complete()
        runs.write_text("")
    COUNTS.append(f"{kills} kills while a worker ran; each workflow ran once")


def test_deleted_workflows_are_not_enqueued_again(
    database_url: str, make_batch: Callable[[str, int], Batch], runs: Path
) -> None:
    deleted = 0
    for number in range(ROUNDS):
        batch = make_batch(f"r{number}", WORKFLOWS)
        words = ["apply", batch.path, "--database-url", database_url, "--skip-missing"]
        with retention(batch) as counts:
            assert run_here(*words, "--chunk-size", CHUNK) == 0
            wait_until(
                lambda counts=counts: sum(counts)
            )  # before the applies, which must not enqueue it again
            for _ in range(4):
                assert run_here(*words, "--chunk-size", CHUNK) == 0
            wait_for(runs, batch)
        deleted += sum(counts)
        assert batch.locked().keys() == batch.ids.keys()
        runs.write_text("")
    COUNTS.append(f"{deleted} workflows deleted by retention between applies; each ran once")


@contextmanager
def retention(batch: Batch) -> Iterator[list[int]]:
    """Delete finished workflows repeatedly, and count them."""
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
