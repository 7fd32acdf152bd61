"""Test what a shell completes, by the protocol of click's completion scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_harness import Cli


def complete(folder: Path, *words: str) -> list[str]:
    """Return the values that bash offers for the last word."""
    done = subprocess.run(
        [sys.executable, "-m", "dbos_manifest"],
        cwd=folder,
        env={
            **os.environ,
            "_DBOS_MANIFEST_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["dbos-manifest", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("st",), ["status"]),
        (("lock", "re"), ["rebind", "rebuild", "rename"]),
        (("plan", "--allow", "queue-o"), ["queue-owned-elsewhere"]),
        (("status", "--only", "SUC"), ["SUCCESS"]),
        (("plan", "jobs.yaml", "-o", "m"), ["markdown"]),
        (("plan", "--color", "a"), ["auto", "always"]),
        (("completion", "z"), ["zsh"]),
    ],
)
def test_shell_completes(tmp_path: Path, words: tuple[str, ...], expected: list[str]) -> None:
    assert complete(tmp_path, *words) == expected


def test_target_completes_from_the_lockfiles_of_the_folder(tmp_path: Path) -> None:
    for name in ("jobs.lock.jsonl", "jobs.prod.lock.jsonl", "jobs.preview.lock.jsonl", "other.eu.lock.jsonl"):
        (tmp_path / name).touch()
    assert complete(tmp_path, "plan", "jobs.yaml", "--target", "pr") == ["preview", "prod"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_names_the_program(run: Cli, shell: str) -> None:
    done = run("completion", shell)
    assert done.code == 0
    assert "_DBOS_MANIFEST_COMPLETE" in done.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.out, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (("aply",), "unknown command `aply`; did you mean `apply`?"),
        (("lock", "chek"), "unknown command `chek`; did you mean `check`?"),
        (("xyzzy",), "unknown command `xyzzy`; expected one of: validate, plan, apply"),
    ],
)
def test_unknown_command_suggests_a_known_one(run: Cli, words: tuple[str, ...], suggestion: str) -> None:
    done = run(*words)
    assert (done.code, suggestion in done.err) == (2, True), done.err
