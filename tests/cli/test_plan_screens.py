"""Compare the plan as people see it with golden files; UPDATE_GOLDEN=1 writes them again for review."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cli_harness import Cli, execute

GOLDEN = Path(__file__).parent.parent / "cases" / "screens"
URL = "sqlite:///shop.sqlite"
ORDERS = """\
version: 1
name: orders
defaults: {queue: QUEUE, priority: 10, timeout: TIMEOUT}
queues: {etl: {partitioned: false}, elt: {partitioned: false}}
workflows:
  - workflow: ingest_orders
    id: "orders-${{ day }}-${{ region }}"
    matrix:
      day: {date_range: {start: "FIRST", end: "2025-12-31"}}
      region: [REGIONS]
    kwargs: {day: "${{ day }}", region: "${{ region }}"}
"""


def write(path: str, text: str, **words: str) -> None:
    for word, value in {"QUEUE": "etl", "TIMEOUT": "10m", "REGIONS": "eu, us, apac", **words}.items():
        text = text.replace(word, value)
    Path(path).write_text(text)


def apply(run: Cli, *words: str) -> None:
    done = run("apply", *words, "--database-url", URL)
    assert done.code == 0, done.err


def one_workflow(run: Cli) -> list[str]:
    write("one.yaml", "version: 1\nname: one\nworkflows:\n  - {id: a, workflow: check, queue: etl}\n")
    return ["one.yaml"]


def empty_plan(run: Cli) -> list[str]:
    apply(run, *one_workflow(run))
    return ["one.yaml"]


def widened_backfill(run: Cli) -> list[str]:
    """Begin a month earlier, with one more region; some workflows have ended."""
    write("orders.yaml", ORDERS, FIRST="2025-01-01", REGIONS="eu, us")
    apply(run, "orders.yaml")
    execute(
        URL,
        "UPDATE workflow_status SET status = 'SUCCESS', completed_at = created_at + 1, recovery_attempts = 1",
        "UPDATE workflow_status SET status = 'ERROR' WHERE workflow_uuid LIKE 'orders-2025-12-%-us'",
    )
    write("orders.yaml", ORDERS, FIRST="2024-12-01", TIMEOUT="20m")
    return ["orders.yaml"]


def drift_of_ten_thousand(run: Cli) -> list[str]:
    """Change an option after the apply, in two ways: by the manifest, and in some rows."""
    regions = ", ".join(f"shop-{number:02}" for number in range(28))
    write("orders.yaml", ORDERS, FIRST="2025-01-01", REGIONS=regions)
    apply(run, "orders.yaml")
    execute(
        URL,
        "UPDATE workflow_status SET status = 'SUCCESS', completed_at = created_at + 1, recovery_attempts = 1 "
        "WHERE workflow_uuid < 'orders-2025-07-20'",
        "UPDATE workflow_status SET workflow_timeout_ms = 60000 WHERE workflow_uuid LIKE '%-shop-07'",
        "UPDATE workflow_status SET workflow_timeout_ms = rowid WHERE workflow_uuid LIKE '%-shop-09'",
    )
    write("orders.yaml", ORDERS, FIRST="2025-01-01", REGIONS=regions, QUEUE="elt", TIMEOUT="20m")
    return ["orders.yaml"]


def three_manifests(run: Cli) -> list[str]:
    widened_backfill(run)
    one_workflow(run)
    write(
        "scores.yaml",
        "version: 1\nname: scores\nworkflows:\n"
        + "".join(f"  - {{id: s{n}, workflow: score, queue: etl, args: [{n}]}}\n" for n in range(12)),
    )
    apply(run, "scores.yaml")
    execute(URL, "UPDATE workflow_status SET queue_name = 'old' WHERE workflow_uuid IN ('s3', 's4')")
    return ["orders.yaml", "one.yaml", "scores.yaml"]


STATES = """\
version: 1
name: NAME
defaults: {queue: etl, workflow: f}
queues: {etl: {partitioned: false}}
workflows:
"""
NUMBERED = """\
  - {id: "n-${{ n }}", matrix: {n: {range: {start: START, stop: STOP}}}, attributes: {why: "${{ n | str }}"}}
"""
HELD = """\
  - {id: "h-${{ n }}", matrix: {n: {range: {stop: 11}}}, deduplication_id: "key-${{ n }}"}
"""
HOLDING = """\
  - {id: "k-${{ n }}", matrix: {n: {range: {start: 3, stop: 11}}}, deduplication_id: "key-${{ n }}"}
  - {id: "r-${{ n }}", matrix: {n: {range: {stop: 3}}}, deduplication_id: "key-${{ n }}",
     duplication_policy: return-existing}
