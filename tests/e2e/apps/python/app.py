"""The application of the other folders, in Python: python app.py URL"""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import datetime
from typing import Any

from dbos import DBOS, DBOSConfig, DBOSConfiguredInstance

DBOS(
    config=DBOSConfig(
        name="sdks",
        application_version="v1",
        system_database_url=sys.argv[1],
        dbos_system_schema=os.environ.get("APP_SCHEMA", "dbos"),
        use_listen_notify=False,
        log_level="ERROR",
    )
)


@DBOS.workflow(name="greet")
def greet(order: dict[str, Any]) -> dict[str, Any]:
    return {"greeting": f"hello {order['name']}", "times": order["times"] + 1}


@DBOS.workflow(name="echo")
def echo(value: Any) -> Any:
    return value


@DBOS.workflow(name="pair")
def pair(a: Any, b: Any) -> Any:
    return [a, b]


@DBOS.workflow(name="when")
def when(moment: datetime) -> str:
    return f"{type(moment).__name__} {moment.isoformat()}"


@DBOS.workflow(name="identity")
def identity() -> dict[str, Any]:
    return {"user": DBOS.authenticated_user, "roles": DBOS.authenticated_roles}


@DBOS.workflow(name="fail")
def fail(reason: str) -> None:
    raise ValueError(reason)


@DBOS.workflow(name="slow")
def slow(seconds: float) -> str:
    for _ in range(round(seconds * 10)):
        DBOS.sleep(0.1)
    return "done"


@DBOS.dbos_class("Warehouse")
class Warehouse(DBOSConfiguredInstance):
    @DBOS.workflow(name="restock")
    def restock(self, sku: str) -> str:
        return f"{self.config_name}: {sku}"


Warehouse("berlin")
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
DBOS.launch()
DBOS.register_queue("plain", polling_interval_sec=0.05)
DBOS.register_queue("serial", global_concurrency=1, polling_interval_sec=0.05)
DBOS.register_queue("partitioned", partition_concurrency=1, polling_interval_sec=0.05)
DBOS.register_queue("limited", limiter={"limit": 2, "period": 1}, polling_interval_sec=0.05)
print("ready", flush=True)
stop.wait()
os._exit(0)
