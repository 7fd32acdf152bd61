"""Test the commands from end to end: output, exit codes and files."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from cli_harness import Cli
from dbos import DBOSClient
from urls import with_user

from dbos_manifest.core.units import parse_timestamp
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.retry import Retry


def execute(url: str, statement: str) -> None:
    with open_database(url, retry=Retry(1, lambda notice: None)) as database:
        table = database.table("workflow_status")
        with database.transaction() as connection:
            connection.execute(sa.text(statement.replace("workflow_status", table)))


def test_apply_enqueues_once_and_writes_the_lockfile(run_db: Cli, run: Cli, jobs: Path) -> None:
    assert run_db("plan", "jobs.yaml", "--exit-code").code == 10
    first = run_db("apply", "jobs.yaml")
    assert first.code == 0, first.err
    assert "Applied jobs: 3 enqueued" in first.out
    lock = jobs.with_name("jobs.lock.jsonl").read_bytes()
    assert lock.count(b"\n") == 4
    second = run_db("apply", "jobs.yaml")
    assert (second.code, "0 to enqueue, 3 unchanged (3 ENQUEUED)" in second.out) == (0, True)
    assert jobs.with_name("jobs.lock.jsonl").read_bytes() == lock
    assert run_db("apply", "jobs.yaml", "--locked").code == 0
    assert run_db("plan", "jobs.yaml", "--exit-code").code == 0
    for done in (run("lock", "check", "jobs.yaml"), run_db("lock", "verify", "jobs.yaml")):
        assert done == (0, "jobs.lock.jsonl ok\n", "")


def test_apply_leaves_no_file_except_the_lockfile(run_db: Cli, jobs: Path) -> None:
    before = {path.name for path in jobs.parent.iterdir()}
    run_db("apply", "jobs.yaml")
    assert {path.name for path in jobs.parent.iterdir()} - before == {"jobs.lock.jsonl"}


def test_locked_apply_enqueues_and_writes_nothing(run_db: Cli, jobs: Path) -> None:
    assert run_db("apply", "jobs.yaml", "--locked").code == 6
    assert not jobs.with_name("jobs.lock.jsonl").exists()
    assert run_db("status", "jobs.yaml", "-o", "json").json["counts"] == {"NOT_ENQUEUED": 3}


def test_apply_refuses_a_workflow_that_drifted(run_db: Cli, jobs: Path, database_url: str) -> None:
    run_db("apply", "jobs.yaml")
    jobs.write_text(jobs.read_text().replace("[1]", "[10]") + "  - {id: d, workflow: ingest}\n")
    refused = run_db("apply", "jobs.yaml")
    assert refused.code == 6
    assert "drifted" in refused.out
    assert run_db("plan", "jobs.yaml", "--exit-code").code == 6
    changes = run_db("plan", "jobs.yaml", "-o", "json").json["manifests"][0]["changes"]
    assert changes[0]["differences"] == [{"field": "args[0]"}]  # no stored value without --show-values
    shown = run_db("plan", "jobs.yaml", "-o", "json", "--show-values").json["manifests"][0]["changes"]
    assert shown[0]["differences"] == [{"field": "args[0]", "database": 1, "manifest": 10}]
    assert run_db("status", "jobs.yaml", "--only", "NOT_ENQUEUED", "-o", "ids").out == "d\n"
    lock_line = jobs.with_name("jobs.lock.jsonl").read_text().splitlines()[1]
    assert run_db("apply", "jobs.yaml", "--allow-drift").code == 0
    assert run_db("status", "jobs.yaml", "-o", "json").json["counts"] == {"ENQUEUED": 4}
    assert jobs.with_name("jobs.lock.jsonl").read_text().splitlines()[1] == lock_line


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


@pytest.mark.parametrize(
    "lost", ["workflow_uuid = 'a'", "workflow_uuid = 'b'", "workflow_uuid = 'c'", "1 = 1"]
)
def test_apply_refuses_a_missing_workflow(run_db: Cli, jobs: Path, database_url: str, lost: str) -> None:
    """Rows are lost by a crash, a restore or a reset, not by retention."""
    run_db("apply", "jobs.yaml")
    remove(database_url, lost)
    gone = not_enqueued(run_db)
    lock = jobs.with_name("jobs.lock.jsonl").read_bytes()
    for words in (
        ("plan", "jobs.yaml"),
        ("plan", "jobs.yaml", "--exit-code"),
        ("apply", "jobs.yaml"),
        ("apply", "jobs.yaml", "--locked"),
        ("lock", "verify", "jobs.yaml"),
    ):
        refused = run_db(*words)
        assert (refused.code, "missing" in refused.out + refused.err) == (6, True), words
    assert not_enqueued(run_db) == gone
    assert "--recreate-missing" in run_db("apply", "jobs.yaml").err
    assert run_db("plan", "jobs.yaml", "--recreate-missing", "--skip-missing").code == 2
    skipped = run_db("apply", "jobs.yaml", "--skip-missing")
    assert (skipped.code, not_enqueued(run_db)) == (0, gone)
    assert jobs.with_name("jobs.lock.jsonl").read_bytes() == lock
    assert run_db("plan", "jobs.yaml", "--recreate-missing", "--exit-code").code == 10
    recreated = run_db("apply", "jobs.yaml", "--recreate-missing")
    assert (recreated.code, not_enqueued(run_db)) == (0, "")
    assert f"{len(gone.split())} enqueued" in recreated.out
    assert run_db("lock", "verify", "jobs.yaml").code == 0


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
    assert "0 enqueued" in run_db("apply", "jobs.yaml", "--recreate-vanished", "--skip-missing").out
    assert "3 enqueued" in run_db("apply", "jobs.yaml", "--recreate-vanished").out


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
        assert (done.code, "0 enqueued" in done.out) == (0, True), words
        assert f"vanished, ingest, {status}" in done.out
    assert run_db("lock", "verify", "jobs.yaml").code == 0


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
    assert "note: 1,000 finished workflows ran with another `timeout`" in plan.out
    execute(
        database_url,
        "UPDATE workflow_status SET status = 'ENQUEUED', completed_at = NULL "
        "WHERE workflow_uuid BETWEEN 'w-800' AND 'w-999' AND length(workflow_uuid) = 5",
    )
    plan = run_db("plan", "jobs.yaml", "--show-values")
    assert plan.code == 6
    (named,) = [line for line in plan.out.splitlines() if line.strip().startswith("timeout")]
    assert named == "      timeout: 600000 -> 1200000"
    assert "note: 800 finished workflows ran with another `timeout`" in plan.out
    assert "Apply would refuse: 200 drifted" in plan.out
    summary = run_db("plan", "jobs.yaml", "-o", "json").json["summary"][0]
    assert summary["notes"] == ["800 finished workflows ran with another `timeout`"]
    assert "800 finished workflows ran with another" in run_db("plan", "jobs.yaml", "-o", "markdown").out
    assert run_db("apply", "jobs.yaml", "--allow-drift").code == 0
    again = run_db("plan", "jobs.yaml", "--allow-drift")  # the lockfile records the new timeout now
    assert (again.code, "800 finished workflows ran" in again.out) == (0, True)


def test_plan_ends_with_what_apply_would_do(run_db: Cli, jobs: Path, tmp_path: Path) -> None:
    def verdict(*words: str) -> tuple[int, str]:
        done = run_db("plan", *words)
        return done.code, done.out.splitlines()[-1].partition("  (")[0]

    assert verdict("jobs.yaml") == (0, "Apply would enqueue 3 workflows")
    assert verdict("jobs.yaml", "--exit-code") == (10, "Apply would enqueue 3 workflows")
    assert verdict("jobs.yaml", "--strict") == (6, "Apply would refuse: 1 preflight warning")
    strict = run_db("apply", "jobs.yaml", "--strict")
    assert (strict.code, "1 preflight warning" in strict.err) == (6, True)
    assert verdict("jobs.yaml", "--strict", "--allow", "queue-not-registered")[0] == 0
    assert "(target prod, database " in run_db("plan", "jobs.yaml", "--target", "prod").out.splitlines()[-1]
    run_db("apply", "jobs.yaml")
    assert verdict("jobs.yaml") == (0, "Apply would enqueue nothing")
    assert verdict("jobs.yaml", "--exit-code")[0] == 0
    jobs.write_text(jobs.read_text().replace("args: [1]", "args: [10]"))
    (tmp_path / "more.yaml").write_text(
        "version: 1\nname: more\nworkflows: [{id: m, workflow: f, queue: etl}]\n"
    )
    assert verdict("jobs.yaml", "more.yaml") == (6, "Apply would refuse: `jobs` has 1 drifted")
    total = run_db("plan", "jobs.yaml", "more.yaml").out.splitlines()[-2]
    assert total.startswith("Total of 2 manifests: 1 to enqueue, 2 unchanged (2 ENQUEUED), 1 drifted")


def test_plan_reports_an_orphaned_workflow(run_db: Cli, run: Cli, jobs: Path) -> None:
    run_db("apply", "jobs.yaml")
    jobs.write_text("".join(line for line in jobs.read_text().splitlines(True) if "id: b" not in line))
    assert "1 orphaned" in run_db("plan", "jobs.yaml").out
    assert run("lock", "check", "jobs.yaml").code == 1


def test_rejected_row_is_reported_and_the_others_are_enqueued(
    run_db: Cli, jobs: Path, database_url: str
) -> None:
    name = "z" * 300  # longer than the constraint below allows
    jobs.write_text(jobs.read_text() + f"  - {{id: d, workflow: {name}}}\n")
    if database_url.startswith("sqlite"):
        execute(
            database_url,
            "CREATE TRIGGER t BEFORE INSERT ON workflow_status WHEN length(NEW.name) > 255 "
            "BEGIN SELECT RAISE(ABORT, 'too long'); END",
        )
    else:
        execute(database_url, "ALTER TABLE workflow_status ADD CHECK (length(name) <= 255)")
    assert run_db("apply", "jobs.yaml", "--atomic").code == 6
    assert run_db("status", "jobs.yaml", "-o", "json").json["counts"] == {"NOT_ENQUEUED": 4}
    partly = run_db("apply", "jobs.yaml", "-o", "json")
    assert partly.code == 5
    assert [fault["id"] for fault in partly.json["manifests"][0]["failed"]] == ["d"]
    assert run_db("status", "jobs.yaml", "-o", "json").json["counts"] == {"ENQUEUED": 3, "NOT_ENQUEUED": 1}


def test_deduplication_id_held_by_another_workflow_is_a_conflict_or_held(
    run_db: Cli, jobs: Path, tmp_path: Path
) -> None:
    text = "version: 1\nname: {}\nworkflows:\n  - {{id: {}, workflow: f, queue: q, deduplication_id: k{}}}\n"
    (tmp_path / "one.yaml").write_text(text.format("one", "x1", ""))
    (tmp_path / "two.yaml").write_text(text.format("two", "x2", ""))
    (tmp_path / "three.yaml").write_text(text.format("three", "x3", ", duplication_policy: return-existing"))
    assert run_db("apply", "one.yaml").code == 0
    refused = run_db("apply", "two.yaml")
    assert (refused.code, "held by x1" in refused.out) == (6, True)
    assert run_db("apply", "two.yaml", "--skip-conflicts").code == 0
    held = run_db("apply", "three.yaml")
    assert (held.code, "1 held" in held.out) == (0, True)
    for name in ("two.yaml", "three.yaml"):
        assert run_db("status", name, "-o", "json").json["counts"] == {"NOT_ENQUEUED": 1}


def test_lockfile_is_named_after_the_manifest_and_the_target(run_db: Cli, jobs: Path, tmp_path: Path) -> None:
    run_db("apply", "jobs.yaml", "--target", "prod")
    assert (tmp_path / "jobs.prod.lock.jsonl").exists()
    (tmp_path / "both.yaml").write_text(
        jobs.read_text() + "---\n" + jobs.read_text().replace("name: jobs", "name: more")
    )
    assert run_db("validate", "both.yaml").code == 2  # no such option
    two = "version: 1\nname: {0}\nworkflows: [{{id: {0}, workflow: f, queue: q}}]\n"
    (tmp_path / "both.yaml").write_text(two.format("first") + "---\n" + two.format("second"))
    assert run_db("apply", "both.yaml").code == 0
    assert (tmp_path / "first.lock.jsonl").exists()
    assert (tmp_path / "second.lock.jsonl").exists()


def test_wait_times_out_without_a_worker(run_db: Cli, jobs: Path) -> None:
    waited = run_db("apply", "jobs.yaml", "--wait", "--wait-timeout", "100ms")
    assert waited.code == 8
    assert "3 workflows not finished (3 ENQUEUED)" in waited.out


def test_unregistered_queue_is_a_warning_that_strict_refuses(
    run_db: Cli, jobs: Path, database_url: str
) -> None:
    assert "queue-not-registered" in run_db("plan", "jobs.yaml").err
    assert run_db("apply", "jobs.yaml", "--strict").code == 6
    assert run_db("apply", "jobs.yaml", "--strict", "--allow", "queue-not-registered").code == 0


def test_created_at_increases_in_manifest_order(run_db: Cli, tmp_path: Path, database_url: str) -> None:
    entries = "".join(f"  - {{id: w{number:03}, workflow: f, queue: q}}\n" for number in range(250))
    (tmp_path / "many.yaml").write_text(f"version: 1\nname: many\nworkflows:\n{entries}")
    assert run_db("apply", "many.yaml", "--chunk-size", "7").code == 0
    rows = run_db("status", "many.yaml", "-o", "json").json["workflows"]
    times = [parse_timestamp(row["created_at"]) for row in rows]
    assert times == sorted(times)
    assert len(set(times)) == 250


def test_large_arguments_make_transactions_smaller(run_db: Cli, tmp_path: Path) -> None:
    """At 900 kB per workflow, a transaction contains at most 32 MiB."""
    (tmp_path / "large.yaml").write_text(
        f"version: 1\nname: large\ndefaults: {{queue: q, workflow: f}}\nvars: {{pad: {'x' * 900_000}}}\n"
        "workflows:\n- id: w${{ n }}\n  args: ['${{ vars.pad }}']\n  matrix: {n: {range: {stop: 40}}}\n"
    )
    events = [json.loads(line) for line in run_db("apply", "large.yaml", "-o", "jsonl").out.splitlines()]
    assert [event["enqueued"] for event in events if event["type"] == "progress"] == [37, 40]
    for words in (("plan", "large.yaml"), ("plan", "large.yaml", "--verify")):
        assert "Plan: 0 to enqueue, 40 unchanged" in run_db(*words).out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("plan", "jobs.yaml"), 2, "no database given"),
        (("plan", "jobs.yaml", "--database-url", "mysql://u:secret@h/d"), 2, "neither PostgreSQL nor SQLite"),
        (
            ("plan", "jobs.yaml", "--database-url", "sqlite:///missing.sqlite"),
            3,
            "there is no SQLite database",
        ),
        (("plan", "jobs.yaml", "--database-url", "sqlite:///other.sqlite"), 3, "no DBOS tables"),
        (("plan", "jobs.yaml", "--database-url", "sqlite:///jobs.yaml"), 3, "not a database"),
        (
            (
                "apply",
                "jobs.yaml",
                "--retry-budget",
                "1s",
                "--database-url",
                "postgresql://u:secret@127.0.0.1:1/d",
            ),
            3,
            "does not respond",
        ),
        (("plan", "missing.yaml"), 2, "no such file"),
        (("validate", "."), 0, ""),
        (("validate", "jobs.yaml", "--retry-budget", "3"), 2, "No such option"),
        (("plan", "jobs.yaml", "--retry-budget", "3"), 2, "needs a unit"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_invalid_arguments_and_databases_are_refused(
    run: Cli, jobs: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    sqlite3.connect("other.sqlite").execute("CREATE TABLE t (x)").connection.close()
    done = run(*words)
    assert done.code == code, done
    assert message in done.err
    assert "secret" not in done.err + done.out
    assert not jobs.with_name("jobs.lock.jsonl").exists()


def test_apply_needs_the_insert_privilege_and_a_writable_server(
    run: Cli, jobs: Path, postgres_url: str
) -> None:
    execute(postgres_url, "CREATE ROLE reader LOGIN") if not _has_role(postgres_url) else None
    execute(postgres_url, "GRANT USAGE ON SCHEMA dbos TO reader")
    execute(postgres_url, "GRANT SELECT ON ALL TABLES IN SCHEMA dbos TO reader")
    reader = with_user(postgres_url, "reader")
    assert run("plan", "jobs.yaml", "--database-url", reader).code == 0
    denied = run("apply", "jobs.yaml", "--database-url", reader)
    assert (denied.code, "INSERT privilege" in denied.err) == (3, True)
    join = "&" if "?" in postgres_url else "?"
    read_only = f"{postgres_url}{join}options=-c%20default_transaction_read_only%3Don"
    denied = run("apply", "jobs.yaml", "--database-url", read_only)
    assert (denied.code, "read-only" in denied.err) == (3, True)
    assert not jobs.with_name("jobs.lock.jsonl").exists()


def _has_role(url: str) -> bool:
    with (
        open_database(url, retry=Retry(1, lambda notice: None)) as database,
        database.reading() as connection,
    ):
        return bool(
            connection.execute(sa.text("SELECT count(*) FROM pg_roles WHERE rolname = 'reader'")).scalar()
        )


def test_validate_reports_problems_as_json_and_as_annotations(
    run: Cli, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.write_text(jobs.read_text().replace("queue: etl", "queue: etl, tiemout: 3s"))
    found = run("validate", "jobs.yaml", "-o", "json")
    assert found.code == 1
    assert [d["code"] for d in found.json["diagnostics"]] == ["unknown-key"]
    assert found.json["diagnostics"][0]["span"]["line"] == 3
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert "::error file=jobs.yaml,line=3,col=24" in run("validate", "jobs.yaml").out


def test_validate_imports_no_database_driver(run: Cli, jobs: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from dbos_manifest.cli.main import cli; "
        "cli.main(['validate', 'jobs.yaml'], standalone_mode=False); "
        "assert not {'sqlalchemy', 'psycopg', 'rich', 'jsonschema'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_expand_yaml_can_be_expanded_again(run: Cli, jobs: Path) -> None:
    first = run("expand", "jobs.yaml")
    again = run("expand", "jobs.yaml", "-o", "yaml")
    (jobs.parent / "again.yaml").write_text(f"version: 1\nname: jobs\nworkflows:\n{again.out}")
    assert run("expand", "again.yaml").out == first.out
    assert run("expand", "jobs.yaml", "--count").out == "jobs: 3 workflows\n"
    assert json.loads(run("schema").out)["title"].startswith("dbos-manifest manifest")


def test_large_plan_shows_a_range_of_ids(run_db: Cli, tmp_path: Path) -> None:
    entries = "".join(f"  - {{id: w{number:03}, workflow: f, queue: q}}\n" for number in range(250))
    (tmp_path / "many.yaml").write_text(f"version: 1\nname: many\nworkflows:\n{entries}")
    lines = run_db("plan", "many.yaml").out.splitlines()
    assert lines[1:-1] == [
        "  + w000 … w249  250 × create, f",
        "Plan: 250 to enqueue, 0 unchanged, 0 drifted, 0 conflicts",
    ]


def test_workflow_resumed_on_another_queue_is_unchanged(
    run_db: Cli, tmp_path: Path, database_url: str
) -> None:
    (tmp_path / "one.yaml").write_text(
        "version: 1\nname: one\nworkflows: [{id: a, workflow: f, queue: q, deduplication_id: d}]\n"
    )
    assert run_db("apply", "one.yaml").code == 0
    client = DBOSClient(system_database_url=database_url)
    try:
        client.resume_workflow("a", queue_name="other")
    finally:
        client.destroy()
    again = run_db("apply", "one.yaml")
    assert (again.code, "1 unchanged (1 ENQUEUED)" in again.out) == (0, True)


@pytest.mark.parametrize("target", ["../x", "a/b", "", ".", "x/"])
def test_target_with_invalid_characters_is_refused(run: Cli, jobs: Path, target: str) -> None:
    done = run("plan", "jobs.yaml", "--against", "lock", f"--target={target}")
    assert (done.code, "--target" in done.err) == (2, True)


def test_verify_compares_arguments_that_the_lockfile_already_records(
    run_db: Cli, tmp_path: Path, database_url: str
) -> None:
    (tmp_path / "one.yaml").write_text(
        "version: 1\nname: one\nworkflows:\n  - {workflow: f, queue: etl, id: a, args: [1]}\n"
    )
    assert run_db("apply", "one.yaml", "--allow", "queue-not-registered").code == 0
    with open_database(database_url, retry=Retry(1, lambda notice: None)) as database:
        table = database.table("workflow_input")
        with database.transaction() as connection:  # DBOS itself never changes arguments
            connection.execute(sa.text(f"UPDATE {table} SET inputs = replace(inputs, '1', '2')"))
    vouched = run_db("plan", "one.yaml")
    verified = run_db("plan", "one.yaml", "--verify", "--exit-code")
    assert (vouched.code, "1 unchanged" in vouched.out) == (0, True)
    assert (verified.code, "1 drifted" in verified.out) == (6, True)
    refused = run_db("apply", "one.yaml", "--verify")
    assert (refused.code, "args[0]" in refused.out) == (6, True)
