"""Lockfiles in Git: two branches that both applied merge line by line, and the next apply is clean."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from harness import Cli, Rows

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

HEAD = "version: 1\nname: jobs\ndefaults: {queue: etl, workflow: ingest_orders}\nworkflows:\n"
IDENTITY = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false")


def test_two_branches_that_applied(cli: Cli, rows: Rows) -> None:
    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *IDENTITY, *words], cwd=cli.folder, capture_output=True, text=True, check=True
        )
        return done.stdout

    def write(*ids: str) -> None:
        text = HEAD + "".join(f"  - {{id: {name}, args: ['2026-01-01']}}\n\n\n\n" for name in ids)
        (cli.folder / "jobs.yaml").write_text(text)

    def apply_and_commit(*ids: str) -> None:
        write(*ids)
        cli("apply", "jobs.yaml")
        git("add", ".")
        git("commit", "-qm", " ".join(ids))

    git("init", "-q", "-b", "main")
    (cli.folder / ".gitattributes").write_text("*.lock.jsonl merge=union\n")
    apply_and_commit("m1", "m5")
    git("switch", "-qc", "one")
    apply_and_commit("a2", "m1", "m5")
    git("switch", "-q", "main")
    git("switch", "-qc", "two")
    apply_and_commit("m1", "m5", "z9", "b3")
    git("merge", "-q", "one", "-m", "both")
    assert "<<<<" not in (cli.folder / "jobs.yaml").read_text() + (cli.folder / "jobs.lock.jsonl").read_text()
    before = rows.dump()
    assert set(cli.plan("jobs.yaml").states().values()) == {"unchanged"}
    assert len(cli.plan("jobs.yaml").states()) == 5
    assert "0 enqueued" in cli("apply", "jobs.yaml").out
    assert rows.dump() == before
    cli("apply", "jobs.yaml", "--locked")  # a pipeline's check finds nothing to send or to write
    unsorted = cli("lock", "check", "jobs.yaml", expect=1)  # the union, until there is something to write
    assert "not in order" in unsorted.out
    write("a2", "b3", "c4", "m1", "m5", "z9")
    cli("apply", "jobs.yaml")
    assert list(cli.lock("jobs.lock.jsonl")) == ["a2", "b3", "c4", "m1", "m5", "z9"]
    cli("lock", "check", "jobs.yaml")
