"""A small DBOS application: the workflows that the example manifests enqueue, and the worker that runs them.

    DBOS_SYSTEM_DATABASE_URL=sqlite:///orders.sqlite python examples/orders/app.py [queue …]

It listens to the queues that are named, or to all of its own, and runs until SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from dbos import DBOS, DBOSConfig, DBOSConfiguredInstance

APPLICATION = "orders"
VERSION = "2026.1"
POLLING_S = 0.05

DBOS(
    config=DBOSConfig(
        name=APPLICATION,
        application_version=VERSION,
        system_database_url=os.environ.get("DBOS_SYSTEM_DATABASE_URL", "sqlite:///orders.sqlite"),
        use_listen_notify=False,
        log_level="WARNING",
    )
)


@DBOS.step()
def fetch_orders(day: str, region: str) -> list[str]:
    return [f"{region}-{day}-{number}" for number in range(1, 4)]


@DBOS.step()
def store_orders(orders: list[str]) -> int:
    return len(orders)


@DBOS.workflow(name="ingest_orders")
def ingest_orders(day: str, region: str = "eu", dry_run: bool = False) -> dict[str, object]:
    """Fetch a day's orders of a region, and store them unless it is a rehearsal."""
    orders = fetch_orders(day, region)
    stored = 0 if dry_run else store_orders(orders)
    return {"day": day, "region": region, "fetched": len(orders), "stored": stored}


@DBOS.workflow(name="check_totals")
def check_totals(expected: int, actual: int) -> str:
    """Fail when the two totals differ."""
    if expected != actual:
        raise ValueError(f"expected {expected} orders, found {actual}")
    return "equal"


@DBOS.workflow(name="export_orders")
def export_orders(seconds: float) -> str:
    """Take its time; between two naps it can be cancelled, or be stopped by its timeout."""
    take_naps(seconds)
    return "exported"


@DBOS.workflow(name="import_feed", max_recovery_attempts=0)
def import_feed(seconds: float) -> str:
    """Run at most once: after a crash a person decides what to do."""
    take_naps(seconds)
    return "imported"


def take_naps(seconds: float) -> None:
    nap_s = 0.1
    for _ in range(round(seconds / nap_s)):
        DBOS.sleep(nap_s)


@DBOS.workflow(name="show_identity")
def show_identity() -> dict[str, object]:
    """Return the user and the roles that the enqueuer set."""
    return {"user": DBOS.authenticated_user, "roles": DBOS.authenticated_roles}


@DBOS.required_roles(["admin"])
@DBOS.workflow(name="close_day")
def close_day(day: str) -> dict[str, object]:
    """Only an admin may close a day."""
    return {"closed": day, "by": DBOS.authenticated_user}


@DBOS.workflow(name="show_attributes")
def show_attributes() -> dict[str, object]:
    """The attributes of this very workflow."""
    assert DBOS.workflow_id is not None
    status = DBOS.get_workflow_status(DBOS.workflow_id)
    assert status is not None
    return dict(status.attributes or {})


@DBOS.workflow(name="invoice_customer")
def invoice_customer(name: str, orders: int, discount: float = 0) -> str:
    """Bill a customer for a month."""
    return f"{name}: {orders * 10 * (1 - discount):.2f}"


@DBOS.workflow(name="train_model")
def train_model(depth: int, rate: float, trees: int = 100) -> dict[str, object]:
    """One cell of a sweep."""
    return {"depth": depth, "rate": rate, "trees": trees}


@DBOS.dbos_class("Report")
class Report:
    """A class whose workflows need no instance: `class_name: Report`."""

    @classmethod
    @DBOS.workflow(name="daily_report")
    def daily(cls, day: str, title: str = "Orders") -> str:
        return f"{title} of {day}"


@DBOS.dbos_class("Warehouse")
class Warehouse(DBOSConfiguredInstance):
    """A class whose workflows run on a named instance: `instance_name: berlin`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
        self.shelf_size = 50

    @DBOS.workflow(name="restock")
    def restock(self, sku: str, quantity: int) -> dict[str, object]:
        shelves = -(-quantity // self.shelf_size)
        return {"warehouse": self.name, "sku": sku, "shelves": shelves}


WAREHOUSES = [Warehouse("berlin"), Warehouse("austin")]


def register_queues() -> None:
    """Declare the queues; manifests are checked against what this writes to the database."""
    DBOS.register_queue("etl", polling_interval_sec=POLLING_S)
    DBOS.register_queue("serial", global_concurrency=1, polling_interval_sec=POLLING_S)
    DBOS.register_queue("per_region", partition_concurrency=1, polling_interval_sec=POLLING_S)
    DBOS.register_queue("nightly", polling_interval_sec=POLLING_S)


def main(queues: list[str]) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if queues:
        DBOS.listen_queues(queues)
    DBOS.launch()
    register_queues()
    print(f"{APPLICATION} {VERSION} is ready", flush=True)
    stop.wait()
    DBOS.destroy()
    print(f"{APPLICATION} has stopped", flush=True)
    # A workflow that still runs is recovered by the next start; its thread must not keep this process.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
