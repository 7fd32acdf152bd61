"""Test applies that were killed or stopped halfway: their journal, and their exit code."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cli_harness import JOBS, Cli, execute

from dbos_manifest.core.errors import LockfileNotWritable
from dbos_manifest.files.lockfile_writer import LockfileWriter
from dbos_manifest.lockfile.entry_line import LockEntry
from dbos_manifest.lockfile.lockfile import new_lockfile

ALLOW = ("--allow", "queue-not-registered")
SECOND = """\
version: 1
name: second
defaults: {queue: etl}
workflows:
  - {id: x, workflow: ingest}
  - {id: y, workflow: ingest}
"""


@contextmanager
def killed_before_the_lockfile_is_written() -> Iterator[None]:
    def end(*words: object, **options: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LockfileWriter, "replace", end)
        yield


@pytest.fixture
def killed(run_db: Cli, jobs: Path) -> Path:
    """Kill the first apply after all rows are committed, and return its journal."""
    with killed_before_the_lockfile_is_written():
        assert run_db("apply", "jobs.yaml", *ALLOW).code == 130
    journal = jobs.parent / "jobs.lock.jsonl.journal"
    assert len(journal.read_text().splitlines()) == 7
    assert not (jobs.parent / "jobs.lock.jsonl").exists()
    return journal


def delete_rows(database_url: str) -> None:
    execute(database_url, "DELETE FROM workflow_input", "DELETE FROM workflow_status")


def ids_in(lockfile: Path) -> list[str]:
    return [json.loads(line)["id"] for line in lockfile.read_text().splitlines()[1:]]


def states(run: Cli, *words: str) -> dict[str, str]:
    done = run("plan", "jobs.yaml", "-o", "json", *ALLOW, *words)
    (plan,) = done.json["manifests"]
    return {change["id"]: change["state"] for change in plan["changes"]}


def test_workflows_of_a_killed_apply_are_not_enqueued_again(
    run_db: Cli, killed: Path, database_url: str
) -> None:
    delete_rows(database_url)
    assert "create" not in states(run_db).values()
    run_db("apply", "jobs.yaml", *ALLOW)
    assert "NOT_ENQUEUED" in run_db("status", "jobs.yaml").out


def test_next_apply_writes_the_lockfile_and_removes_the_journal(run_db: Cli, killed: Path) -> None:
    assert {*states(run_db).values()} == {"unchanged"}
    assert killed.exists()
    assert run_db("apply", "jobs.yaml", *ALLOW, "--locked").code == 6
    assert run_db("apply", "jobs.yaml", *ALLOW).code == 0
    assert ids_in(killed.with_name("jobs.lock.jsonl")) == ["a", "b", "c"]
    assert "existing" not in killed.with_name("jobs.lock.jsonl").read_text()
    assert not killed.exists()
    assert run_db("apply", "jobs.yaml", *ALLOW, "--locked").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("lock", "rebuild", "jobs.yaml"),
        ("lock", "rebind", "jobs.yaml"),
        ("lock", "format", "jobs.yaml"),
        ("lock", "rename", "jobs.yaml"),
        ("lock", "prune", "jobs.yaml", "--yes"),
    ],
    ids=lambda words: words[1],
)
def test_commands_that_write_the_lockfile_adopt_the_journal(
    run: Cli, run_db: Cli, killed: Path, database_url: str, words: tuple[str, ...]
) -> None:
    delete_rows(database_url)
    call = run_db if words[1] in ("rebuild", "rebind") else run
    assert call(*words).code == 0
    assert ids_in(killed.with_name("jobs.lock.jsonl")) == ["a", "b", "c"]
    assert not killed.exists()


def test_commands_that_read_the_lockfile_read_the_journal(run: Cli, run_db: Cli, killed: Path) -> None:
    assert run_db("lock", "verify", "jobs.yaml").code == 0
    done = run("lock", "check", "jobs.yaml")
    assert done.code == 0
    assert "journal" in done.out
    assert {*states(run, "--against", "lock").values()} == {"unchanged"}
    assert killed.exists()


def test_journal_of_another_manifest_is_refused(run_db: Cli, killed: Path, jobs: Path) -> None:
    jobs.write_text(JOBS.replace("name: jobs", "name: other"))
    done = run_db("apply", "jobs.yaml", *ALLOW)
    assert done.code == 6
    assert f"{killed}" in done.err or killed.name in done.err
    assert killed.exists()


def test_locked_and_wait_are_mutually_exclusive(run_db: Cli, jobs: Path) -> None:
    assert run_db("apply", "jobs.yaml", "--locked", "--wait").code == 2


@pytest.fixture
def second(jobs: Path) -> Path:
    path = jobs.with_name("second.yaml")
    path.write_text(SECOND)
    return path


def add_trigger(postgres_url: str, event: str, for_y: str) -> None:
    """Create a trigger that runs a statement for the row `y` and keeps the others."""
    body = f"BEGIN IF NEW.workflow_uuid = 'y' THEN {for_y}; END IF; RETURN NEW; END"
    with psycopg.connect(postgres_url) as connection:
        connection.execute(f"CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
        connection.execute(f"CREATE {event} FOR EACH ROW EXECUTE FUNCTION t()")


@pytest.mark.parametrize(("code", "alone"), [("23514", 6), ("42501", 3), ("P0001", 3), ("57014", 3)])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_apply_exits_5_only_after_it_enqueued_something(
    run_db: Cli, second: Path, database_url: str, code: str, alone: int
) -> None:
    for_y = f"RAISE EXCEPTION 'no' USING errcode = '{code}'"
    add_trigger(database_url, "TRIGGER t BEFORE INSERT ON dbos.workflow_status", for_y)
    words = ("--atomic", *ALLOW)
    assert run_db("apply", "second.yaml", *words).code == alone
    done = run_db("apply", "jobs.yaml", "second.yaml", *words)
    assert done.code == 5
    assert ids_in(second.with_name("jobs.lock.jsonl")) == ["a", "b", "c"]
    assert run_db("apply", "jobs.yaml", "second.yaml", *words).code == alone  # this apply enqueued nothing


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_row_rejected_by_a_deferred_constraint_is_named(run_db: Cli, second: Path, database_url: str) -> None:
    event = "CONSTRAINT TRIGGER t AFTER INSERT ON dbos.workflow_status DEFERRABLE INITIALLY DEFERRED"
    add_trigger(database_url, event, "RAISE EXCEPTION 'not y' USING errcode = '23514'")
    done = run_db("apply", "second.yaml", *ALLOW)
    assert done.code == 5
    assert "y" in done.out and "not y" in done.out
    assert ids_in(second.with_name("second.lock.jsonl")) == ["x"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_row_dropped_by_a_trigger_is_named_and_not_recorded(
    run_db: Cli, second: Path, database_url: str
) -> None:
    add_trigger(database_url, "TRIGGER t BEFORE INSERT ON dbos.workflow_input", "RETURN NULL")
    done = run_db("apply", "second.yaml", *ALLOW)
    assert done.code == 5
    assert "trigger" in done.out + done.err
    assert ids_in(second.with_name("second.lock.jsonl")) == ["x"]
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT workflow_uuid FROM dbos.workflow_status").fetchall()
    assert found == [("x",)]


def test_apply_is_refused_for_a_lockfile_of_another_user_in_a_sticky_folder(
    run_db: Cli, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_db("apply", "jobs.yaml", *ALLOW, "--select", "id=a").code == 0
    jobs.parent.chmod(0o1777)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 12345)
        done = run_db("apply", "jobs.yaml", *ALLOW)
    assert done.code == 3
    assert "sticky" in done.err
    assert states(run_db) == {"a": "unchanged", "b": "create", "c": "create"}
    assert run_db("apply", "jobs.yaml", *ALLOW).code == 0


def test_mounted_lockfile_cannot_be_replaced(tmp_path: Path) -> None:
    path, other = tmp_path / "jobs \\.lock.jsonl", tmp_path / "other"
    for file in (path, other):
        file.write_text("x\n")
    if subprocess.run(["mount", "--bind", other, path], capture_output=True, check=False).returncode:
        pytest.skip("only root may mount")
    try:
        with LockfileWriter.locked(path, 0) as slot:
            with pytest.raises(LockfileNotWritable, match="mounted"):
                slot.check_replaceable()
            with pytest.raises(LockfileNotWritable):
                slot.replace(["y\n"])
    finally:
        subprocess.run(["umount", path], check=True)


def test_completion_time_is_never_before_the_enqueue_time() -> None:
    lock = new_lockfile("m", "db")
    lock.record(LockEntry("a", "f", "A" * 22, 5000))
    lock.record_status("a", "SUCCESS", 4000)
    entry = lock.entry("a")
    assert entry is not None
    assert entry.completed_at == 5000
