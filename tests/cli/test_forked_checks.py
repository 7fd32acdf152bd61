"""Test that apply reports the same problems as validate when a forked process checks the manifest."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from cli_harness import Cli

from dbos_manifest.actions import validate as validation

ID = 'id: "job-${{ n }}"'
MANIFEST = dedent(
    """\
    version: 1
    name: large
    defaults: {queue: q, workflow: f}
    workflows:
      - matrix: {n: {range: {start: 0, stop: 300}}}
        args: ["${{ n }}"]
        ID
    """
)
INVALID = {
    "duplicate ids": [ID, 'priority: "${{ n | default(1) }}"', "OTHER"],
    "a value": [ID, 'priority: "${{ n | str }}"'],
    "NUL": ['id: "job-${{ n }}\\0"'],
    "a time": [ID, 'timeout: "${{ n }}"'],
    "a queue": [ID, "queue: _dbos_internal_queue"],
}
WARNED = [ID, "queue_partition_key: k", 'deduplication_id: "d-${{ n }}"']


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fork for small manifests too, and return a list with one item for each fork."""
    made = []

    class RecordedFork(validation.ForkedCheck):
        def __init__(self, check: Callable[[], bool]) -> None:
            made.append("fork")
            super().__init__(check)

    monkeypatch.setattr(validation, "FORK_FROM", 10)
    monkeypatch.setattr(validation, "can_fork", lambda: True)
    monkeypatch.setattr(validation, "ForkedCheck", RecordedFork)
    return made


def write_manifest(lines: list[str]) -> None:
    """Write the manifest with these lines in place of the ID of its entry."""
    text = MANIFEST.replace("ID", "\n    ".join(lines)).replace("    OTHER", "  - id: job-7")
    Path("jobs.yaml").write_text(text, newline="\n")


def test_apply_enqueues_a_valid_manifest(run_db: Cli, forks: list[str]) -> None:
    write_manifest([ID])
    done = run_db("apply", "jobs.yaml", "--allow", "queue-not-registered")
    assert (done.code, forks) == (0, ["fork"])
    assert "Enqueued 300 of " in done.out


@pytest.mark.parametrize("problem", INVALID)
def test_apply_reports_the_problems_that_validate_reports(
    run: Cli, run_db: Cli, forks: list[str], problem: str
) -> None:
    write_manifest(INVALID[problem])
    expected = run("validate", "jobs.yaml")
    assert expected.code == 1
    done = run_db("apply", "jobs.yaml", "--allow", "queue-not-registered")
    assert (done.code, done.out) == (1, "")
    assert find_diagnostics(done.err) == find_diagnostics(expected.out + expected.err)
    assert not list(Path().glob("*.lock*"))
    write_manifest([ID])
    assert "300 to enqueue" in run_db("plan", "jobs.yaml").out  # nothing was enqueued


def find_diagnostics(text: str) -> list[str]:
    return re.findall(r"(?:error|warning)\[.*?(?=\n\n|\Z)", text, re.DOTALL)


def test_apply_reports_a_warning_once(run_db: Cli, forks: list[str]) -> None:
    write_manifest(WARNED)
    done = run_db("apply", "jobs.yaml", "--allow", "queue-not-registered")
    assert (done.code, forks) == (0, ["fork"])
    assert done.err.count("warning[deduplication-with-partition-key]") == 1
    assert "Enqueued 300 of " in done.out


def test_apply_reports_an_invalid_manifest_before_a_missing_database(run: Cli, forks: list[str]) -> None:
    write_manifest(INVALID["a queue"])
    done = run("apply", "jobs.yaml", "--database-url", "sqlite:///not-there.sqlite")
    assert (done.code, forks) == (1, ["fork"])
    assert "error[reserved-queue]" in done.err
