"""Test the commands from end to end: output, exit codes and files."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path
from textwrap import dedent

import pytest
from cli_harness import JOBS, Cli, execute
from urls import with_user

from dbos_manifest.core.units import parse_timestamp

ONE = """\
version: 1
name: NAME
workflows: [{id: NAME, workflow: f, queue: etl}]
"""
MANY = json.dumps(
    {
        "version": 1,
        "name": "many",
        "workflows": [{"id": f"w{number:03}", "workflow": "f", "queue": "q"} for number in range(250)],
    }
)


def test_apply_enqueues_once_and_writes_the_lockfile(run_db: Cli, jobs: Path) -> None:
    lock = jobs.with_name("jobs.lock.jsonl")
    first = run_db("apply", "jobs.yaml")
    assert first.code == 0, first.err
    assert "Enqueued 3 of 3  jobs  " in first.out
    before = lock.read_bytes()
    assert before.count(b"\n") == 4
    second = run_db("apply", "jobs.yaml")
    assert (second.code, "0 to enqueue, 3 unchanged" in second.out) == (0, True)
    assert lock.read_bytes() == before


def test_plan_exits_10_before_and_0_after_an_apply(run_db: Cli, jobs: Path) -> None:
    assert run_db("plan", "jobs.yaml", "--exit-code").code == 10
    run_db("apply", "jobs.yaml")
    assert run_db("plan", "jobs.yaml", "--exit-code").code == 0


def test_checks_of_the_lockfile_pass_after_an_apply(run_db: Cli, run: Cli, jobs: Path) -> None:
    run_db("apply", "jobs.yaml")
    assert run_db("apply", "jobs.yaml", "--locked").code == 0
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


def last_line(run_db: Cli, *words: str) -> tuple[int, str]:
    """Return the exit code of a plan, and its verdict without target and database."""
    done = run_db("plan", *words)
    (verdict,) = [line for line in done.out.splitlines() if line.startswith("Apply would")]
    return done.code, verdict.partition("  (")[0]


def test_plan_ends_with_what_apply_would_do(run_db: Cli, jobs: Path) -> None:
    assert last_line(run_db, "jobs.yaml") == (0, "Apply would enqueue 3 workflows")
    assert last_line(run_db, "jobs.yaml", "--exit-code") == (10, "Apply would enqueue 3 workflows")
    run_db("apply", "jobs.yaml")
    assert last_line(run_db, "jobs.yaml") == (0, "Apply would enqueue nothing")
    assert last_line(run_db, "jobs.yaml", "--exit-code")[0] == 0


def test_strict_plan_ends_with_the_warning_that_apply_would_refuse(run_db: Cli, jobs: Path) -> None:
    assert last_line(run_db, "jobs.yaml", "--strict") == (
        6,
        "Apply would refuse and enqueue nothing: 1 preflight warning",
    )
    strict = run_db("apply", "jobs.yaml", "--strict")
    assert (strict.code, "1 preflight warning" in strict.err) == (6, True)
    assert last_line(run_db, "jobs.yaml", "--strict", "--allow", "queue-not-registered")[0] == 0


def test_plan_begins_with_the_target_and_ends_with_how_long_it_took(run_db: Cli, jobs: Path) -> None:
    lines = run_db("plan", "jobs.yaml", "--target", "prod").out.splitlines()
    assert "→ prod (" in lines[0]
    assert re.fullmatch(r"Apply would enqueue 3 workflows  \(planned in [0-9.]+ m?s\)", lines[-1])


def test_plan_of_two_manifests_ends_with_a_total(run_db: Cli, jobs: Path, tmp_path: Path) -> None:
    run_db("apply", "jobs.yaml")
    jobs.write_text(JOBS.replace("args: [1]", "args: [10]"))
    (tmp_path / "more.yaml").write_text(ONE.replace("NAME", "more"))
    assert last_line(run_db, "jobs.yaml", "more.yaml") == (
        6,
        "Apply would refuse and enqueue nothing: `jobs` has 1 drifted workflow",
    )
    total = run_db("plan", "jobs.yaml", "more.yaml").out.splitlines()[-3]
    assert total.startswith("Total of 2 manifests: 1 to enqueue, 1 drifted, 2 unchanged")


def test_plan_reports_an_orphaned_workflow(run_db: Cli, run: Cli, jobs: Path) -> None:
    run_db("apply", "jobs.yaml")
    jobs.write_text("".join(line for line in jobs.read_text().splitlines(True) if "id: b" not in line))
    assert "1 orphaned" in run_db("plan", "jobs.yaml").out
    assert run("lock", "check", "jobs.yaml").code == 1


def test_large_plan_shows_the_first_id_and_a_count(run_db: Cli, tmp_path: Path) -> None:
    (tmp_path / "many.yaml").write_text(MANY)
    lines = run_db("plan", "many.yaml").out.splitlines()
    assert lines[2:-1] == [
        "  + create    250  f on q",
        "                     IDs w000, … and 249 more (-o ids lists them)",
        "",
        "Plan: 250 to enqueue",
    ]


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


def test_lockfile_is_named_after_the_file_and_the_target(run_db: Cli, jobs: Path, tmp_path: Path) -> None:
    run_db("apply", "jobs.yaml", "--target", "prod")
    assert (tmp_path / "jobs.prod.lock.jsonl").exists()


def test_lockfiles_of_two_manifests_in_a_file_are_named_after_the_manifests(
    run_db: Cli, tmp_path: Path
) -> None:
    (tmp_path / "both.yaml").write_text("---\n".join(ONE.replace("NAME", name) for name in ("x", "y")))
    assert run_db("apply", "both.yaml").code == 0
    assert {path.name for path in tmp_path.glob("*.lock.jsonl")} == {"x.lock.jsonl", "y.lock.jsonl"}


def test_validate_has_no_database_option(run_db: Cli, jobs: Path) -> None:
    assert run_db("validate", "jobs.yaml").code == 2


def test_wait_times_out_without_a_worker(run_db: Cli, jobs: Path) -> None:
    waited = run_db("apply", "jobs.yaml", "--wait", "--wait-timeout", "100ms")
    assert waited.code == 8
    assert re.search(r"^Not finished after [\d.]+ m?s: 3 waiting$", waited.out, re.MULTILINE)


def test_unregistered_queue_is_a_warning_that_strict_refuses(
    run_db: Cli, jobs: Path, database_url: str
) -> None:
    assert "queue-not-registered" in run_db("plan", "jobs.yaml").err
    assert run_db("apply", "jobs.yaml", "--strict").code == 6
    assert run_db("apply", "jobs.yaml", "--strict", "--allow", "queue-not-registered").code == 0


def test_created_at_increases_in_manifest_order(run_db: Cli, tmp_path: Path, database_url: str) -> None:
    (tmp_path / "many.yaml").write_text(MANY)
    assert run_db("apply", "many.yaml", "--chunk-size", "7").code == 0
    rows = run_db("status", "many.yaml", "-o", "json").json["workflows"]
    times = [parse_timestamp(row["created_at"]) for row in rows]
    assert times == sorted(times)
    assert len(set(times)) == 250


def test_large_arguments_make_transactions_smaller(run_db: Cli, tmp_path: Path) -> None:
    """At 900 kB per workflow, a transaction contains at most 32 MiB."""
    (tmp_path / "large.yaml").write_text(
        dedent(
            """\
            version: 1
            name: large
            defaults: {queue: q, workflow: f}
            vars: {pad: LONG}
            workflows:
              - id: w${{ n }}
                args: ["${{ vars.pad }}"]
                matrix: {n: {range: {stop: 40}}}
            """
        ).replace("LONG", "x" * 900_000)
    )
    events = [json.loads(line) for line in run_db("apply", "large.yaml", "-o", "jsonl").out.splitlines()]
    assert [event["enqueued"] for event in events if event["type"] == "progress"] == [37, 40]
    for words in (("plan", "large.yaml"), ("plan", "large.yaml", "--verify")):
        assert "Plan: 0 to enqueue, 40 unchanged" in run_db(*words).out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("plan", "jobs.yaml"), 2, "no system database given"),
        (("plan", "jobs.yaml", "--database-url", "mysql://u:secret@h/d"), 2, "neither PostgreSQL nor SQLite"),
        (
            ("plan", "jobs.yaml", "--database-url", "sqlite:///missing.sqlite"),
            3,
            "the SQLite database",
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
            "cannot reach the system database",
        ),
        (("plan", "missing.yaml"), 2, "no such file"),
        (("validate", "."), 0, ""),
        (("validate", "jobs.yaml", "--retry-budget", "3"), 2, "No such option"),
        (("plan", "jobs.yaml", "--retry-budget", "3"), 2, "needs a unit"),
        (("nonsense",), 2, "unknown command"),
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


def test_apply_needs_the_insert_privilege(run: Cli, jobs: Path, postgres_url: str) -> None:
    role = f"reader_{uuid.uuid4().hex[:8]}"
    execute(
        postgres_url,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA dbos TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA dbos TO {role}",
    )
    reader = with_user(postgres_url, role)
    assert run("plan", "jobs.yaml", "--database-url", reader).code == 0
    denied = run("apply", "jobs.yaml", "--database-url", reader)
    assert (denied.code, "INSERT privilege" in denied.err) == (3, True)
    assert not jobs.with_name("jobs.lock.jsonl").exists()
    execute(postgres_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_apply_needs_a_writable_server(run: Cli, jobs: Path, postgres_url: str) -> None:
    join = "&" if "?" in postgres_url else "?"
    read_only = f"{postgres_url}{join}options=-c%20default_transaction_read_only%3Don"
    denied = run("apply", "jobs.yaml", "--database-url", read_only)
    assert (denied.code, "read-only" in denied.err) == (3, True)
    assert not jobs.with_name("jobs.lock.jsonl").exists()


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

    code = (
        "import sys; from dbos_manifest.cli.main import cli; "
        "cli.main(['validate', 'jobs.yaml'], standalone_mode=False); "
        "assert not {'sqlalchemy', 'psycopg', 'rich', 'jsonschema'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_expand_yaml_can_be_expanded_again(run: Cli, jobs: Path) -> None:
    first = run("expand", "jobs.yaml")
    entries = run("expand", "jobs.yaml", "-o", "yaml").out
    (jobs.parent / "again.yaml").write_text(JOBS[: JOBS.index("  - ")] + entries)
    assert run("expand", "again.yaml").out == first.out


def test_expand_counts_workflows(run: Cli, jobs: Path) -> None:
    assert run("expand", "jobs.yaml", "--count").out == "jobs: 3 workflows\n"


def test_schema_prints_the_schema_of_manifests(run: Cli) -> None:
    assert json.loads(run("schema").out)["title"].startswith("dbos-manifest manifest")


@pytest.mark.parametrize("target", ["../x", "a/b", "", ".", "x/"])
def test_target_with_invalid_characters_is_refused(run: Cli, jobs: Path, target: str) -> None:
    done = run("plan", "jobs.yaml", "--against", "lock", f"--target={target}")
    assert (done.code, "--target" in done.err) == (2, True)


def test_plan_prints_the_ids_of_the_states_that_are_named(run_db: Cli, jobs: Path) -> None:
    run_db("apply", "jobs.yaml")
    jobs.write_text(JOBS.replace("id: b", "id: new").replace("args: [3]", "args: [30]"))
    plan = ("plan", "jobs.yaml", "-o", "ids")
    assert run_db(*plan).out == "new\n"
    assert run_db(*plan, "--state", "orphaned").out == "b\n"
    assert run_db(*plan, "--state", "drifted", "--state", "unchanged").out == "a\nc\n"
    assert "did you mean `orphaned`" in run_db(*plan, "--state", "orphand").err
    assert run_db("plan", "jobs.yaml", "--state", "orphaned").code == 2
