"""A DBOS worker for the soak: python worker.py URL FILE QUEUE; probes note how long they waited."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from dbos import DBOS, DBOSConfig

url, file, queue = sys.argv[1:]
DBOS(config=DBOSConfig(name="soak", system_database_url=url, use_listen_notify=False, log_level="ERROR"))


@DBOS.workflow(name="ingest_orders")
def ingest_orders(day: str, shard: int, region: str) -> str:
    return f"{day} {shard} {region}"


@DBOS.workflow(name="probe")
def probe(enqueued_s: float) -> None:
    with Path(file).open("a") as out:
        out.write(f"{time.time() - enqueued_s}\n")


stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
DBOS.listen_queues([queue])
DBOS.launch()
DBOS.register_queue(queue, polling_interval_sec=0.05, worker_concurrency=100)
print("ready", flush=True)
stop.wait()
os._exit(0)
