"""Test that workers start workflows in the order of the manifest and by priority."""

from __future__ import annotations

from collections.abc import Callable

from harness import Cli, Rows, Worker, write_manifest


def in_order_of_execution(rows: Rows) -> list[str]:
    """Return the workflows sorted by the time of their steps on the worker's clock."""
    started = rows.column("started_at_epoch_ms", "operation_outputs")
    assert len(set(started.values())) == len(started)
    return sorted(started, key=started.__getitem__)


def test_equal_priorities_run_in_manifest_order(
    cli: Cli, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    ids = [f"order-{number * 7 % 10}" for number in range(10)]  # not sorted in any way
    workflows = [
        {"id": i, "workflow": "ingest_orders", "args": ["2026-01-01"], "queue": "serial"} for i in ids
    ]
    manifest = write_manifest(cli.folder / "order.json", workflows)
    cli("apply", manifest, "--chunk-size", 3)
    start_worker("serial")
    rows.wait_for(dict.fromkeys(ids, "SUCCESS"))
    assert in_order_of_execution(rows) == ids


def test_lower_priorities_run_first(cli: Cli, rows: Rows, start_worker: Callable[..., Worker]) -> None:
    priorities = {"last": 2147483647, "third": 20, "first": 0, "fourth": 20, "second": 3}
    workflows = [
        {
            "id": i,
            "workflow": "ingest_orders",
            "args": ["2026-01-01"],
            "queue": "serial",
            "priority": priority,
        }
        for i, priority in priorities.items()
    ]
    manifest = write_manifest(cli.folder / "priorities.json", workflows)
    cli("apply", manifest)
    start_worker("serial")
    rows.wait_for(dict.fromkeys(priorities, "SUCCESS"))
    assert in_order_of_execution(rows) == ["first", "second", "third", "fourth", "last"]


def test_workflows_of_a_later_apply_run_last(
    cli: Cli, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    """Workflows that are added at the top of a manifest run after those that are already queued."""
    entry = {"workflow": "ingest_orders", "args": ["2026-01-01"], "queue": "serial"}
    first = [{"id": f"waiting-{number}", **entry} for number in range(3)]
    manifest = write_manifest(cli.folder / "grown.json", first)
    cli("apply", manifest)
    write_manifest(manifest, [{"id": "added", **entry}, *first])
    cli("apply", manifest)
    start_worker("serial")
    ids = ["waiting-0", "waiting-1", "waiting-2", "added"]
    rows.wait_for(dict.fromkeys(ids, "SUCCESS"))
    assert in_order_of_execution(rows) == ids
