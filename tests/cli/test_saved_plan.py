"""Test `plan --out` and `apply PLAN`; a refused plan enqueues nothing."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import pytest
from cli_harness import JOBS, Cli, Run, execute

from dbos_manifest.expansion.workflow_source import FIRST_BYTES
from dbos_manifest.files.bundled import read_schema


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def sealed(found: list[dict[str, object]]) -> str:
    """Return the text of a plan whose last line has the right checksum."""
    body = "".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in found[:-1])
    end = {**found[-1], "sha256": hashlib.sha256(body.encode()).hexdigest()}
    return body + json.dumps(end) + "\n"


def test_apply_enqueues_exactly_what_was_planned(run_db: Cli, jobs: Path) -> None:
    planned = run_db("plan", "jobs.yaml", "--select", "id=a,b", "--out", "plan.jsonl")
    assert planned.code == 0
    jobs.write_text(jobs.read_text().replace("[1]", "[99]"))  # changes after the plan do not count
    done = run_db("apply", "plan.jsonl")
    assert (done.code, "Enqueued 2 of " in done.out) == (0, True)
    assert run_db("apply", "plan.jsonl").out.endswith("  lockfile jobs.lock.jsonl unchanged\n")
    states = {
        c["id"]: c["state"] for c in run_db("plan", "jobs.yaml", "-o", "json").json["manifests"][0]["changes"]
    }
    assert states == {"a": "drifted", "b": "unchanged", "c": "create"}


def test_each_line_matches_the_schema(run_db: Cli, jobs: Path) -> None:
    run_db("plan", "jobs.yaml", "--out", "plan.jsonl")
    assert Path("plan.jsonl").read_bytes().startswith(FIRST_BYTES)
    validator = jsonschema_rs.validator_for(json.loads(read_schema("plan.v1")))
    for line in lines(Path("plan.jsonl")):
        validator.validate(line)


def refused(run: Run, message: str) -> None:
    assert (run.code, run.out) == (6, "")
    assert message in run.err


@pytest.fixture
def planned(run_db: Cli, jobs: Path) -> Path:
    """Enqueue the workflow `c`, then save a plan for all three workflows."""
    run_db("apply", "jobs.yaml", "--select", "id=c")
    run_db("plan", "jobs.yaml", "--out", "plan.jsonl")
    return Path("plan.jsonl")


def test_plan_is_refused_when_a_workflow_exists_with_other_arguments(run_db: Cli, planned: Path) -> None:
    Path("other.yaml").write_text(JOBS.replace("name: jobs", "name: other").replace("args: [1]", "args: [5]"))
    run_db("apply", "other.yaml", "--select", "id=a", "--lockfile", "other.lock.jsonl")
    refused(run_db("apply", "plan.jsonl"), "a was create and is drifted")


def test_plan_is_refused_when_a_workflow_is_missing(run_db: Cli, planned: Path, database_url: str) -> None:
    execute(database_url, "DELETE FROM workflow_status")
    refused(run_db("apply", "plan.jsonl"), "c was unchanged and is missing")
    assert run_db("status", "jobs.yaml", "-o", "json").json["counts"] == {"NOT_ENQUEUED": 3}


def test_plan_is_refused_when_row_and_lockfile_are_gone(
    run_db: Cli, planned: Path, database_url: str
) -> None:
    execute(database_url, "DELETE FROM workflow_status")
    Path("jobs.lock.jsonl").unlink()
    refused(run_db("apply", "plan.jsonl"), "c was unchanged and is create")
    assert run_db("status", "jobs.yaml", "-o", "json").json["counts"] == {"NOT_ENQUEUED": 3}


def test_interrupted_apply_of_a_plan_can_be_continued(run_db: Cli, jobs: Path) -> None:
    """Workflows that the plan has already created are accepted."""
    run_db("plan", "jobs.yaml", "--out", "plan.jsonl")
    run_db("apply", "jobs.yaml", "--select", "id=a")
    assert "Enqueued 2 of " in run_db("apply", "plan.jsonl").out


def test_plan_for_another_database_is_refused(
    run_db: Cli, run: Cli, jobs: Path, tmp_path: Path, sqlite_url: str
) -> None:
    run_db("plan", "jobs.yaml", "--out", "plan.jsonl")
    moved = tmp_path / "moved.sqlite"
    shutil.copy(sqlite_url.removeprefix("sqlite:///"), moved)
    refused(
        run("apply", "plan.jsonl", "--database-url", f"sqlite:///{moved}"), "made for a different database"
    )


EDITS: dict[str, Callable[[list[dict[str, object]]], str]] = {
    "cut off": lambda found: "".join(sealed(found).splitlines(keepends=True)[:-1]),
    "edited": lambda found: sealed(found).replace('"args":[1]', '"args":[7]'),
    "a line less": lambda found: sealed(found).replace(sealed(found).splitlines()[1] + "\n", ""),
    "not a line": lambda found: sealed([found[0], {**found[1], "spec": {"id": 5}}, *found[2:]]),
    "comes after": lambda found: sealed(found) + "{}\n",
    "version 2": lambda found: sealed([{**found[0], "version": 2}, *found[1:]]),
    "first line": lambda found: sealed([found[0], found[0], *found[1:]]),
    "no manifest": lambda found: sealed([found[0], {**found[1], "manifest": 7}, *found[2:]]),
}  # fmt: skip


@pytest.mark.parametrize("what", EDITS)
def test_damaged_plan_is_refused(run_db: Cli, jobs: Path, what: str) -> None:
    run_db("plan", "jobs.yaml", "--out", "plan.jsonl")
    plan = Path("plan.jsonl")
    assert sealed(lines(plan)).splitlines()[:-1] == plan.read_text().splitlines()[:-1]
    plan.write_text(EDITS[what](lines(plan)))
    done = run_db("apply", "plan.jsonl")
    refused(done, "the plan plan.jsonl")
    assert not Path("jobs.lock.jsonl").exists()
    assert run_db("status", "jobs.yaml", "-o", "json").json["counts"] == {"NOT_ENQUEUED": 3}


@pytest.mark.parametrize(
    "words",
    [
        ("--var", "a=1"), ("--select", "id=a"), ("--entry", "x"), ("--lockfile", "l.jsonl"),
        ("--target", "prod"), ("--allow-drift",), ("--skip-conflicts",), ("--recreate-vanished",),
        ("--allow", "queue-not-registered"), ("--strict",), ("--locked",), ("jobs.yaml",),
    ],
)  # fmt: skip
def test_options_that_would_change_a_plan_are_refused(
    run_db: Cli, jobs: Path, words: tuple[str, ...]
) -> None:
    run_db("plan", "jobs.yaml", "--out", "plan.jsonl")
    done = run_db("apply", "plan.jsonl", *words)
    assert (done.code, done.out) == (2, "")
    assert words[0] in done.err or "other paths" in done.err


def planned_for(plan: Path, *, file: str, lockfile: str, name: str = "jobs") -> None:
    """Write other paths into a plan, with the right checksum."""
    header, *others = lines(plan)
    manifest = {**header["manifests"][0], "file": file, "lockfile": lockfile, "name": name}  # type: ignore[index]
    plan.write_text(sealed([{**header, "manifests": [manifest]}, *others]))


ELSEWHERE = {
    "above": ("jobs.yaml", "../outside.lock.jsonl"),
    "another kind of file": ("jobs.yaml", "outside.txt"),
    "absolute": ("jobs.yaml", "/tmp/dbos-manifest-outside/jobs.lock.jsonl"),
    "up and down": ("jobs.yaml", "sub/../../jobs.lock.jsonl"),
    "in another folder": ("jobs.yaml", "sub/jobs.lock.jsonl"),
    "of another manifest": ("jobs.yaml", "other.lock.jsonl"),
    "of a target that is no name": ("jobs.yaml", "jobs..a b.lock.jsonl"),
    "of a manifest that does not exist": ("../outside.yaml", "../outside.lock.jsonl"),
    "of no manifest": ("<stdin>", "jobs2.lock.jsonl"),
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_plan_writes_no_lockfile_elsewhere(run_db: Cli, jobs: Path, where: str) -> None:
    """A plan from another machine does not choose a path, unless the user gives the same one."""
    Path("sub").mkdir()
    run_db("plan", "jobs.yaml", "--out", "plan.jsonl")
    file, lockfile = ELSEWHERE[where]
    planned_for(Path("plan.jsonl"), file=file, lockfile=lockfile)
    before = sorted([*Path().rglob("*"), *Path("..").iterdir()])
    done = run_db("apply", "plan.jsonl")
    refused(done, f"the plan plan.jsonl would write {lockfile}")
    assert f"--lockfile {lockfile}" in done.err
    assert sorted([*Path().rglob("*"), *Path("..").iterdir()]) == before
    assert "NOT_ENQUEUED  3" in run_db("status", "jobs.yaml").out


@pytest.mark.parametrize("words", [(), ("--target", "prod"), ("--target", "a.b"), ("--lockfile", "my.jsonl")])
def test_plan_is_applied_with_the_lockfile_that_it_was_created_with(
    run_db: Cli, jobs: Path, words: tuple[str, ...]
) -> None:
    run_db("plan", "jobs.yaml", *words, "--out", "plan.jsonl")
    named = words if "--lockfile" in words else ()
    if named:
        refused(run_db("apply", "plan.jsonl"), "would write my.jsonl")
    assert run_db("apply", "plan.jsonl", *named).code == 0
    assert run_db("apply", "jobs.yaml", "--locked", *words).code == 0


def test_plan_of_several_manifests_in_one_file_is_applied(run_db: Cli, jobs: Path) -> None:
    jobs.write_text(
        f"{jobs.read_text()}---\n{jobs.read_text().replace('jobs', 'more').replace('id: ', 'id: m')}"
    )
    assert run_db("plan", "jobs.yaml", "--target", "prod", "--out", "plan.jsonl").code == 0
    assert run_db("apply", "plan.jsonl").code == 0
    assert sorted(path.name for path in Path().glob("*.prod.lock.jsonl")) == [
        "jobs.prod.lock.jsonl",
        "more.prod.lock.jsonl",
    ]


def test_plan_of_standard_input_needs_its_lockfile(
    run_db: Cli, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(jobs.read_bytes())))
    assert run_db("plan", "-", "--lockfile", "my.jsonl", "--out", "plan.jsonl").code == 0
    refused(run_db("apply", "plan.jsonl"), "would write my.jsonl")
    assert run_db("apply", "plan.jsonl", "--lockfile", "my.jsonl").code == 0


def test_plan_contains_its_overrides(run_db: Cli, jobs: Path) -> None:
    run_db("apply", "jobs.yaml", "--select", "id=a")
    jobs.write_text(jobs.read_text().replace("[1]", "[99]"))
    run_db("plan", "jobs.yaml", "--out", "refusing.jsonl")
    assert run_db("apply", "refusing.jsonl").code == 6
    run_db("plan", "jobs.yaml", "--allow-drift", "--out", "allowing.jsonl")
    assert "Enqueued 2 of " in run_db("apply", "allowing.jsonl").out


def test_plan_is_refused_where_a_manifest_is_expected(run_db: Cli, run: Cli, jobs: Path) -> None:
    run_db("plan", "jobs.yaml", "--out", "plan.jsonl")
    for words in (("validate",), ("plan", "--against", "lock"), ("expand",)):
        done = run(*words, "plan.jsonl")
        assert (done.code, "is a saved plan" in done.err) == (2, True)


def test_failed_plan_writes_no_file(run: Cli, jobs: Path) -> None:
    assert (
        run("plan", "jobs.yaml", "--out", "plan.jsonl", "--database-url", "sqlite:///none.sqlite").code == 3
    )
    assert (
        run("plan", "jobs.yaml", "--out", "none/plan.jsonl", "--database-url", "sqlite:///n.sqlite").code == 2
    )
    assert run("plan", "jobs.yaml", "--out", "plan.jsonl", "--against", "lock").code == 2
    assert sorted(path.name for path in Path().iterdir()) == ["jobs.yaml"]


def test_plan_against_the_lockfile_needs_no_database(run_db: Cli, run: Cli, jobs: Path) -> None:
    """`--against lock` compares with the lockfile alone."""
    offline = ("plan", "jobs.yaml", "--against", "lock", "--exit-code")
    assert "Plan: 3 to enqueue" in run(*offline).out
    run_db("apply", "jobs.yaml")
    assert run(*offline).code == 0
    jobs.write_text(jobs.read_text().replace("id: a", "id: z").replace("[2]", "[99]"))
    changed = run(*offline)
    assert changed.code == 6
    lines = [re.sub(r"in [0-9.]+ m?s", "in 1 s", line) for line in changed.out.splitlines()]
    assert lines == [
        "jobs  jobs.yaml  lockfile jobs.lock.jsonl",
        "",
        "  + create    1  ingest on etl",
        "                   ID z",
        "  ~ drifted   1  ingest, IN THE LOCKFILE, the manifest has changed since it was applied",
        "                   ID b",
        "  = unchanged 1  1 IN THE LOCKFILE",
        "  ? orphaned  1  ingest, no longer in the manifest",
        "                   ID a",
        "",
        "Plan: 1 to enqueue, 1 drifted, 1 unchanged, 1 orphaned",
        "Apply would refuse and enqueue nothing: 1 drifted workflow  "
        "(planned in 1 s, compared with the lockfile only)",
        "  help: 1 drifted: --allow-drift leaves their rows as they are",
    ]
