"""Test colours on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_harness import Cli, execute
from waiting import PATIENCE_S

BROKEN = """\
version: 1
name: m
workflows: [{id: a, workflow: f, queue: q, priority: high}]
"""


def run_on_terminal(folder: Path, *words: str) -> str:
    """Run the program on a pseudo-terminal and return its output."""
    ours, theirs = pty.openpty()
    environment = {
        key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "GITHUB_ACTIONS")
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "dbos_manifest", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment | {"TERM": "xterm"},
    )
    os.close(theirs)
    out = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # on Linux the end of output is an error
            break
        if not part:
            break
        out += part
    os.close(ours)
    process.wait(PATIENCE_S)
    return out.decode()


@pytest.mark.parametrize("words", [("validate", "m.yaml"), ("plan", "m.yaml", "--against", "lock")])
def test_diagnostics_use_bold_and_reset_all_attributes(
    run: Cli, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "m.yaml").write_text(BROKEN)
    out = run_on_terminal(tmp_path, *words)
    assert re.search(r"\x1b\[1m[^\x1b]*priority[^\x1b]*\x1b\[0m", out)
    assert "\x1b[22m" not in out


def test_plan_colours_the_mark_of_a_change(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(BROKEN.replace("priority: high", "args: []"))
    assert run("plan", "m.yaml", "--against", "lock").code == 0
    out = run_on_terminal(tmp_path, "plan", "m.yaml", "--against", "lock")
    assert re.search(r"\x1b\[32m\+ create +\x1b\[0m 1", out)
    assert "\x1b[22m" not in out


COLOURED = re.compile(r"\x1b\[\d+m")


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(BROKEN)
    return path


def test_color_always_colours_a_pipe(run: Cli, broken: Path) -> None:
    assert COLOURED.search(run("validate", "m.yaml", "--color", "always").out)


def test_color_never_leaves_a_terminal_plain(tmp_path: Path, broken: Path) -> None:
    assert not COLOURED.search(run_on_terminal(tmp_path, "validate", "m.yaml", "--color", "never"))


def test_color_applies_to_an_error_of_the_command_line(tmp_path: Path) -> None:
    assert COLOURED.search(run_on_terminal(tmp_path, "validate", "none.yaml"))
    assert not COLOURED.search(run_on_terminal(tmp_path, "validate", "none.yaml", "--color", "never"))


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"DBOS_MANIFEST_COLOR": "always", "NO_COLOR": "1"}, True),
    ],
)
def test_variables_colour_a_pipe(
    run: Cli, broken: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], coloured: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert bool(COLOURED.search(run("validate", "m.yaml").out)) == coloured


def test_quiet_prints_errors_but_no_notes_and_no_progress(run_db: Cli, jobs: Path, tmp_path: Path) -> None:
    (tmp_path / "vars.yaml").write_text("unused: 1\n")
    words = ("apply", "jobs.yaml", "--vars-file", "vars.yaml", "--allow", "queue-not-registered")
    assert "note: no manifest declares" in run_db("plan", *words[1:]).err
    done = run_db(*words, "--quiet")
    assert (done.code, "note:" in done.err, "enqueued: " in done.err) == (0, False, False)
    refused = run_db("plan", "none.yaml", "-q")
    assert (refused.code, refused.err.startswith("error: ")) == (2, True)


def test_watched_status_clears_the_terminal_and_has_colours(run: Cli, jobs: Path, sqlite_url: str) -> None:
    database = ("--database-url", sqlite_url)
    assert run("apply", "jobs.yaml", *database).code == 0
    execute(sqlite_url, "UPDATE workflow_status SET status='SUCCESS'")
    out = run_on_terminal(jobs.parent, "status", "jobs.yaml", "--watch", *database)
    assert out.startswith("\x1b[H\x1b[2J\x1b[3J")
    assert "\x1b[32mSUCCESS\x1b[0m" in out
    assert "\\x1b" not in out
