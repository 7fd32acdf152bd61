"""Large manifests are checked beside the plan: what is wrong is said just as `validate` says it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_harness import Cli

from dbos_manifest.actions import validate as validation

GOOD = """version: 1
name: large
defaults: {queue: q, workflow: f}
workflows:
  - matrix: {n: {range: {start: 0, stop: 300}}}
    id: "job-${{ n }}"
    args: ["${{ n }}"]
"""
WRONG = {
    "duplicate ids": 'id: "job-${{ n }}"\n    priority: "${{ n | default(1) }}"\n  - id: job-7',
    "a value": 'id: "job-${{ n }}"\n    priority: "${{ n | str }}"',
    "NUL": 'id: "job-${{ n }}\\0"',
    "a time": 'id: "job-${{ n }}"\n    timeout: "${{ n }}"',
    "a queue": 'id: "job-${{ n }}"\n    queue: _dbos_internal_queue',
}
WARNED = 'id: "job-${{ n }}"\n    queue_partition_key: k\n    deduplication_id: "d-${{ n }}"'


@pytest.fixture
def all_beside(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was checked by a copy of this process."""
    seen = []
    begin = validation._Reading.check_beside

    def check_beside(reading: validation._Reading) -> object:
        seen.append("beside")
        return begin(reading)

    monkeypatch.setattr(validation, "BESIDE_FROM", 10)
    monkeypatch.setattr(validation, "is_possible", lambda: True)
    monkeypatch.setattr(validation._Reading, "check_beside", check_beside)
    return seen


def write(text: str) -> None:
    Path("jobs.yaml").write_text(GOOD.replace('id: "job-${{ n }}"', text), newline="\n")


def test_a_good_one(run_db: Cli, all_beside: list[str]) -> None:
    write('id: "job-${{ n }}"')
    done = run_db("apply", "jobs.yaml", "--allow", "queue-not-registered")
    assert (done.code, all_beside) == (0, ["beside"])
    assert "300 enqueued" in done.out


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong(run: Cli, run_db: Cli, all_beside: list[str], wrong: str) -> None:
    write(WRONG[wrong])
    expected = run("validate", "jobs.yaml")
    assert expected.code == 1
    done = run_db("apply", "jobs.yaml", "--allow", "queue-not-registered")
    assert (done.code, done.out) == (1, "")
    assert blocks(done.err) == blocks(expected.out + expected.err)
    assert not list(Path().glob("*.lock*"))
    write('id: "job-${{ n }}"')
    assert "300 to enqueue" in run_db("plan", "jobs.yaml").out  # nothing was sent


def blocks(text: str) -> list[str]:
    return re.findall(r"(?:error|warning)\[.*?(?=\n\n|\Z)", text, re.DOTALL)


def test_a_warning_is_said_once(run_db: Cli, all_beside: list[str]) -> None:
    write(WARNED)
    done = run_db("apply", "jobs.yaml", "--allow", "queue-not-registered")
    assert (done.code, all_beside) == (0, ["beside"])
    assert done.err.count("warning[deduplication-with-partition-key]") == 1
    assert "300 enqueued" in done.out


def test_an_invalid_manifest_is_said_before_the_database(run: Cli, all_beside: list[str]) -> None:
    write(WRONG["a queue"])
    done = run("apply", "jobs.yaml", "--database-url", "sqlite:///not-there.sqlite")
    assert (done.code, all_beside) == (1, ["beside"])
    assert "error[reserved-queue]" in done.err
