"""kill -9 of an apply at random moments, again and again, until one comes through."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from fault_harness import COUNTS, THOROUGH, Batch, run_here

WORKFLOWS, CHUNK = 3000, 2  # so many commits that a kill lands between them on any machine
KILLS = 100 if THOROUGH else 4


def begin_and_kill(batch: Batch, database_url: str, chance: random.Random, *options: str) -> bool:
    """Kill an apply some time after its first row; whether it was still running."""
    command = [sys.executable, "-m", "dbos_manifest", "apply", str(batch.path), "--database-url"]
    process = subprocess.Popen(
        [*command, database_url, "--chunk-size", str(CHUNK), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    before = len(batch.rows())
    while len(batch.rows()) == before and process.poll() is None:
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.3))
    process.kill()
    process.wait()
    return process.returncode == -signal.SIGKILL


def test_kills(database_url: str, make_batch: Callable[[str, int], Batch]) -> None:
    chance = random.Random(5)
    kills = landed = 0
    while kills < KILLS or not landed:
        assert kills < 10 * KILLS
        batch = make_batch(f"k{kills}", WORKFLOWS)
        for _ in range(min(10, KILLS)):
            before = len(batch.rows())
            kills += begin_and_kill(batch, database_url, chance)
            batch.check_honest()
            rows = len(batch.rows())
            landed += before < rows < WORKFLOWS
            if rows == WORKFLOWS:
                break
        assert run_here("apply", batch.path, "--database-url", database_url) == 0
        batch.check_complete()
    COUNTS.append(
        f"{kills} kills, {landed} of them between the first row and the last; 0 lost, 0 doubled, 0 lies"
    )


def test_kills_and_retention(database_url: str, make_batch: Callable[[str, int], Batch]) -> None:
    """After each kill all rows run and are removed: what one apply enqueued is never enqueued by another."""
    chance = random.Random(7)
    kills = removed = unknown = 0
    while kills < KILLS or not removed:
        assert kills < 10 * KILLS
        batch = make_batch(f"r{kills}", WORKFLOWS)
        ran: set[str] = set()
        for _ in range(min(10, KILLS)):
            killed = begin_and_kill(batch, database_url, chance, "--skip-missing")
            kills += killed
            batch.wait_for_its_server()
            again = batch.run_and_remove()
            assert not again & ran
            removed += len(again)
            ran |= again
            if not killed:
                break
        assert run_here("apply", batch.path, "--database-url", database_url, "--skip-missing") == 0
        last = batch.run_and_remove()
        assert not last & ran
        assert batch.locked().keys() == batch.ids.keys()
        assert not batch.journal.exists()
        # PostgreSQL knows of each transaction whether it was committed; on SQLite one for each kill may be
        # recorded that was not, and is reported instead of being enqueued twice
        unknown += len(batch.ids.keys() - ran - last)
    assert unknown <= (CHUNK * kills if database_url.startswith("sqlite") else 0)
    COUNTS.append(
        f"{kills} kills, all rows deleted after each: {removed} rows, 0 enqueued again, {unknown} in doubt"
    )
