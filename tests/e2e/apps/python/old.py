"""The same for releases before 3.0, which declare their queues in code: python old.py worker URL"""

from __future__ import annotations

import sys
import threading
from typing import Any

from dbos import DBOS, Queue

config: Any = {
    "name": "sdks",
    "application_version": "v1",
    "system_database_url": sys.argv[2],
    "run_admin_server": False,
    "log_level": "ERROR",
}
DBOS(config=config)
Queue("plain", polling_interval_sec=0.05)


@DBOS.workflow(name="greet")
def greet(order: dict[str, Any]) -> dict[str, Any]:
    return {"greeting": f"hello {order['name']}", "times": order["times"] + 1}


@DBOS.workflow(name="fail")
def fail(reason: str) -> None:
    raise ValueError(reason)


DBOS.launch()
print("ready", flush=True)
threading.Event().wait()
