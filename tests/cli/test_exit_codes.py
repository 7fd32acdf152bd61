"""The exit codes that other tests do not meet on their way: a bug (70) and an interrupt (130)."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cli_harness import Cli

from dbos_manifest.cli import validate as validate_command

MANY = (
    "version: 1\nname: many\nworkflows:\n- workflow: f\n  queue: q\n  id: 'w-${{ n | pad(4) }}'\n"
    "  matrix: {n: {range: {stop: 3000}}}\n"
)  # fmt: skip


def test_a_bug_leaves_a_log(run: Cli, jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_an_interrupt_saves_what_was_done(
    run: Cli, tmp_path: Path, database_url: str, number: signal.Signals
) -> None:
    """After the first chunk is told, the signal; what was sent is in the lockfile, and an apply goes on."""
    (tmp_path / "many.yaml").write_text(MANY)
    words = ["apply", "many.yaml", "--chunk-size", "10", "-o", "jsonl", "--database-url", database_url]
    process = subprocess.Popen(
        [sys.executable, "-m", "dbos_manifest", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:  # told when it happens, not at the end
        if json.loads(line)["type"] == "chunk":
            break
    process.send_signal(number)
    last = [json.loads(line) for line in process.stdout][-1]
    assert process.wait(60) == 130
    assert last["type"] == "summary" and last["error"]["exit_code"] == 130
    sent = last["manifests"][0]["enqueued"]
    assert 0 < sent < 3000
    assert len((tmp_path / "many.lock.jsonl").read_text().splitlines()) == sent + 1
    again = run("apply", "many.yaml", "--database-url", database_url)
    assert f"{3000 - sent:,} enqueued" in again.out
    assert "3,000 ENQUEUED" in run("status", "many.yaml", "--database-url", database_url).out
