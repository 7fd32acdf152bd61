"""Test colours on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_harness import Cli
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
    assert re.search(r"\x1b\[32m\+\x1b\[0m a", out)
    assert "\x1b[22m" not in out
