"""Test lockfiles in Git: two branches that both applied merge line by line."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from harness import Cli, Rows

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

HEAD = """\
version: 1
name: jobs
defaults: {queue: etl, workflow: ingest_orders}
workflows:
"""
IDENTITY = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false")


@pytest.mark.parametrize("words", [("apply",), ("lock", "format"), ("lock", "rebuild")], ids=" ".join)
def test_lockfiles_of_two_branches_merge_line_by_line(cli: Cli, rows: Rows, words: tuple[str, ...]) -> None:
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
    cli("apply", "jobs.yaml", "--locked")  # nothing to enqueue, nothing to record
    lock = cli.folder / "jobs.lock.jsonl"
    union = lock.read_bytes()
    assert "not in order" in cli("lock", "check", "jobs.yaml").out
    cli(*words, "jobs.yaml")
    assert sorted(lock.read_bytes().splitlines()) == sorted(union.splitlines())  # every entry is unchanged
    assert list(cli.lock("jobs.lock.jsonl")) == ["a2", "b3", "m1", "m5", "z9"]
    assert cli("lock", "check", "jobs.yaml").out == "jobs.lock.jsonl ok\n"
    written = (lock.stat().st_mtime_ns, lock.stat().st_ino)
    for again in (("apply",), ("lock", "format"), ("lock", "rebuild")):
        cli(*again, "jobs.yaml")
    assert (lock.stat().st_mtime_ns, lock.stat().st_ino) == written
    assert rows.dump() == before


def test_rebuild_resolves_a_merge_conflict_in_the_lockfile(cli: Cli) -> None:
    """Without `merge=union` Git leaves conflict markers; both sides are kept, even without rows."""

    def git(*words: str, check: bool = True) -> None:
        subprocess.run(["git", *IDENTITY, *words], cwd=cli.folder, capture_output=True, check=check)

    def apply_and_commit(*ids: str) -> None:
        (cli.folder / "jobs.yaml").write_text(HEAD + "".join(f"  - {{id: {name}}}\n\n\n\n" for name in ids))
        cli("apply", "jobs.yaml")
        git("add", ".")
        git("commit", "-qm", "applied")

    git("init", "-q", "-b", "main")
    apply_and_commit("m")
    git("switch", "-qc", "one")
    apply_and_commit("a", "m")
    git("switch", "-q", "main")
    apply_and_commit("b", "m")
    git("merge", "-q", "one", check=False)
    lock = cli.folder / "jobs.lock.jsonl"
    assert "<<<<<<<" in lock.read_text()
    (cli.folder / "jobs.yaml").write_text(HEAD + "".join(f"  - {{id: {name}}}\n" for name in "abm"))
    refused = cli("apply", "jobs.yaml", expect=6)
    assert "conflict markers" in refused.err
    cli("lock", "rebuild", "jobs.yaml")
    assert list(cli.lock("jobs.lock.jsonl")) == ["a", "b", "m"]
    assert cli("lock", "check", "jobs.yaml").out == "jobs.lock.jsonl ok\n"
