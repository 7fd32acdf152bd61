"""Run a DBOS worker that logs each run of a workflow to a file: python worker.py URL FILE"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from dbos import DBOS, DBOSConfig

url, runs = sys.argv[1:]
DBOS(config=DBOSConfig(name="faults", system_database_url=url, use_listen_notify=False, log_level="ERROR"))


@DBOS.workflow(name="ingest")
def ingest(n: int) -> int:
    with Path(runs).open("a") as file:
        file.write(f"{n}\n")
    return n


stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
DBOS.listen_queues(["etl"])
DBOS.launch()
DBOS.register_queue("etl", polling_interval_sec=0.05)
print("ready", flush=True)
stop.wait()
DBOS.destroy()
os._exit(0)
