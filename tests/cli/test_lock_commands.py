"""Test the `lock` commands."""

from __future__ import annotations

import json
import os
from pathlib import Path
from textwrap import dedent

import pytest
from cli_harness import Cli, entries, execute, finish


def remove(jobs: Path, workflow_id: str) -> None:
    lines = jobs.read_text().splitlines(True)
    jobs.write_text("".join(line for line in lines if f"id: {workflow_id}" not in line))


def test_rebuild_restores_the_lockfile_from_the_database(run_db: Cli, jobs: Path) -> None:
    run_db("apply", "jobs.yaml")
    lock = jobs.with_name("jobs.lock.jsonl")
    lines = lock.read_text().splitlines()
    lock.write_text("garbage\n")
    assert run_db("plan", "jobs.yaml").code == 6
    assert run_db("lock", "rebuild", "jobs.yaml").code == 0
    rebuilt = [json.loads(line) for line in lock.read_text().splitlines()]
    wanted = [json.loads(line) for line in lines]
    assert [{**line, "outcome": "existing"} if "id" in line else line for line in wanted] == rebuilt


def test_lockfile_of_another_database_is_refused_until_rebind(run_db: Cli, jobs: Path) -> None:
    run_db("apply", "jobs.yaml")
    lock = jobs.with_name("jobs.lock.jsonl")
    header = json.loads(lock.read_text().splitlines()[0])
    lock.write_text(lock.read_text().replace(header["database"], "0" * 32))
    refused = run_db("apply", "jobs.yaml")
    assert (refused.code, "lock rebind" in refused.err) == (6, True)
    assert run_db("lock", "rebind", "jobs.yaml").code == 0
    assert run_db("apply", "jobs.yaml").code == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"manifest":"jobs"', '"manifest":"other"', "lock rename"),
        ('"version":1', '"version":2', "upgrade"),
        ('"database":"', '"database":"0', "a different database"),
    ],
)
def test_every_command_refuses_a_foreign_or_newer_lockfile(
    run_db: Cli, lock: Path, old: str, new: str, message: str
) -> None:
    lock.write_text(lock.read_text().replace(old, new))
    before = lock.read_bytes()
    for words in (("plan",), ("apply",), ("lock", "verify"), ("lock", "rebuild")):
        done = run_db(*words, "jobs.yaml")
        assert (done.code, message in done.err) == (6, True), done
    assert lock.read_bytes() == before


@pytest.mark.parametrize(
    "damage", ["<<<<<<< HEAD\n", '{"id":"z","workf', "\0\n", "[1]\n", '{"id":"z","workflow":""}\n']
)
@pytest.mark.parametrize("first", [True, False])
def test_rebuild_keeps_readable_lines_without_a_row(
    run_db: Cli, jobs: Path, lock: Path, database_url: str, damage: str, first: bool
) -> None:
    good = lock.read_text()
    execute(database_url, "DELETE FROM workflow_status")
    lines = good.splitlines(keepends=True)
    lock.write_text("".join((lines[0], damage.rstrip("\n") + "\n", *lines[1:])) if first else good + damage)
    assert run_db("apply", "jobs.yaml").code == 6
    rebuilt = run_db("lock", "rebuild", "jobs.yaml")
    assert rebuilt.code == 0
    assert "3 kept without a row" in rebuilt.out
    assert ("lost" in rebuilt.out) == (not damage.startswith("<"))
    assert ("`z` has no row" in rebuilt.out) == ('"z"' in damage)
    assert lock.read_text() == good


def test_rebuild_replaces_an_unreadable_line_from_its_row(run_db: Cli, lock: Path) -> None:
    good = lock.read_text()
    lines = good.splitlines()
    lock.write_text("\n".join([*lines[:2], lines[2][:30], lines[3]]) + "\n")
    rebuilt = run_db("lock", "rebuild", "jobs.yaml")
    assert "lost" not in rebuilt.out
    assert entries(lock)["b"].pop("outcome") == "existing"
    assert {**entries(lock)["b"], "outcome": None} == {**json.loads(lines[2]), "outcome": None}


def test_rebuild_without_a_header_keeps_the_entries(run_db: Cli, lock: Path, database_url: str) -> None:
    execute(database_url, "DELETE FROM workflow_status")
    good = lock.read_text()
    lock.write_text(good.split("\n", 1)[1])
    assert run_db("plan", "jobs.yaml").code == 6
    assert "the header could not be read" in run_db("lock", "rebuild", "jobs.yaml").out
    assert lock.read_text() == good


def test_format_needs_no_database_and_is_idempotent(run: Cli, lock: Path) -> None:
    good = lock.read_text()
    header, *lines = good.splitlines()
    lock.write_text("\r\n".join([lines[2], header, lines[0], lines[1], header, lines[2], ""]))
    noted = run("lock", "check", "jobs.yaml")
    assert noted.code == 0
    assert "not in normal form" in noted.out
    assert run("lock", "format", "jobs.yaml").out == "jobs.lock.jsonl written\n"
    assert lock.read_text() == good
    assert run("lock", "check", "jobs.yaml").out == "jobs.lock.jsonl ok\n"
    before = lock.stat()
    assert run("lock", "format", "jobs.yaml").out == "jobs.lock.jsonl ok\n"
    assert os.path.samestat(lock.stat(), before)


