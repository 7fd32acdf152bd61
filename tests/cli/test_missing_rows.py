"""Test plan and apply when recorded rows are gone: vanished and missing workflows."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_harness import Cli, execute


def remove(database_url: str, where: str) -> None:
    execute(database_url, f"DELETE FROM workflow_status WHERE {where}")


def not_enqueued(run_db: Cli) -> str:
    return run_db("status", "jobs.yaml", "--only", "NOT_ENQUEUED", "-o", "ids").out


def test_vanished_workflow_is_not_enqueued_again(run_db: Cli, jobs: Path, database_url: str) -> None:
    run_db("apply", "jobs.yaml")
    execute(
        database_url, "UPDATE workflow_status SET created_at = created_at + 60000 WHERE workflow_uuid <> 'b'"
    )
    remove(database_url, "workflow_uuid = 'b'")
    again = run_db("apply", "jobs.yaml")
    assert (again.code, "1 vanished" in again.out) == (0, True)
    assert run_db("lock", "verify", "jobs.yaml").code == 0
    assert not_enqueued(run_db) == "b\n"
    assert run_db("apply", "jobs.yaml", "--recreate-vanished").code == 0
    assert not_enqueued(run_db) == ""


LOST = pytest.mark.parametrize(
    "lost", ["workflow_uuid = 'a'", "workflow_uuid = 'b'", "workflow_uuid = 'c'", "1 = 1"]
)


@pytest.fixture
def apply_and_lose(run_db: Cli, jobs: Path, database_url: str, lost: str) -> str:
    """Enqueue the workflows, remove rows as a crash or a restore does, and return the lost IDs."""
    run_db("apply", "jobs.yaml")
    remove(database_url, lost)
    return not_enqueued(run_db)


@LOST
def test_every_command_refuses_a_missing_workflow(run_db: Cli, apply_and_lose: str) -> None:
    for words in (
        ("plan", "jobs.yaml"),
        ("plan", "jobs.yaml", "--exit-code"),
        ("apply", "jobs.yaml"),
        ("apply", "jobs.yaml", "--locked"),
        ("lock", "verify", "jobs.yaml"),
    ):
        refused = run_db(*words)
        assert (refused.code, "missing" in refused.out + refused.err) == (6, True), words
    assert not_enqueued(run_db) == apply_and_lose
    assert "--recreate-missing" in run_db("apply", "jobs.yaml").err


@LOST
def test_skip_missing_keeps_the_lockfile(run_db: Cli, jobs: Path, apply_and_lose: str) -> None:
    lock = jobs.with_name("jobs.lock.jsonl").read_bytes()
    skipped = run_db("apply", "jobs.yaml", "--skip-missing")
    assert (skipped.code, not_enqueued(run_db)) == (0, apply_and_lose)
    assert jobs.with_name("jobs.lock.jsonl").read_bytes() == lock


@LOST
def test_recreate_missing_enqueues_the_lost_workflows(run_db: Cli, apply_and_lose: str) -> None:
    assert run_db("plan", "jobs.yaml", "--recreate-missing", "--exit-code").code == 10
    recreated = run_db("apply", "jobs.yaml", "--recreate-missing")
    assert (recreated.code, not_enqueued(run_db)) == (0, "")
    assert f"Enqueued {len(apply_and_lose.split())} of " in recreated.out
    assert run_db("lock", "verify", "jobs.yaml").code == 0


def test_recreate_missing_and_skip_missing_are_mutually_exclusive(run_db: Cli, jobs: Path) -> None:
    assert run_db("plan", "jobs.yaml", "--recreate-missing", "--skip-missing").code == 2


@pytest.mark.parametrize("form", ["github", "sarif", "junit", "markdown", "jsonl", "json"])
def test_every_format_reports_a_missing_workflow(
    run_db: Cli, jobs: Path, database_url: str, form: str
) -> None:
    run_db("apply", "jobs.yaml")
    remove(database_url, "workflow_uuid = 'b'")
    plan = run_db("plan", "jobs.yaml", "-o", form)
    assert (plan.code, "missing" in plan.out) == (6, True)
    if form in ("github", "sarif", "junit"):
        assert "`b` has no row, and the lockfile has no final status" in plan.out
    applied = run_db("apply", "jobs.yaml", "-o", form)
    assert (applied.code, "missing" in applied.out) == (6, True)


def test_recreate_vanished_also_recreates_missing_workflows(
    run_db: Cli, jobs: Path, database_url: str
) -> None:
    run_db("apply", "jobs.yaml")
    remove(database_url, "1 = 1")
    assert run_db("apply", "jobs.yaml").code == 6
    assert "Nothing to enqueue" in run_db("apply", "jobs.yaml", "--recreate-vanished", "--skip-missing").out
    assert "Enqueued 3 of " in run_db("apply", "jobs.yaml", "--recreate-vanished").out


@pytest.mark.parametrize("status", ["SUCCESS", "ERROR", "CANCELLED"])
def test_workflow_recorded_as_finished_is_never_enqueued_again(
    run_db: Cli, jobs: Path, database_url: str, status: str
) -> None:
    """Neither an empty database nor an option to recreate workflows changes that."""
    run_db("apply", "jobs.yaml")
    execute(database_url, f"UPDATE workflow_status SET status = '{status}', completed_at = created_at + 1")
    run_db("apply", "jobs.yaml", "--wait")
    remove(database_url, "1 = 1")
    for words in ((), ("--recreate-vanished",), ("--recreate-missing",)):
        done = run_db("apply", "jobs.yaml", *words)
        assert (done.code, "Nothing to enqueue" in done.out) == (0, True), words
        assert f"? vanished  3  ingest, {status}" in done.out
    assert run_db("lock", "verify", "jobs.yaml").code == 0
