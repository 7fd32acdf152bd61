"""Test plan and apply when rows differ from the manifest: drift, conflicts and notes."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest
from cli_harness import JOBS, Cli, execute
from dbos import DBOSClient


@pytest.fixture
def drifted(run_db: Cli, jobs: Path) -> Path:
    """Enqueue the workflows, then change the argument of `a` and add `d`; return the lockfile."""
    run_db("apply", "jobs.yaml")
    jobs.write_text(JOBS.replace("[1]", "[10]") + "  - {id: d, workflow: ingest}")
    return jobs.with_name("jobs.lock.jsonl")


def test_plan_and_apply_refuse_a_workflow_that_drifted(run_db: Cli, drifted: Path) -> None:
    refused = run_db("apply", "jobs.yaml")
    assert refused.code == 6
    assert "drifted" in refused.out
    assert run_db("plan", "jobs.yaml", "--exit-code").code == 6
    assert run_db("status", "jobs.yaml", "--only", "NOT_ENQUEUED", "-o", "ids").out == "d\n"


def test_plan_shows_stored_values_only_with_show_values(run_db: Cli, drifted: Path) -> None:
    changes = run_db("plan", "jobs.yaml", "-o", "json").json["manifests"][0]["changes"]
    assert changes[0]["differences"] == [{"field": "args[0]"}]
    shown = run_db("plan", "jobs.yaml", "-o", "json", "--show-values").json["manifests"][0]["changes"]
    assert shown[0]["differences"] == [{"field": "args[0]", "database": 1, "manifest": 10}]


def test_allow_drift_enqueues_the_others_and_keeps_the_entry(run_db: Cli, drifted: Path) -> None:
    entry = drifted.read_text().splitlines()[1]
    assert run_db("apply", "jobs.yaml", "--allow-drift").code == 0
    assert run_db("status", "jobs.yaml", "-o", "json").json["counts"] == {"ENQUEUED": 4}
    assert drifted.read_text().splitlines()[1] == entry


def test_changed_option_is_drift_before_the_start_and_a_note_after_the_end(
    run_db: Cli, tmp_path: Path, database_url: str
) -> None:
    """The plan has one note for all finished workflows, and one line for all queued ones."""

    def write(**defaults: object) -> None:
        manifest = {
            "version": 1,
            "name": "backfill",
            "defaults": {"queue": "q", "workflow": "f", **defaults},
            "workflows": [{"id": "w-${{ n | str }}", "matrix": {"n": {"range": {"stop": 1000}}}}],
        }
        (tmp_path / "jobs.yaml").write_text(json.dumps(manifest))

    write(timeout="10m")
    assert run_db("apply", "jobs.yaml").code == 0
    execute(database_url, "UPDATE workflow_status SET status = 'SUCCESS', completed_at = created_at + 1")
    write(timeout="20m")
    plan = run_db("plan", "jobs.yaml")
    assert (plan.code, plan.out.count("timeout")) == (0, 1)
    assert "1,000 finished workflows ran with a different `timeout`" in plan.out
    execute(
        database_url,
        "UPDATE workflow_status SET status = 'ENQUEUED', completed_at = NULL "
        "WHERE workflow_uuid BETWEEN 'w-800' AND 'w-999' AND length(workflow_uuid) = 5",
    )
    plan = run_db("plan", "jobs.yaml", "--show-values")
    assert plan.code == 6
    (named,) = [line for line in plan.out.splitlines() if line.strip().startswith("timeout")]
    assert named.strip() == "timeout: 10m → 20m"
    assert "800 finished workflows ran with a different `timeout`" in plan.out
    assert "Apply would refuse and enqueue nothing: 200 drifted" in plan.out
    summary = run_db("plan", "jobs.yaml", "-o", "json").json["summary"][0]
    assert summary["notes"] == [
        "800 finished workflows ran with a different `timeout`; they are not run again"
    ]
    assert "800 finished workflows ran with a different" in run_db("plan", "jobs.yaml", "-o", "markdown").out
    assert run_db("apply", "jobs.yaml", "--allow-drift").code == 0
    again = run_db("plan", "jobs.yaml", "--allow-drift")  # the lockfile records the new timeout now
    assert (again.code, "800 finished workflows ran" in again.out) == (0, True)


HOLDER = """\
version: 1
name: holder
workflows:
  - {id: x1, workflow: f, queue: q, deduplication_id: k}
"""


@pytest.fixture
def holder(run_db: Cli, tmp_path: Path) -> str:
    """Enqueue a workflow that holds a deduplication ID, and return another manifest that uses the ID."""
    (tmp_path / "holder.yaml").write_text(HOLDER)
    assert run_db("apply", "holder.yaml").code == 0
    return HOLDER.replace("holder", "other").replace("x1", "x2")


def test_deduplication_id_of_another_workflow_is_a_conflict(run_db: Cli, tmp_path: Path, holder: str) -> None:
    (tmp_path / "other.yaml").write_text(holder)
    refused = run_db("apply", "other.yaml")
    assert (refused.code, "held by x1" in refused.out) == (6, True)
    assert run_db("apply", "other.yaml", "--skip-conflicts").code == 0
    assert run_db("status", "other.yaml", "-o", "json").json["counts"] == {"NOT_ENQUEUED": 1}


def test_workflow_with_return_existing_is_held(run_db: Cli, tmp_path: Path, holder: str) -> None:
    (tmp_path / "other.yaml").write_text(holder.replace("k}", "k, duplication_policy: return-existing}"))
    held = run_db("apply", "other.yaml")
    assert (held.code, "1 held" in held.out) == (0, True)
    assert run_db("status", "other.yaml", "-o", "json").json["counts"] == {"NOT_ENQUEUED": 1}


def test_workflow_resumed_on_another_queue_is_unchanged(
    run_db: Cli, tmp_path: Path, database_url: str
) -> None:
    (tmp_path / "one.yaml").write_text(
        dedent(
            """\
            version: 1
            name: one
            workflows: [{id: a, workflow: f, queue: q, deduplication_id: d}]
            """
        )
    )
    assert run_db("apply", "one.yaml").code == 0
    client = DBOSClient(system_database_url=database_url)
    try:
        client.resume_workflow("a", queue_name="other")
    finally:
        client.destroy()
    again = run_db("apply", "one.yaml")
    assert (again.code, "1 unchanged" in again.out) == (0, True)


def test_verify_compares_arguments_that_the_lockfile_already_records(
    run_db: Cli, jobs: Path, database_url: str
) -> None:
    assert run_db("apply", "jobs.yaml").code == 0
    # DBOS itself never changes arguments
    execute(database_url, "UPDATE workflow_input SET inputs = replace(inputs, '1', '10')")
    recorded = run_db("plan", "jobs.yaml")
    verified = run_db("plan", "jobs.yaml", "--verify", "--exit-code")
    assert (recorded.code, "3 unchanged" in recorded.out) == (0, True)
    assert (verified.code, "1 drifted" in verified.out) == (6, True)
    refused = run_db("apply", "jobs.yaml", "--verify")
    assert (refused.code, "args[0]" in refused.out) == (6, True)
