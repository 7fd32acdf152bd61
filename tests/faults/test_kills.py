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


def test_kills(database_url: str, make_batch: Callable[[str, int], Batch]) -> None:
    chance = random.Random(5)
    kills = landed = 0
    while kills < KILLS or not landed:
        assert kills < 10 * KILLS
        batch = make_batch(f"k{kills}", WORKFLOWS)
        command = [sys.executable, "-m", "dbos_manifest", "apply", str(batch.path), "--database-url"]
        for _ in range(10):
            process = subprocess.Popen(
                [*command, database_url, "--chunk-size", str(CHUNK)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            before = len(batch.rows())
            while len(batch.rows()) == before and process.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.3))
            process.kill()
            process.wait()
            kills += process.returncode == -signal.SIGKILL
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
