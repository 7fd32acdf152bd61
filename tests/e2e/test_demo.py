"""Run the script of `make demo` on both databases, with a pipe as its output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import ROOT


@pytest.fixture
def folder() -> Iterator[Path]:
    """Create a folder with a short path, because paths of Unix sockets are limited to about 100 bytes."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as name:
        yield Path(name)


def run_demo(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples/demo.py"), *words],
        env={**os.environ, "TMPDIR": str(folder), **environment},
        capture_output=True,
        text=True,
    )


def check_all_is_cleaned_up(folder: Path, out: str) -> None:
    worker = re.search(r"stopping the worker, process (\d+)", out)
    assert worker is not None, out
    with pytest.raises(ProcessLookupError):
        os.kill(int(worker[1]), 0)
    assert list(folder.glob("dbos-demo-*")) == []


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_demo_runs_on_both_databases(folder: Path, database: str) -> None:
    done = run_demo(folder, "--db", database)
    assert done.returncode == 0, done.stdout + done.stderr
    commands = re.findall(r"^\$ dbos-manifest (\w+)", done.stdout, re.MULTILINE)
    assert commands == ["validate", "plan", "apply", "status", "apply"]
    assert "7 to enqueue" in done.stdout and "0 to enqueue" in done.stdout
    assert "7 SUCCESS" in done.stdout
    assert '"id":"quickstart-first-day"' in done.stdout.replace(" ", "")
    check_all_is_cleaned_up(folder, done.stdout)


def test_demo_fails_when_a_step_fails(folder: Path) -> None:
    done = run_demo(folder, DBOS_MANIFEST_CHUNK_SIZE="not a number")
    assert done.returncode == 1, done.stdout
    assert "`dbos-manifest apply` ended with exit code 2" in done.stderr
    check_all_is_cleaned_up(folder, done.stdout)
