"""The action's own shell steps and the GitLab template's scripts, run as the hosted runners run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
GITLAB = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text(encoding="utf-8"))
GOOD = "version: 1\nname: jobs\ndefaults: {queue: q}\nworkflows:\n  - {id: a, workflow: f}\n"


class Ran(NamedTuple):
    code: int
    log: str
    outputs: dict[str, str]
    summary: str


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout with a manifest, as a step finds it."""
    jobs = tmp_path / "work" / "jobs"
    jobs.mkdir(parents=True)
    (jobs / "jobs.yaml").write_text(GOOD)
    return tmp_path / "work"


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBOS_", "GITHUB_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, "RUNNER_TEMP": str(folder.parent), **more}


def run_action(folder: Path, database: str | None = None, **inputs: str) -> Ran:
    """The step that runs the program, its inputs resolved as GitHub does."""
    _install, step = ACTION["runs"]["steps"]
    values = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()} | inputs
    resolved = {
        name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: values[found[1]], text)
        for name, text in step["env"].items()
    }
    output, summary = folder.parent / "output", folder.parent / "summary"
    for file in (output, summary):
        file.write_text("")
    files = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
    more = {"GITHUB_ACTIONS": "true", "GITHUB_ACTION_PATH": str(ROOT), **files, **resolved}
    if database:
        more["DBOS_SYSTEM_DATABASE_URL"] = database
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        check=False,
    )
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return Ran(done.returncode, done.stdout + done.stderr, outputs, summary.read_text())


def test_no_input_is_a_part_of_a_script() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]


def test_validate(folder: Path) -> None:
    good = run_action(folder, command="validate")
    assert (good.code, good.outputs["exit-code"]) == (0, "0")
    assert "ok: 1 file" in good.summary
    (folder / "jobs" / "jobs.yaml").write_text(GOOD.replace("workflow: f", "workflo: f"))
    bad = run_action(folder, command="validate")
    assert (bad.code, bad.outputs["exit-code"]) == (1, "1")
    assert "::error file=jobs/jobs.yaml,line=5,col=13" in bad.log
    assert "did you mean &#96;workflow&#96;?" in bad.summary


def test_plan_and_apply(folder: Path, sqlite_url: str) -> None:
    plan = run_action(folder, sqlite_url, command="plan")
    assert (plan.code, plan.outputs["exit-code"], plan.outputs["changes"]) == (0, "10", "true")
    assert "**1 to enqueue" in plan.summary
    assert Path(plan.outputs["markdown"]).read_text() == plan.summary
    done = run_action(folder, sqlite_url, command="apply", paths=plan.outputs["plan"])
    assert (done.code, "1 enqueued" in done.summary) == (0, True), done.log
    assert (folder / "jobs" / "jobs.lock.jsonl").exists()
    again = run_action(folder, sqlite_url, command="plan")
    assert (again.outputs["exit-code"], again.outputs["changes"]) == ("0", "false")
    (folder / "jobs" / "jobs.yaml").write_text(GOOD.replace("workflow: f", "workflow: f, args: [1]"))
    drift = run_action(folder, sqlite_url, command="plan")
    assert (drift.code, drift.outputs["exit-code"]) == (6, "6")
    assert "apply would refuse" in drift.summary
    assert run_action(folder, sqlite_url, command="apply").code == 6


def test_a_pull_request_of_a_fork_has_no_database(folder: Path) -> None:
    plan = run_action(folder, command="plan")
    assert (plan.code, plan.outputs["changes"], "plan" in plan.outputs) == (0, "true", False)
    assert "comparing with the lockfiles only" in plan.log


def test_more_words_and_several_paths(folder: Path, sqlite_url: str) -> None:
    (folder / "more jobs").mkdir()
    (folder / "more jobs" / "b.yaml").write_text(GOOD.replace("jobs", "b").replace("id: a", "id: b"))
    inputs = {"paths": "jobs\nmore jobs/b.yaml\n", "arguments": "--target\nprod\n"}
    assert run_action(folder, sqlite_url, command="apply", **inputs).code == 0
    assert (folder / "jobs" / "jobs.prod.lock.jsonl").exists()
    assert (folder / "more jobs" / "b.prod.lock.jsonl").exists()


@pytest.mark.parametrize(
    "inputs",
    [
        {"command": "validate", "paths": "jobs; touch pwned"},
        {"command": "validate", "paths": "$(touch pwned)"},
        {"command": "validate", "paths": "--out=pwned"},
        {"command": "validate; touch pwned"},
        {"command": "validate", "arguments": "`touch pwned`"},
    ],
)
def test_hostile_inputs_are_words(folder: Path, inputs: dict[str, str]) -> None:
    assert run_action(folder, **inputs).code == 2
    assert not list(folder.rglob("pwned"))


def test_a_hostile_id_commands_nothing(folder: Path, sqlite_url: str) -> None:
    hostile = GOOD.replace("id: a", 'id: "::add-mask::a\\n::error::b"')
    (folder / "jobs" / "jobs.yaml").write_text(hostile)
    done = run_action(folder, sqlite_url, command="plan")
    assert done.code == 0
    lines = [line.strip() for line in done.log.splitlines()]
    assert not [line for line in lines if line.startswith(("::add-mask", "::error"))]


def run_gitlab(folder: Path, job: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A job's script, without the installation."""
    script = "\n".join(["set -eo pipefail", *GITLAB[job]["script"]])
    variables = {name: str(value) for name, value in GITLAB["variables"].items()} | more
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        check=False,
    )


def test_gitlab(folder: Path, sqlite_url: str) -> None:
    assert run_gitlab(folder, "dbos-manifest-validate").returncode == 0
    assert "<testsuites" in (folder / "validate.xml").read_text()
    offline = run_gitlab(folder, "dbos-manifest-plan")
    assert (offline.returncode, (folder / "plan.jsonl").exists()) == (0, False)
    planned = run_gitlab(folder, "dbos-manifest-plan", DBOS_SYSTEM_DATABASE_URL=sqlite_url)
    assert planned.returncode == 0
    applied = run_gitlab(folder, "dbos-manifest-apply", DBOS_SYSTEM_DATABASE_URL=sqlite_url)
    assert (applied.returncode, "1 enqueued" in applied.stdout) == (0, True), applied.stderr
    for job in ("validate", "plan"):
        reports: dict[str, Any] = GITLAB[f"dbos-manifest-{job}"]["artifacts"]["reports"]
        assert (folder / reports["junit"]).exists()
