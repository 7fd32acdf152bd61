"""Test that plans with the wrong lockfile are refused: another one exists, or the manifest was renamed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from textwrap import dedent

import pytest
from cli_harness import Cli

OTHER = """\
version: 1
name: other
workflows: [{id: o, workflow: f, queue: etl}]
"""


def enqueued(run_db: Cli, manifest: str = "jobs.yaml") -> int:
    counts = run_db("status", manifest, "-o", "json").json["counts"]
    return int(sum(counts.values())) - int(counts.get("NOT_ENQUEUED", 0))


@pytest.mark.parametrize(
    ("first", "then", "way_out"),
    [
        (("--target", "prod"), (), "`--target prod`"),
        ((), ("--target", "prod"), "`--lockfile jobs.lock.jsonl`"),
        (("--target", "staging"), ("--target", "prod"), "`--target staging`"),
        (("--lockfile", "mine.lock.jsonl"), (), "`--lockfile mine.lock.jsonl`"),
        ((), ("--lockfile", "deep/mine.lock.jsonl"), "`--lockfile jobs.lock.jsonl`"),
    ],
)
def test_plan_is_refused_when_another_lockfile_belongs_to_the_manifest(
    run_db: Cli, jobs: Path, first: tuple[str, ...], then: tuple[str, ...], way_out: str
) -> None:
    jobs.with_name("deep").mkdir()
    assert run_db("apply", "jobs.yaml", *first, "--select", "id=a").code == 0
    for words in (("plan", "jobs.yaml"), ("apply", "jobs.yaml"), ("apply", "jobs.yaml", "--locked")):
        refused = run_db(*words, *then)
        assert (refused.code, "error[lockfile-missing]" in refused.err) == (6, True), words
        assert way_out in refused.err
    assert enqueued(run_db) == 1
    assert run_db("apply", "jobs.yaml", *then, "--allow", "lockfile-missing").code == 0
    assert run_db("apply", "jobs.yaml", *then).code == 0  # the lockfile exists now


def test_lockfile_is_found_after_a_second_manifest_was_added(run_db: Cli, jobs: Path) -> None:
    jobs.rename("orders.yaml")
    assert run_db("apply", "orders.yaml").code == 0
    Path("orders.yaml").write_text(Path("orders.yaml").read_text() + "---\n" + OTHER)
    refused = run_db("apply", "orders.yaml")
    assert (refused.code, "`orders.lock.jsonl` belongs to this manifest" in refused.err) == (6, True)
    Path("orders.lock.jsonl").rename("jobs.lock.jsonl")
    assert run_db("apply", "orders.yaml").code == 0


def test_unrelated_and_unreadable_lockfiles_are_ignored(
    run_db: Cli, run: Cli, jobs: Path, tmp_path: Path, sqlite_url: str, sqlite_template: Path
) -> None:
    """They belong to another manifest or another database, or cannot be read."""
    (tmp_path / "other.yaml").write_text(OTHER)
    assert run_db("apply", "other.yaml").code == 0
    (tmp_path / "bad.lock.jsonl").write_bytes(b"\xff{]\n")
    (tmp_path / "empty.lock.jsonl").write_text("")
    (tmp_path / "folder.lock.jsonl").mkdir()
    (tmp_path / "loop.lock.jsonl").symlink_to("loop.lock.jsonl")
    (tmp_path / "staging").mkdir()
    shutil.copy(sqlite_template, tmp_path / "staging" / "dbos.sqlite")
    staging = "sqlite:///staging/dbos.sqlite"
    assert run("apply", "jobs.yaml", "--target", "staging", "--database-url", staging).code == 0
    assert run_db("apply", "jobs.yaml", "--target", "prod").code == 0


GENERATED = """\
version: 1
name: {name}
defaults: {{queue: q, workflow: f}}
workflows: [{{args: [1]}}, {{args: [2]}}, {{id: own, args: [3]}}]
"""


def change_name(manifest: Path, name: str) -> None:
    """Rename the manifest and edit its lockfile by hand."""
    manifest.write_text(GENERATED.format(name=name))
    lock = manifest.with_name("jobs.lock.jsonl")
    header, *lines = lock.read_text().splitlines(keepends=True)
    lock.write_text("".join([json.dumps({**json.loads(header), "manifest": name}) + "\n", *lines]))


@pytest.mark.parametrize("selection", [(), ("--select", "workflow=f")])
@pytest.mark.parametrize("name", ["new-name", "old-name-2", "old", "a-f"])
def test_renamed_manifest_with_generated_ids_is_refused(
    run_db: Cli, tmp_path: Path, name: str, selection: tuple[str, ...]
) -> None:
    manifest = tmp_path / "jobs.yaml"
    manifest.write_text(GENERATED.format(name="old-name"))
    assert run_db("apply", "jobs.yaml").code == 0
    change_name(manifest, name)
    for words in (("plan", "jobs.yaml"), ("apply", "jobs.yaml")):
        refused = run_db(*words, *selection)
        assert (refused.code, "error[renamed-manifest]: 2 workflows" in refused.err) == (6, True)
        assert "restore `name: old-name`" in refused.err
    change_name(manifest, "old-name")
    assert "Plan: 0 to enqueue, 3 unchanged" in run_db("apply", "jobs.yaml").out
    change_name(manifest, name)
    assert run_db("apply", "jobs.yaml", "--allow", "renamed-manifest").code == 0
    assert run_db("apply", "jobs.yaml").code == 0


def test_new_workflows_with_orphaned_entries_are_not_taken_for_a_rename(run_db: Cli, tmp_path: Path) -> None:
    """Every entry of the lockfile is orphaned, and every workflow is new."""
    manifest = tmp_path / "jobs.yaml"
    month = dedent("""\
        version: 1
        name: jobs
        defaults: {queue: q}
        workflows: [{workflow: MONTH, args: [MONTH]}, {workflow: f, args: [MONTH]}]
        """)
    manifest.write_text(month.replace("MONTH", "january"))
    assert run_db("apply", "jobs.yaml").code == 0
    manifest.write_text(month.replace("MONTH", "february"))
    done = run_db("apply", "jobs.yaml")
    assert (done.code, "2 orphaned" in done.out, "Enqueued 2 of " in done.out) == (0, True, True)
