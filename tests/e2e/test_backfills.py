"""Test the statements of docs/guides/backfills.md: no tick runs twice, and plans show what changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from textwrap import dedent

import pytest
from dbos import DBOSClient
from harness import WAIT, Cli, Rows, Worker
from waiting import wait_until

GOLDEN = Path(__file__).parent.parent / "cases" / "plan"
CATCH_UP = """\
version: 1
name: catch-up
application: orders
workflows:
  - workflow: ingest_orders
    queue: etl
    id: "sched-orders-${{ tick }}"
    matrix:
      tick: {cron: {schedule: "*/30 1-3 * * *", timezone: Europe/Berlin, start: START, end: END}}
    args: ["${{ tick | strftime('%F') }}"]
"""
SPANS = [("2026-03-28", "2026-03-30"), ("2026-10-24", "2026-10-26")]  # each includes a clock change


def make_schedule(client: DBOSClient) -> None:
    client.create_schedule(
        schedule_name="orders",
        workflow_name="ingest_orders",
        schedule="*/30 1-3 * * *",
        cron_timezone="Europe/Berlin",
        queue_name="etl",
        application_name="orders",
    )


def backfill(client: DBOSClient, start: str, end: str) -> list[str]:
    bounds = [datetime.fromisoformat(day).replace(tzinfo=timezone.utc) for day in (start, end)]
    return [handle.get_workflow_id() for handle in client.backfill_schedule("orders", *bounds)]


def write_catch_up(cli: Cli, start: str, end: str) -> Path:
    path = cli.folder / "catch-up.yaml"
    path.write_text(CATCH_UP.replace("START", f'"{start}T00:00:00Z"').replace("END", f'"{end}T00:00:00Z"'))
    return path


@pytest.mark.parametrize(("start", "end"), SPANS)
def test_ticks_that_dbos_backfilled_are_not_enqueued_again(
    cli: Cli, client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker], start: str, end: str
) -> None:
    start_worker("serial").stop()  # DBOS backfills for the latest registered version
    make_schedule(client)
    ids = backfill(client, start, end)
    manifest = write_catch_up(cli, start, end)
    assert cli("expand", manifest, "-o", "ids").out.split() == ids
    changes = cli.plan(manifest).changes()
    assert {(c["state"], c["comparable"]) for c in changes.values()} == {("unchanged", False)}
    before = rows.dump()
    assert "Nothing to enqueue" in cli("apply", manifest).out
    assert rows.dump() == before


@pytest.mark.parametrize(("start", "end"), SPANS)
def test_ticks_that_apply_enqueued_are_not_backfilled_again(
    cli: Cli, client: DBOSClient, rows: Rows, start: str, end: str
) -> None:
    cli("apply", write_catch_up(cli, start, end))
    before = rows.dump()
    make_schedule(client)
    assert sorted(backfill(client, start, end)) == sorted(rows.column("status"))
    assert rows.dump() == before


def test_entry_with_schedule_is_listed_and_compared_as_its_ticks(
    cli: Cli, client: DBOSClient, rows: Rows
) -> None:
    """Rows with the schedule's name are listed with it, other rows are not; both are compared."""
    make_schedule(client)
    manifest = write_catch_up(cli, *SPANS[0])
    text = manifest.read_text()
    named = text.replace("    queue: etl\n", "    queue: etl\n    schedule: orders\n")
    manifest.write_text(named)
    cli("apply", manifest)
    assert {*rows.column("schedule_name").values()} == {"orders"}
    listed = {status.workflow_id for status in client.list_workflows(schedule_name="orders")}
    assert listed == {*rows.column("status")}
    assert {change["state"] for change in cli.plan(manifest).changes().values()} == {"unchanged"}
    manifest.write_text(named.replace("%F", "%Y"))
    assert {change["state"] for change in cli.plan(manifest, expect=6).changes().values()} == {"drifted"}
    manifest.write_text(text)  # without `schedule` only the identity of DBOS's rows is compared
    assert {change["comparable"] for change in cli.plan(manifest).changes().values()} == {False}