"""


def every_state(run: Cli) -> list[str]:
    """Show new, unchanged, drifted, conflicting, held, vanished, missing and orphaned workflows at once."""
    write("states.yaml", STATES + NUMBERED, NAME="states", START="0", STOP="100")
    write("holder.yaml", STATES + HELD, NAME="holder")
    apply(run, "states.yaml", "holder.yaml")
    lock = Path("states.lock.jsonl")
    ended = ',"status":"SUCCESS","completed_at":"2026-01-31T09:00:00.000Z"}'
    lock.write_text(re.sub(r'("id":"n-[34].".*)}', rf"\1{ended}", lock.read_text()))
    execute(
        URL,
        "DELETE FROM workflow_status WHERE workflow_uuid GLOB 'n-[3456]?'",
        "UPDATE workflow_status SET name = 'other' WHERE workflow_uuid GLOB 'n-7?'",
        "UPDATE workflow_status SET priority = 7 WHERE workflow_uuid GLOB 'n-2?'",
        "UPDATE workflow_status SET status = 'SUCCESS', completed_at = created_at + 1 "
        "WHERE workflow_uuid GLOB 'n-1?'",
    )
    write("states.yaml", STATES + NUMBERED + HOLDING, NAME="states", START="10", STOP="120")
    return ["states.yaml"]


CASES: dict[str, Callable[[Cli], list[str]]] = {
    "one": one_workflow,
    "empty": empty_plan,
    "widened": widened_backfill,
    "drift": drift_of_ten_thousand,
    "three": three_manifests,
    "states": every_state,
}


@pytest.mark.parametrize("name", CASES)
def test_plan_looks_as_reviewed(
    name: str, run: Cli, tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(sqlite_template, tmp_path / "shop.sqlite")
    words = CASES[name](run)
    for columns in (80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        texts = {}
        for colour in ("", "1"):
            monkeypatch.setenv("FORCE_COLOR", colour)
            out = run("plan", *words, "--database-url", URL, "--show-values").out
            texts[colour] = re.sub(r"in [0-9.]+ m?s", "in 0.4 s", out)
        assert re.sub(r"\x1b\[[0-9;]*m", "", texts["1"]) == texts[""]
        for line in texts[""].splitlines():
            assert len(line) <= columns
        check_golden(f"{name}-{columns}.txt", texts[""])
        check_golden(f"{name}-{columns}.ansi", texts["1"])
    check_golden(f"{name}.md", run("plan", *words, "--database-url", URL, "-o", "markdown").out)


SCATTERED = """\
version: 1
name: scattered
defaults: {queue: etl, workflow: f}
queues: {etl: {partitioned: false}}
workflows:
"""
SCATTERED_ENTRY = """\
  - id: "ENTRY-${{ n }}-${{ m }}"
    matrix: {n: {range: {stop: 50}}, m: {range: {stop: 50}}}
"""


def test_every_format_has_the_same_groups_of_ten_thousand_workflows(
    run: Cli, tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sets in JSON are exact, and a comment of a pull request has the largest of them."""
    shutil.copy(sqlite_template, tmp_path / "shop.sqlite")
    entries = "".join(SCATTERED_ENTRY.replace("ENTRY", letter) for letter in "abcd")
    Path("scattered.yaml").write_text(SCATTERED + entries)
    ids = run("expand", "scattered.yaml", "-o", "ids").out.split()
    shares = {"a": 0.5, "b": 0.01, "c": 0.99, "d": 0}
    random = Random(18)
    Path("ids.txt").write_text("\n".join(one for one in ids if random.random() < shares[one[0]]))
    apply(run, "scattered.yaml", "--ids-from", "ids.txt")
    plan = ("plan", "scattered.yaml", "--database-url", URL, "-o")
    document = run(*plan, "json").json
    expected: dict[tuple[str, str], set[str]] = {}
    for change in document["manifests"][0]["changes"]:
        expected.setdefault((change["id"][0], change["state"]), set()).add(change["id"])
    groups = document["summary"][0]["groups"]
    found = {}
    for group in groups:
        letter = "abcd"[group["entry"]]
        members = [one for found_set in group["sets"] for one in ids_of(letter, found_set["axes"])]
        assert len(members) == len({*members}) == group["count"]
        found[letter, group["state"]] = {*members}
    assert found == expected
    markdown, text, junit = (run(*plan, form).out for form in ("markdown", "text", "junit"))
    assert len(markdown) < 65_536
    monkeypatch.setenv("COLUMNS", "80")
    narrow = run(*plan, "text").out
    assert max(map(len, narrow.splitlines())) <= 80
    assert narrow.split()[:-2] == text.split()[:-2]  # all but the duration
    for group in groups:
        if group["state"] == "create":
            largest = f"{group['sets'][0]['count']:,}"
            assert f"| create | {group['count']:,} |" in markdown
            assert re.search(rf"\+ create +{group['count']:,}  f on etl\n +(n|{largest}) ", text)
            assert f"<system-out>{group['count']:,} workflows\n" in junit


def ids_of(letter: str, axes: dict[str, list[dict[str, Any]]]) -> list[str]:
    values = {}
    for name, runs in axes.items():
        values[name] = [
            value
            for run in runs
            for value in (run["values"] if "values" in run else range(run["first"], run["last"] + 1))
        ]
    return [f"{letter}-{n}-{m}" for n in values["n"] for m in values["m"]]


def check_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()