def test_prune_lists_first_and_keeps_unfinished_workflows(run: Cli, jobs: Path, lock: Path) -> None:
    finish(lock, "b")
    remove(jobs, "b")
    remove(jobs, "c")
    before = lock.read_text()
    listed = run("lock", "prune", "jobs.yaml")
    assert listed.code == 0
    assert listed.out.splitlines() == [
        "jobs.lock.jsonl ok: 1 entry to remove; 1 kept; run again with --yes to remove them",
        "  remove b (SUCCESS)",
        "  keep c: it is not recorded as finished",
    ]
    assert lock.read_text() == before
    assert run("lock", "prune", "jobs.yaml", "--yes").code == 0
    assert [*entries(lock)] == ["a", "c"]
    assert run("lock", "prune", "jobs.yaml", "--yes").out.startswith("jobs.lock.jsonl ok: 0 entries removed")


@pytest.mark.parametrize("status", ["SUCCESS", "ERROR", "CANCELLED", "PENDING", "ENQUEUED"])
def test_prune_reads_final_statuses_from_the_database(
    run_db: Cli, jobs: Path, lock: Path, database_url: str, status: str
) -> None:
    execute(database_url, f"UPDATE workflow_status SET status = '{status}' WHERE workflow_uuid = 'c'")
    execute(database_url, "DELETE FROM workflow_status WHERE workflow_uuid = 'b'")
    remove(jobs, "b")
    remove(jobs, "c")
    before = lock.read_text()
    ended = status not in ("PENDING", "ENQUEUED")
    assert (f"remove c ({status})" in run_db("lock", "prune", "jobs.yaml").out) == ended
    assert lock.read_text() == before
    assert run_db("lock", "prune", "jobs.yaml", "--yes").code == 0
    assert [*entries(lock)] == (["a", "b"] if ended else ["a", "b", "c"])


def test_prune_with_other_variables_keeps_unfinished_workflows(run_db: Cli, run: Cli, tmp_path: Path) -> None:
    (tmp_path / "vars.yaml").write_text(
        dedent("""\
        version: 1
        name: vars
        vars: {n: 2}
        defaults: {queue: q, workflow: f}
        workflows: [{id: "w-${{ i }}", matrix: {i: {range: {stop: "${{ vars.n }}"}}}}]
        """)
    )
    assert run_db("apply", "vars.yaml", "--var", "n=5").code == 0
    before = (tmp_path / "vars.lock.jsonl").read_bytes()
    assert run("lock", "prune", "vars.yaml", "--yes").code == 0
    assert (tmp_path / "vars.lock.jsonl").read_bytes() == before


def test_rename_accepts_a_renamed_manifest(run_db: Cli, run: Cli, jobs: Path, lock: Path) -> None:
    jobs.write_text(jobs.read_text().replace("name: jobs", "name: newer"))
    refused = run_db("apply", "jobs.yaml")
    assert (refused.code, "lock rename" in refused.err) == (6, True)
    assert "now belongs to `newer` instead of `jobs`" in run("lock", "rename", "jobs.yaml").out
    again = run_db("apply", "jobs.yaml")
    assert (again.code, "Nothing to enqueue" in again.out) == (0, True)
    assert run("lock", "rename", "jobs.yaml").out == "jobs.lock.jsonl ok: already belongs to `newer`\n"


@pytest.mark.parametrize(
    ("workflows", "message"),
    [
        ("[{args: [1]}, {args: [2]}]", "2 workflows in `newer` would be enqueued again"),
        ("[{args: [1]}, {id: x, args: [2]}]", "1 workflow in `newer` would be enqueued again"),
        ("[{id: 'old-x'}]", "none of the 1 workflows"),
    ],
)
def test_rename_refuses_when_ids_change_with_the_name(
    run_db: Cli, run: Cli, tmp_path: Path, workflows: str, message: str
) -> None:
    manifest = dedent("""\
        version: 1
        name: {}
        defaults: {{queue: q, workflow: f}}
        workflows: {}
        """)
    path = tmp_path / "old.yaml"
    path.write_text(manifest.format("old", workflows))
    assert run_db("apply", "old.yaml").code == 0
    before = (tmp_path / "old.lock.jsonl").read_bytes()
    path.write_text(manifest.format("newer", workflows.replace("old-x", "newer-x")))
    done = run("lock", "rename", "old.yaml")
    assert (done.code, message in done.err) == (6, True), done.err
    assert (tmp_path / "old.lock.jsonl").read_bytes() == before


@pytest.mark.parametrize("words", [("format",), ("rename",), ("prune",), ("prune", "--yes")], ids=" ".join)
def test_lock_commands_refuse_a_missing_lockfile(run: Cli, jobs: Path, words: tuple[str, ...]) -> None:
    done = run("lock", *words, "jobs.yaml")
    assert (done.code, "jobs.lock.jsonl does not exist" in done.err) == (2, True)
    assert sorted(path.name for path in jobs.parent.iterdir()) == ["jobs.yaml"]


@pytest.mark.parametrize(
    "line",
    [
        '{"id":"a","\\u001b[31m\\n\\u202ex":1,"\\u001b[31m\\n\\u202ex":2}',
        '{"id":"a","workflow":"f","digest":"' + "A" * 22 + '","enqueued_at":"\\u001b[31m\\n\\u202e"}',
        '{"id":"a","workflow":"f","digest":"' + "A" * 22 + '","enqueued_at":"' + "9" * 1_000_000 + '"}',
        '{"version":1,"manifest":"\\u001b[31m\\n\\u202e' + "x" * 100_000 + '","database":"d"}',
    ],
    ids=range(4),
)
def test_message_about_a_lockfile_is_short_and_printable(run: Cli, jobs: Path, line: str) -> None:
    header = "" if "version" in line else '{"version":1,"revision":0,"manifest":"jobs","database":"d"}\n'
    jobs.with_name("jobs.lock.jsonl").write_text(header + line + "\n")
    done = run("lock", "check", "jobs.yaml")
    assert done.code == 6
    assert len(done.err) < 5_000
    assert done.err.count("\n") == 2
    assert done.err.replace("\n", "").isprintable()