def test_live_schedule_does_not_fire_enqueued_ticks(
    cli: Cli, client: DBOSClient, rows: Rows, start_worker: Callable[..., Worker]
) -> None:
    """A worker fires a schedule each second; every other tick is already enqueued."""
    client.create_schedule(
        schedule_name="orders",
        workflow_name="ingest_orders",
        schedule="* * * * * *",
        queue_name="etl",
        application_name="orders",
    )
    now = datetime.now(timezone.utc).replace(microsecond=0)
    manifest = write_catch_up(cli, "2026-01-01", "2026-01-02")
    text = manifest.read_text().replace('"*/30 1-3 * * *", timezone: Europe/Berlin', '"*/2 * * * * *"')
    span = [now.timestamp() - 5, now.timestamp() + 300]
    for word, at in zip(("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"), span, strict=True):
        text = text.replace(word, datetime.fromtimestamp(at, timezone.utc).isoformat())
    manifest.write_text(text)
    cli("apply", manifest)
    ours = rows.column("schedule_name")
    assert len(ours) in (152, 153) and set(ours.values()) == {None}
    start_worker()
    # the schedule has fired before and after an enqueued tick
    wait_until(lambda: sum(name == "orders" for name in rows.column("schedule_name").values()) > 2)
    among = {key: name for key, name in rows.column("schedule_name").items() if key in ours}
    assert among == ours


DAYS = """\
version: 1
name: days
defaults: {queue: etl}
workflows:
  - workflow: ingest_orders
    id: "days-${{ day }}-${{ region }}"
    matrix:
      day: {date_range: {start: "2026-01-02", end: "2026-01-04"}}
      region: [eu, us]
    args: ["${{ day }}"]
    kwargs: {region: "${{ region }}"}
"""
EDITS = {
    "nothing": DAYS,
    "widened": DAYS.replace("2026-01-04", "2026-01-06").replace("2026-01-02", "2026-01-01"),
    "shrunk": DAYS.replace("2026-01-04", "2026-01-03"),
    "region-added": DAYS.replace("[eu, us]", "[apac, eu, us]"),
    "argument-changed": DAYS.replace("kwargs: {", "kwargs: {dry_run: true, "),
    "axis-renamed": DAYS.replace("day:", "date:").replace("${{ day }}", "${{ date }}"),
    "id-changed": DAYS.replace("days-${{ day }}", "days-${{ day | strftime('%Y%m%d') }}"),
    "queue-changed": DAYS.replace("queue: etl", "queue: nightly"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_plan_shows_what_changed_in_a_backfill(cli: Cli, edit: str) -> None:
    manifest = cli.folder / "days.yaml"
    manifest.write_text(DAYS)
    cli("apply", "days.yaml")
    manifest.write_text(EDITS[edit])
    refused = edit in ("argument-changed", "queue-changed")
    shown = cli("plan", "days.yaml", expect=6 if refused else 0).out
    # the name of the database is another one each time, and so is the layout of the lines that have it
    body, verdict = shown.partition("\n\n")[2].split("Apply would ")
    shown = f"{body}Apply would {verdict.splitlines()[0].partition('  (')[0]}\n"
    path = GOLDEN / f"{edit}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(shown)
    assert shown == path.read_text()


def test_failed_workflows_run_again_under_new_ids(cli: Cli, start_worker: Callable[..., Worker]) -> None:
    """An ID never runs twice; a run number in the ID makes new IDs for the failed workflows alone."""
    (cli.folder / "totals.yaml").write_text(
        dedent("""\
            version: 1
            name: totals
            application: orders
            vars: {run: 1, actual: 2}
            workflows:
              - workflow: check_totals
                queue: etl
                id: "totals-${{ n }}-${{ vars.run }}"
                matrix: {n: [1, 2, 3]}
                args: ["${{ n }}", "${{ vars.actual }}"]
        """)
    )
    start_worker()
    cli("apply", "totals.yaml", *WAIT, expect=7)
    failed = cli("status", "totals.yaml", "--only", "ERROR", "-o", "ids").out
    assert failed.split() == ["totals-1-1", "totals-3-1"]
    (cli.folder / "failed.txt").write_text(failed.replace("-1\n", "-2\n"))
    again = ("totals.yaml", "--var", "run=2", "--var", "actual=3", "--ids-from", "failed.txt")
    done = cli("apply", *again, *WAIT, expect=7)
    assert "Enqueued 2 of " in done.out
    assert "Finished: 1 succeeded, 1 failed in " in done.out
