"""Run applies of the same and of overlapping manifests at once, together with the official client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from dbos import DBOSClient
from fault_harness import COUNTS, THOROUGH, Apply, Batch, run_here

WORKFLOWS, APPLIES = 400, 8
ALLOW = ("--allow", "lockfile-missing")  # lockfiles of other targets
OPTIONS = ("--chunk-size", 10, "--lock-timeout", "10m", "--retry-budget", "10m", *ALLOW)
ROUNDS = 10 if THOROUGH else 1


def test_eight_applies_and_a_client_enqueue_each_workflow_once(
    database_url: str, make_batch: Callable[[str, int], Batch]
) -> None:
    for number in range(ROUNDS):
        batch = make_batch(f"many{number}", WORKFLOWS)
        stop = threading.Event()
        client = threading.Thread(target=enqueue_alike, args=(database_url, batch, stop))
        client.start()
        # each has its own lockfile, as on several machines; the lock on the manifest's name orders them
        applies = [Apply(batch, database_url, *OPTIONS, "--target", f"t{n}") for n in range(APPLIES)]
        failures = [apply.log for apply in applies if apply.wait() != 0]
        stop.set()
        client.join()
        assert failures == []
        assert run_here("apply", batch.path, "--database-url", database_url, *ALLOW) == 0
        batch.check_complete()
    COUNTS.append(f"{ROUNDS * APPLIES} applies and a client at once; 0 lost, 0 doubled")


def test_overlapping_manifests_enqueue_each_workflow_once(
    database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    """Each manifest shares half of its IDs with the next one; manifests of other names share no lock."""
    for number in range(ROUNDS):
        batches = [
            Batch(
                tmp_path, f"o{number}-{n}", WORKFLOWS, engine, prefix=f"o{number}", start=n * WORKFLOWS // 2
            )
            for n in range(4)
        ]
        applies = [Apply(batch, database_url, *OPTIONS) for batch in batches]
        failures = [apply.log for apply in applies if apply.wait() != 0]
        assert failures == []
        for batch in batches:
            batch.check_complete()
    COUNTS.append(f"{ROUNDS * 4} applies of overlapping manifests at once; 0 lost, 0 doubled")


def enqueue_alike(database_url: str, batch: Batch, stop: threading.Event) -> None:
    """Enqueue the manifest's workflows in reverse order with the official client."""
    client = DBOSClient(system_database_url=database_url)
    for n in reversed(range(batch.count)):
        if stop.is_set():
            break
        options = {
            "queue_name": "etl",
            "workflow_name": "ingest",
            "workflow_id": f"{batch.prefix}-{n}",
            "serialization_type": "portable",
        }
        client.enqueue(options, n)  # type: ignore[arg-type]
    client.destroy()
