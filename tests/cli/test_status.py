"""Test `status` on real databases: counts, axes, failures, formats, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import jsonschema_rs
import pytest
from cli_harness import Cli, execute
from urls import with_user
from waiting import PATIENCE_S

from dbos_manifest.files.bundled import read_schema
from dbos_manifest.planning.rows import STATUSES

YEAR = """\
version: 1
name: orders
defaults: {queue: etl}
workflows:
  - workflow: ingest_orders
    id: "orders-${{ day }}-${{ region }}"
    matrix:
      day: {date_range: {start: "2026-01-01", end: "2026-02-28"}}
      region: [eu, us]
    args: ["${{ day }}"]
"""
AS_OF = re.compile(r"<dd>[0-9T:-]+Z</dd>")
FAILED = "substr(workflow_uuid, 19) = 'us' AND workflow_uuid >= 'orders-2026-02-20'"
FAIL = [
    "UPDATE workflow_status SET status='SUCCESS', started_at_epoch_ms=created_at+1000, "
    "completed_at=created_at+3000, recovery_attempts=1",
    f"UPDATE workflow_status SET status='ERROR' WHERE {FAILED}",
    "UPDATE workflow_status SET status='ENQUEUED', started_at_epoch_ms=NULL, completed_at=NULL, "
    "recovery_attempts=0 WHERE workflow_uuid='orders-2026-02-28-eu'",
    "INSERT INTO workflow_output (workflow_uuid, error, retention_timestamp) SELECT workflow_uuid, "
    '\'{"name": "TimeoutError", "message": "warehouse \' || created_at || \' did not respond"}\', 1 '
    "FROM workflow_status WHERE status='ERROR'",
    "INSERT INTO workflow_output (workflow_uuid, output, retention_timestamp) SELECT workflow_uuid, "
    "'\"10 orders\"', 1 FROM workflow_status WHERE status='SUCCESS'",
    "INSERT INTO operation_outputs (workflow_uuid, function_id, function_name, error) "
    "SELECT workflow_uuid, 2, 'fetch', 'x' FROM workflow_status WHERE status='ERROR'",
]


@pytest.fixture
def orders(run_db: Cli, tmp_path: Path, database_url: str) -> Path:
    """Enqueue a manifest; all workflows of region us fail since 20 February, and one is waiting."""
    path = tmp_path / "orders.yaml"
    path.write_text(YEAR)
    assert run_db("apply", "orders.yaml").code == 0
    execute(database_url, *FAIL)
    return path


@pytest.mark.parametrize("name", [*STATUSES, "NOT_ENQUEUED", "enqueued"])
def test_only_accepts_the_statuses_of_dbos(run_db: Cli, jobs: Path, name: str) -> None:
    assert run_db("apply", "jobs.yaml").code == 0
    done = run_db("status", "jobs.yaml", "--only", name, "-o", "json")
    assert done.code == 0
    assert done.json["counts"] == ({"ENQUEUED": 3} if name.upper() == "ENQUEUED" else {})


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("ENQUEUD", "did you mean `ENQUEUED`?"), ("sucess", "did you mean `SUCCESS`?"), ("FAILED", "PENDING"),
        ("", "PENDING"), (" SUCCESS", "did you mean `SUCCESS`?"), ("SUCCESS,ERROR", "SUCCESS"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["text", "json", "ids"])
def test_only_refuses_other_statuses(run_db: Cli, jobs: Path, name: str, help: str, form: str) -> None:
    done = run_db("status", "jobs.yaml", "--only", name, "-o", form)
    assert (done.code, done.out) == (2, "")
    assert help in done.err


def printed_command(out: str) -> list[str]:
    """Return the words of the command after `help: list the IDs`, as a shell reads them."""
    lines = out[out.index("help: list the IDs") :].splitlines()[1:]
    end = next(place for place, line in enumerate(lines) if not line.endswith("\\"))
    return shlex.split("\n".join(lines[: end + 1]).replace("\\\n", ""))  # shlex reads no continued lines


def test_the_summary_explains_the_failures(run_db: Cli, orders: Path) -> None:
    out = run_db("status", "orders.yaml").out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for begin in (
        "SUCCESS 108 91.5 %", "ERROR 9 7.6 %", "ENQUEUED 1 0.8 %",
        "eu 58 0 1 2.0 s 2.0 s", "us 50 9 0 2.0 s 2.0 s",
    ):  # fmt: skip
        assert any(line.startswith(begin) for line in lines), begin
    assert "9  TimeoutError: warehouse <n> did not respond" in out
    assert "all 9 have day>=2026-02-20 region=us; no other finished workflow does;" in out
    assert printed_command(out)[-5:] == ["ERROR", "--select", "day>=2026-02-20 region=us", "-o", "ids"]


def test_the_printed_command_lists_the_failed_workflows(run_db: Cli, orders: Path) -> None:
    words = printed_command(run_db("status", "orders.yaml").out)
    assert run_db(*words[1:]).out.split() == [f"orders-2026-02-{day}-us" for day in range(20, 29)]


def test_the_printed_command_of_one_of_several_manifests_lists_only_its_workflows(
    run_db: Cli, orders: Path, database_url: str
) -> None:
    """Both manifests have failures with the same axis values."""
    orders.with_name("others.yaml").write_text(YEAR.replace("orders", "others"))
    assert run_db("apply", "others.yaml").code == 0
    failed = "workflow_uuid LIKE 'others-__________-us'"
    execute(database_url, f"UPDATE workflow_status SET status='ERROR', completed_at=1 WHERE {failed}")
    out = run_db("status", "orders.yaml", "others.yaml").out
    first, second = out.split("\n\nothers  ")
    for text, name, count in ((first, "orders", 9), (second, "others", 59)):
        words = printed_command(text)
        assert words[2:4] == [f"{name}.yaml", "--only"]
        ids = run_db(*words[1:]).out.split()
        assert (len(ids), {workflow_id.partition("-")[0] for workflow_id in ids}) == (count, {name})


def test_a_selection_is_part_of_the_printed_command(run_db: Cli, orders: Path) -> None:
    out = run_db("status", "orders.yaml", "--select", "day>=2026-01-05").out
    assert printed_command(out)[3:-2] == [
        "--select", "day>=2026-01-05", "--only", "ERROR", "--select", "day>=2026-02-20 region=us"
    ]  # fmt: skip


def test_axes_are_counted_in_a_table_or_a_calendar(run_db: Cli, orders: Path) -> None:
    table = run_db("status", "orders.yaml", "--by", "region").out
    assert "  region  SUCCESS  ERROR  ENQUEUED" in table
    calendar = run_db("status", "orders.yaml", "--by", "day").out
    assert calendar.count("X") == 9 + 1  # and the legend
    assert "Failed on 9 days: 2026-02-20 … 2026-02-28" in calendar
    both = run_db("status", "orders.yaml", "--by", "region,day").out
    assert both.count("2026  Jan") == 2
    assert "region us\n" in both
    queue = run_db("status", "orders.yaml", "--by", "queue,workflow").out
    assert "  queue  workflow       SUCCESS" in queue


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("regoin", "did you mean `region`?"), ("region,", "there is no axis ``"),
        ("error,region", "cannot be combined"), ("nothing.at.all", "there is no axis"),
    ],
)  # fmt: skip
def test_an_unknown_axis_is_refused(run_db: Cli, orders: Path, by: str, message: str) -> None:
    done = run_db("status", "orders.yaml", "--by", by)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_the_list_shows_durations_attempts_and_errors(run_db: Cli, orders: Path) -> None:
    lines = run_db("status", "orders.yaml", "--list").out.splitlines()
    assert lines[0] == "SUCCESS       orders-2026-01-01-eu  queued 1.0 s, ran 2.0 s"
    failed = next(line for line in lines if line.startswith("ERROR "))
    assert "orders-2026-02-20-us  queued 1.0 s, ran 2.0 s  TimeoutError: warehouse " in failed
    shown = run_db("status", "orders.yaml", "--list", "--show-values").out.splitlines()
    assert shown[0].endswith('"10 orders"')


def test_every_format_is_written_at_once(run_db: Cli, orders: Path, tmp_path: Path) -> None:
    words = [
        word
        for form in ("json", "jsonl", "csv", "markdown", "ids", "html")
        for word in ("-o", f"{form}=s.{form}")
    ]
    assert run_db("status", "orders.yaml", *words, "-o", "text").code == 0
    document = json.loads((tmp_path / "s.json").read_text())
    jsonschema_rs.validator_for(json.loads(read_schema("status.v1"))).validate(document)
    ids = [workflow["id"] for workflow in document["workflows"]]
    assert (tmp_path / "s.ids").read_text().split() == ids
    assert len((tmp_path / "s.jsonl").read_text().splitlines()) == len(ids) + 1
    rows = [*csv.DictReader(io.StringIO((tmp_path / "s.csv").read_text()))]
    assert [row["id"] for row in rows] == ids
    assert (rows[-1]["axis.region"], rows[-1]["status"], rows[-1]["step_name"]) == ("us", "ERROR", "fetch")
    assert "| 9 | <code>TimeoutError" in (tmp_path / "s.markdown").read_text()
    failures = document["manifests"][0]["failures"]
    assert [group["condition"]["select"] for group in failures] == ["day>=2026-02-20 region=us"]
    assert not any("output" in workflow for workflow in document["workflows"])
    with_values = run_db("status", "orders.yaml", "-o", "json", "--show-values").json["workflows"]
    assert with_values[0]["output"] == "10 orders"


def test_exit_code_shows_failed_and_unfinished_workflows(run_db: Cli, orders: Path) -> None:
    words = ("status", "orders.yaml", "-o", "ids")
    assert run_db(*words).code == 0
    assert run_db(*words, "--exit-code").code == 7
    assert run_db(*words, "--exit-code", "--select", "region=eu").code == 8
    assert run_db(*words, "--exit-code", "--select", "region=eu day<2026-02-28").code == 0


@pytest.mark.parametrize("shown", [False, True])
def test_a_page_has_cells_failures_and_commands(
    run_db: Cli, orders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: bool
) -> None:
    monkeypatch.setenv("GITHUB_SHA", "3f2a9c1d" * 5)
    words = ("status", "orders.yaml", *(["--show-values"] if shown else []))
    done = run_db(*words, "-o", "html=page.html")
    assert "region  SUCCESS" in done.out
    page = (tmp_path / "page.html").read_text(encoding="ascii")
    printed = run_db(*words, "-o", "html").out
    assert AS_OF.sub("", printed) == AS_OF.sub("", page)
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    for text in (
        "orders: 9 of 118 workflows failed, 1 has not finished",
        "3f2a9c1d3f2a9c1d",
        "all 9 have day&gt;=2026-02-20 region=us</b>; no other finished workflow does",
        "status orders.yaml --only ERROR --select &#39;day&gt;=2026-02-20 region=us&#39; -o ids",
        'aria-label="2026-02-20, region us: 1 failed"',
        "Failed on 9 days: 2026-02-20 &#8230; 2026-02-28",
    ):
        assert text in page, text
    assert page.count('class="ids">orders-') == 118 + 3  # and the lists by status
    assert ("10 orders" in page) == shown


def test_a_page_shows_what_was_selected(run_db: Cli, orders: Path) -> None:
    page = run_db("status", "orders.yaml", "--only", "ERROR", "--by", "queue", "-o", "html").out
    assert "<dt>Only</dt><dd>ERROR</dd>" in page
    assert "All 9" not in page and "9 of 9 workflows failed" in page
    assert "orders-2026-01-01-eu" not in page
    assert '<th scope="col">queue</th>' in page


def test_watch_refuses_formats_for_programs(run_db: Cli, orders: Path) -> None:
    done = run_db("status", "orders.yaml", "--watch", "-o", "json")
    assert (done.code, "--watch prints only text" in done.err) == (2, True)


def test_watch_ends_when_every_workflow_has_finished(run_db: Cli, orders: Path) -> None:
    done = run_db("status", "orders.yaml", "--watch", "--exit-code", "--select", "region=us")
    assert done.code == 7
    assert done.out.count("as of") == 1


@pytest.mark.parametrize("end", ["finish", "interrupt"])
def test_watch_shows_changes_until_the_end(orders: Path, database_url: str, end: str) -> None:
    words = ["status", "orders.yaml", "--watch", "--interval", "50ms", "--database-url", database_url]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "dbos_manifest", *words],
        cwd=orders.parent,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # a shell starts background jobs, and with them these tests, with SIGINT ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    seen = 0
    until = time.monotonic() + PATIENCE_S
    while seen < 2 and time.monotonic() < until:
        seen += "as of" in process.stdout.readline()
    if end == "finish":
        execute(database_url, "UPDATE workflow_status SET status='SUCCESS' WHERE status='ENQUEUED'")
    else:
        process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == (0 if end == "finish" else 130)
    if end == "finish":
        assert "ENQUEUED" not in rest[rest.rindex("as of") :]


@pytest.mark.parametrize("granted", [False, True])
def test_steps_are_shown_only_with_the_right_to_read_them(
    run: Cli, tmp_path: Path, postgres_url: str, granted: bool
) -> None:
    """A role without SELECT on operation_outputs sees the errors; the columns without results are enough."""
    (tmp_path / "orders.yaml").write_text(YEAR)
    name = f"reader_{uuid.uuid4().hex[:8]}"
    assert run("apply", "orders.yaml", "--database-url", postgres_url).code == 0
    columns = "(workflow_uuid, function_id, function_name, error)"
    execute(
        postgres_url,
        *FAIL,
        f"CREATE ROLE {name} LOGIN",
        f"GRANT USAGE ON SCHEMA dbos TO {name}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA dbos TO {name}",
        f"REVOKE SELECT ON dbos.operation_outputs FROM {name}",
        *([f"GRANT SELECT {columns} ON dbos.operation_outputs TO {name}"] if granted else []),
    )
    try:
        done = run("status", "orders.yaml", "--database-url", with_user(postgres_url, name))
        assert done.code == 0
        assert "all 9 have day>=2026-02-20 region=us" in done.out
        assert ("step 2 (fetch)" in done.out) == granted
        assert ("this role lacks SELECT on operation_outputs" in done.out) != granted
    finally:
        execute(postgres_url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_apply_explains_the_failures_that_it_waited_for(
    run_db: Cli, orders: Path, database_url: str, tmp_path: Path
) -> None:
    execute(database_url, "UPDATE workflow_status SET status='SUCCESS' WHERE status='ENQUEUED'")
    words = ("-o", "json=a.json", "-o", "markdown=a.md", "-o", "jsonl=a.jsonl")
    done = run_db("apply", "orders.yaml", "--wait", *words)
    assert done.code == 7
    finished = r"^Finished: 109 succeeded, 9 failed in [\d.]+ m?s\nFailures\n  9  TimeoutError: warehouse"
    assert re.search(finished, done.out, re.MULTILINE)
    assert "all 9 have day>=2026-02-20 region=us; no other finished workflow does;" in done.out
    assert printed_command(done.out) == [
        "dbos-manifest", "status", "orders.yaml", "--only", "ERROR",
        "--select", "day>=2026-02-20 region=us", "-o", "ids",
    ]  # fmt: skip
    document = json.loads((tmp_path / "a.json").read_text())
    jsonschema_rs.validator_for(json.loads(read_schema("applied.v1"))).validate(document)
    (group,) = document["manifests"][0]["wait"]["failures"]
    assert (group["count"], group["condition"]["select"]) == (9, "day>=2026-02-20 region=us")
    assert "| 9 | <code>TimeoutError" in (tmp_path / "a.md").read_text()
    last = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[-1])
    assert last["manifests"][0]["wait"]["failures"] == [group]
