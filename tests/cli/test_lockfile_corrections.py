"""Test apply with lockfiles that differ from the rows, and with lockfiles that are links or special files."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from cli_harness import Cli, entries, execute, finish


def test_apply_writes_normal_form(run_db: Cli, lock: Path) -> None:
    good = lock.read_text()
    header, *lines = good.splitlines()
    lock.write_text("\n".join([header, *reversed(lines), ""]))
    shuffled = lock.read_text()
    assert run_db("apply", "jobs.yaml", "--locked").code == 0
    assert lock.read_text() == shuffled
    applied = run_db("apply", "jobs.yaml")
    assert (applied.code, "written" in applied.out) == (0, True)
    assert lock.read_text() == good
    before = lock.stat()
    assert run_db("apply", "jobs.yaml").code == 0
    assert os.path.samestat(lock.stat(), before)


def test_apply_corrects_merged_lines_of_two_runs_from_the_row(
    run_db: Cli, jobs: Path, lock: Path, database_url: str
) -> None:
    """One branch recorded the end of the first run of `a`, the other one enqueued `a` again."""
    first = lock.read_text()
    finish(lock, "a")
    ended = lock.read_text().splitlines()[1]
    lock.write_text(first)
    execute(database_url, "DELETE FROM workflow_status WHERE workflow_uuid = 'a'")
    execute(database_url, "UPDATE workflow_status SET created_at = created_at - 5")
    jobs.write_text(jobs.read_text().replace("[1]", "[10]"))
    assert run_db("apply", "jobs.yaml", "--recreate-vanished").code == 0
    row_of_a = entries(lock)["a"]
    lock.write_text(lock.read_text() + ended + "\n")
    assert run_db("lock", "verify", "jobs.yaml").code == 6
    assert run_db("apply", "jobs.yaml").code == 0
    assert entries(lock)["a"]["enqueued_at"] == row_of_a["enqueued_at"]
    assert "SUCCESS" not in lock.read_text()
    assert run_db("lock", "verify", "jobs.yaml").code == 0


@pytest.mark.parametrize("ids", [["a"], ["a", "c"], ["a", "b", "c"]], ids="".join)
@pytest.mark.parametrize("shift", ["- 1", "+ 1", "+ 86400000", "- 31536000000"])
def test_apply_corrects_an_entry_with_another_time_from_its_row(
    run_db: Cli, lock: Path, database_url: str, ids: list[str], shift: str
) -> None:
    """The digest of the entry matches the manifest, so the arguments are not read."""
    finish(lock, "a")
    among = ", ".join(f"'{workflow_id}'" for workflow_id in ids)
    execute(
        database_url,
        f"UPDATE workflow_status SET created_at = created_at {shift}, updated_at = updated_at {shift} "
        f"WHERE workflow_uuid IN ({among})",
    )
    before = entries(lock)
    assert run_db("apply", "jobs.yaml", "--locked").code == 6
    assert run_db("apply", "jobs.yaml").code == 0
    after = entries(lock)
    for workflow_id, entry in after.items():
        if workflow_id in ids:
            assert entry["enqueued_at"] != before[workflow_id]["enqueued_at"]
            assert (entry["outcome"], "status" in entry) == ("existing", False)
        else:
            assert entry == before[workflow_id]
    assert run_db("lock", "verify", "jobs.yaml").code == 0


def test_later_run_with_other_arguments_is_drift_even_when_the_entry_matches(
    run_db: Cli, jobs: Path, lock: Path, database_url: str
) -> None:
    """The entry records the arguments of an earlier row, not of this one."""
    execute(database_url, "UPDATE workflow_input SET inputs = replace(inputs, '1', '10')")
    assert run_db("plan", "jobs.yaml").code == 0
    execute(database_url, "UPDATE workflow_status SET created_at = created_at + 7 WHERE workflow_uuid = 'a'")
    assert "1 drifted" in run_db("apply", "jobs.yaml").out


@pytest.mark.parametrize("moved", ["9223372036854775807", "253402300800000", "-1"])
def test_row_with_an_impossible_time_is_accepted(
    run_db: Cli, lock: Path, database_url: str, moved: str
) -> None:
    execute(database_url, f"UPDATE workflow_status SET created_at = {moved} WHERE workflow_uuid = 'b'")
    assert run_db("apply", "jobs.yaml").code == 0
    before = lock.read_bytes()
    assert run_db("apply", "jobs.yaml").code == 0
    assert run_db("lock", "rebuild", "jobs.yaml").code == 0
    assert lock.read_bytes() == before


COMMANDS = [
    ("plan",), ("apply",), ("lock", "verify"), ("lock", "rebuild"), ("lock", "rebind"),
]  # fmt: skip
WITHOUT_DATABASE = [("lock", "check"), ("lock", "format"), ("lock", "rename"), ("lock", "prune", "--yes")]


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "device", "outside", "loop"])
def test_lockfile_that_is_no_regular_file_of_the_folder_is_refused(
    run_db: Cli, run: Cli, jobs: Path, tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    lock, outside = jobs.with_name("jobs.lock.jsonl"), tmp_path_factory.mktemp("outside") / "jobs.lock.jsonl"
    if kind == "pipe":
        os.mkfifo(lock)
    elif kind == "folder":
        lock.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(lock.name)
    else:
        outside.write_text("precious")
        lock.symlink_to({"device": "/dev/null", "outside": outside, "loop": lock}[kind])
    before = lock.lstat()
    for call, commands in ((run_db, COMMANDS), (run, WITHOUT_DATABASE)):
        for words in commands:
            done = call(*words, "jobs.yaml")
            assert done.code in ((2, 3) if kind == "loop" else (6,)), (words, done)
            assert "jobs.lock.jsonl" in done.err
    assert os.path.samestat(lock.lstat(), before)
    assert kind != "outside" or outside.read_text() == "precious"
    assert run_db("status", "jobs.yaml", "-o", "json").json["counts"] == {"NOT_ENQUEUED": 3}


def test_link_to_a_lockfile_in_the_folder_is_followed(run_db: Cli, jobs: Path) -> None:
    folder = jobs.with_name("locks")
    folder.mkdir()
    link = jobs.with_name("jobs.lock.jsonl")
    link.symlink_to("locks/jobs.jsonl")
    assert run_db("apply", "jobs.yaml").code == 0
    assert link.is_symlink()
    assert [path.name for path in folder.iterdir()] == ["jobs.jsonl"]
    assert run_db("apply", "jobs.yaml", "--locked").code == 0
