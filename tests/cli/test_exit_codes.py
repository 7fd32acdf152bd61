"""Test exit codes: the rule that decides them, and commands that end with each of them."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_harness import Cli, execute

from dbos_manifest.cli import validate as validate_command
from dbos_manifest.core.exit_codes import decide_exit_code

MANY = """\
version: 1
name: many
workflows:
  - workflow: f
    queue: q
    id: "many-${{ n }}"
    matrix: {n: {range: {stop: 300}}}
"""


def test_unexpected_exception_exits_70_and_writes_a_crash_log(
    run: Cli, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("at postgresql://ann:s3cret@host/db")

    monkeypatch.setenv("XDG_STATE_HOME", str(jobs.parent / "state"))
    monkeypatch.setattr(validate_command, "read_paths", broken)
    done = run("validate", "jobs.yaml")
    assert (done.code, done.out) == (70, "")
    (log,) = (jobs.parent / "state" / "dbos-manifest").iterdir()
    assert str(log) in done.err
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "ZeroDivisionError" in log.read_text()
    assert "s3cret" not in log.read_text() + done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_apply_records_what_it_enqueued(
    run: Cli, tmp_path: Path, database_url: str, number: signal.Signals
) -> None:
    """The signal comes after the first transaction; the next apply enqueues the rest."""
    for attempt in range(20):
        name = f"many{attempt}"
        (tmp_path / f"{name}.yaml").write_text(MANY.replace("many", name))
        code, last = interrupt(tmp_path, name, database_url, number)
        if code != 0:  # 0: apply finished before the signal
            break
    assert code == 130
    assert last["type"] == "summary" and last["error"]["exit_code"] == 130
    enqueued = last["manifests"][0]["enqueued"]
    assert enqueued > 0
    assert len((tmp_path / f"{name}.lock.jsonl").read_text().splitlines()) == enqueued + 1
    again = run("apply", f"{name}.yaml", "--database-url", database_url)
    assert f"Enqueued {300 - enqueued} of {300 - enqueued}  " in again.out
    counts = run("status", f"{name}.yaml", "--database-url", database_url, "-o", "json").json["counts"]
    assert counts == {"ENQUEUED": 300}


def interrupt(
    folder: Path, name: str, database_url: str, number: signal.Signals
) -> tuple[int, dict[str, Any]]:
    """Interrupt an apply after its first transaction; return its exit code and its last JSON line."""
    words = ["apply", f"{name}.yaml", "--chunk-size", "1", "-o", "jsonl", "--database-url", database_url]
    with subprocess.Popen(
        [sys.executable, "-m", "dbos_manifest", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:  # progress is printed immediately
            if json.loads(line)["type"] == "progress":
                break
        process.send_signal(number)
        last = [json.loads(line) for line in process.stdout][-1]
    return process.returncode, last


@pytest.mark.parametrize("code", [1, 2, 3, 6])
def test_codes_that_mean_nothing_was_enqueued_become_5_after_an_enqueue(code: int) -> None:
    assert decide_exit_code(code) == code
    for lost in ({}, {"output_failed": True}, {"reader_left": True}):
        assert decide_exit_code(code, enqueued=1, **lost) == 5


@pytest.mark.parametrize("code", [5, 7, 8, 9, 70, 130])
@pytest.mark.parametrize("enqueued", [0, 3])
def test_other_codes_do_not_change(code: int, enqueued: int) -> None:
    for lost in ({}, {"output_failed": True}, {"reader_left": True}):
        assert decide_exit_code(code, enqueued=enqueued, **lost) == code


@pytest.mark.parametrize(
    ("code", "enqueued", "lost", "decided"),
    [
        (0, 0, {}, 0), (0, 3, {}, 0), (0, 0, {"reader_left": True}, 0), (0, 3, {"reader_left": True}, 5),
        (0, 0, {"output_failed": True}, 2), (0, 3, {"output_failed": True}, 5),
        (10, 0, {}, 10), (10, 0, {"reader_left": True}, 10), (10, 0, {"output_failed": True}, 2),
    ],
)  # fmt: skip
def test_code_of_a_success_with_lost_output(
    code: int, enqueued: int, lost: dict[str, bool], decided: int
) -> None:
    assert decide_exit_code(code, enqueued=enqueued, **lost) == decided


TWO = """\
version: 1
name: {name}
defaults: {{queue: q, workflow: {name}}}
workflows: [{{id: {name}1}}, {{id: {name}2}}]
"""


def refuse_rows(url: str, workflow: str) -> None:
    """Make the database reject the rows of a workflow."""
    if url.startswith("sqlite"):
        execute(
            url,
            f"CREATE TRIGGER t BEFORE INSERT ON workflow_status WHEN NEW.name = '{workflow}' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
    else:
        execute(
            url,
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF NEW.name = '{workflow}' THEN RAISE EXCEPTION 'no' USING errcode = '23514'; END IF; "
            "RETURN NEW; END $$",
            "CREATE TRIGGER t BEFORE INSERT ON workflow_status FOR EACH ROW EXECUTE FUNCTION no()",
        )


@pytest.mark.parametrize("atomic", [[], ["--atomic"]], ids=["", "--atomic"])
@pytest.mark.parametrize(("refused", "code"), [("b", 5), ("a", None)])
def test_apply_exits_5_when_some_workflows_were_enqueued_and_others_rejected(
    run_db: Cli, tmp_path: Path, database_url: str, atomic: list[str], refused: str, code: int | None
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(TWO.format(name=name))
    refuse_rows(database_url, refused)
    done = run_db("apply", "a.yaml", "b.yaml", *atomic, "-o", "json")
    # an atomic apply stops at the first manifest with a rejected row
    expected = code or (6 if atomic else 5)
    assert (done.code, done.json["error"]["exit_code"]) == (expected, expected)
    rows = run_db("status", "a.yaml", "b.yaml", "-o", "ids", "--only", "ENQUEUED").out.split()
    assert bool(rows) == (expected == 5)


def finish(url: str, *ended: tuple[str, str]) -> None:
    """Set final statuses as a worker does."""
    for workflow_id, status in ended:
        execute(
            url,
            f"UPDATE workflow_status SET status = '{status}', completed_at = created_at + 1 "
            f"WHERE workflow_uuid = '{workflow_id}'",
        )


@pytest.mark.parametrize(
    ("ended", "code", "message"),
    [
        ([("a", "SUCCESS"), ("b", "SUCCESS"), ("c", "SUCCESS")], 0, "Finished: 3 succeeded in "),
        ([("a", "SUCCESS"), ("b", "ERROR"), ("c", "SUCCESS")], 7, "1 of 3 workflows failed"),
        ([("a", "SUCCESS"), ("b", "CANCELLED"), ("c", "CANCELLED")], 7, "2 of 3 workflows failed"),
        ([("a", "SUCCESS")], 8, "2 of 3 workflows did not finish in time"),
        ([], 8, "3 of 3 workflows did not finish in time"),
        ([("a", "ERROR")], 7, "1 of 3 workflows failed, 2 did not finish in time"),
    ],
)
def test_wait_exits_7_for_failed_and_8_for_unfinished_workflows(
    run_db: Cli, jobs: Path, database_url: str, ended: list[tuple[str, str]], code: int, message: str
) -> None:
    assert run_db("apply", "jobs.yaml").code == 0
    finish(database_url, *ended)
    done = run_db("apply", "jobs.yaml", "--wait", "--wait-timeout", "0s", "-o", "text", "-o", "json=out.json")
    assert done.code == code
    assert message in done.out + done.err
    document = json.loads((jobs.parent / "out.json").read_text())
    assert document.get("error", {}).get("exit_code", 0) == code
