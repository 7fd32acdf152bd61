"""The exit codes that other tests do not meet on their way: a bug (70) and an interrupt (130)."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_harness import Cli

from dbos_manifest.cli import validate as validate_command

MANY = """\
version: 1
name: many
workflows:
  - workflow: f
    queue: q
    id: "many-${{ n }}"
    matrix: {n: {range: {stop: 300}}}
"""


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
    """The signal comes after the first chunk; what was enqueued is recorded, and the next apply continues."""
    for attempt in range(20):
        name = f"many{attempt}"
        (tmp_path / f"{name}.yaml").write_text(MANY.replace("many", name))
        code, last = interrupt(tmp_path, name, database_url, number)
        if code != 0:  # or it had ended before the signal came
            break
    assert code == 130
    assert last["type"] == "summary" and last["error"]["exit_code"] == 130
    enqueued = last["manifests"][0]["enqueued"]
    assert enqueued > 0
    assert len((tmp_path / f"{name}.lock.jsonl").read_text().splitlines()) == enqueued + 1
    again = run("apply", f"{name}.yaml", "--database-url", database_url)
    assert f"{300 - enqueued} enqueued" in again.out
    assert "300 ENQUEUED" in run("status", f"{name}.yaml", "--database-url", database_url).out


def interrupt(
    folder: Path, name: str, database_url: str, number: signal.Signals
) -> tuple[int, dict[str, Any]]:
    """Apply, interrupt it after its first chunk, and return its exit code and its last line."""
    words = ["apply", f"{name}.yaml", "--chunk-size", "1", "-o", "jsonl", "--database-url", database_url]
    with subprocess.Popen(
        [sys.executable, "-m", "dbos_manifest", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:  # printed when it happens, not at the end
            if json.loads(line)["type"] == "chunk":
                break
        process.send_signal(number)
        last = [json.loads(line) for line in process.stdout][-1]
    return process.returncode, last
