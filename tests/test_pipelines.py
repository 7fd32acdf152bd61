"""Run the action's shell steps and the GitLab template's scripts as the hosted runners do."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
GITLAB = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "guides" / "gitops.md").read_text(encoding="utf-8")
# the YAML blocks of docs/guides/gitops.md by their first line
BLOCKS = {
    text.split("\n", 1)[0]: yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
}
SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
GOOD = """\
version: 1
name: jobs
defaults: {queue: q}
workflows:
  - {id: a, workflow: f}
"""


class Ran(NamedTuple):
    code: int
    log: str
    outputs: dict[str, str]
    summary: str


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Create a checkout with one manifest."""
    jobs = tmp_path / "work" / "jobs"
    jobs.mkdir(parents=True)
    (jobs / "jobs.yaml").write_text(GOOD)
    return tmp_path / "work"


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBOS_", "GITHUB_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    mine = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}  # a runner has no user settings
    return {**kept, **mine, "PATH": path, "RUNNER_TEMP": str(folder.parent), **more}


def resolve(step: dict[str, Any], values: dict[str, str]) -> dict[str, str]:
    """Return the variables of a step with their expressions resolved as GitHub does."""
    expression = re.compile(r"\$\{\{ inputs\.([\w-]+) \}\}")
    return {name: expression.sub(lambda found: values[found[1]], text) for name, text in step["env"].items()}


def run_action(folder: Path, database: str | None = None, programs: str = "", **inputs: str) -> Ran:
    """Run the step that calls the program; `programs` is a folder with another `dbos-manifest`."""
    step = ACTION["runs"]["steps"][-1]
    values = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()} | inputs
    output, summary = folder.parent / "output", folder.parent / "summary"
    for file in (output, summary):
        file.write_text("")
    files = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
    more = {"GITHUB_ACTIONS": "true", "GITHUB_ACTION_PATH": str(ROOT), **files, **resolve(step, values)}
    if database:
        more["DBOS_SYSTEM_DATABASE_URL"] = database
    variables = environment(folder, **more)
    if programs:
        variables["PATH"] = f"{programs}{os.pathsep}{variables['PATH']}"
    done = subprocess.run(
        [*SHELL, step["run"]],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return Ran(done.returncode, done.stdout + done.stderr, outputs, summary.read_text())


def test_every_input_and_output_is_used() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    steps = text[text.index("runs:") :]
    assert {name for name in ACTION["inputs"] if f"inputs.{name}" not in steps} == set()
    script = "".join((ROOT / "ci" / name).read_text() for name in ("action.sh", "lockfiles.py"))
    assert {name for name in ACTION["outputs"] if f"{name}=" not in script} == set()


def test_no_script_contains_an_input_expression() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_validate_step_reports_problems_as_annotations(folder: Path) -> None:
    good = run_action(folder, command="validate")
    assert (good.code, good.outputs["exit-code"]) == (0, "0")
    assert "ok: 1 file" in good.summary
    (folder / "jobs" / "jobs.yaml").write_text(GOOD.replace("workflow: f", "workflo: f"))
    bad = run_action(folder, command="validate")
    assert (bad.code, bad.outputs["exit-code"]) == (1, "1")
    assert "::error file=jobs/jobs.yaml,line=5,col=13" in bad.log
    assert "did you mean &#96;workflow&#96;?" in bad.summary


def test_plan_and_apply_steps_set_their_outputs(folder: Path, sqlite_url: str) -> None:
    plan = run_action(folder, sqlite_url, command="plan")
    assert (plan.code, plan.outputs["exit-code"], plan.outputs["changes"]) == (0, "10", "true")
    assert "**1 to enqueue" in plan.summary
    assert Path(plan.outputs["markdown"]).read_text() == plan.summary
    done = run_action(folder, sqlite_url, command="apply", paths=plan.outputs["plan"])
    assert (done.code, "Enqueued 1 of " in done.summary) == (0, True), done.log
    assert (folder / "jobs" / "jobs.lock.jsonl").exists()
    assert (done.outputs["changes"], json.loads(done.outputs["lockfiles"])) == (
        "true",
        ["jobs/jobs.lock.jsonl"],
    )


def test_plan_and_apply_steps_report_that_nothing_changes(folder: Path, sqlite_url: str) -> None:
    run_action(folder, sqlite_url, command="apply")
    nothing = run_action(folder, sqlite_url, command="apply")
    assert (nothing.outputs["changes"], nothing.outputs["lockfiles"]) == ("false", "[]")
    again = run_action(folder, sqlite_url, command="plan")
    assert (again.outputs["exit-code"], again.outputs["changes"]) == ("0", "false")


def test_plan_and_apply_steps_fail_with_drift(folder: Path, sqlite_url: str) -> None:
    run_action(folder, sqlite_url, command="apply")
    (folder / "jobs" / "jobs.yaml").write_text(GOOD.replace("workflow: f", "workflow: f, args: [1]"))
    drift = run_action(folder, sqlite_url, command="plan")
    assert (drift.code, drift.outputs["exit-code"]) == (6, "6")
    assert "apply would refuse" in drift.summary
    refused = run_action(folder, sqlite_url, command="apply")
    assert (refused.code, refused.outputs["changes"]) == (6, "false")


def test_apply_writes_a_lost_lockfile_again_and_enqueues_nothing(folder: Path, sqlite_url: str) -> None:
    """The lockfile is lost when the push after an apply fails."""
    assert run_action(folder, sqlite_url, command="apply").code == 0
    (folder / "jobs" / "jobs.lock.jsonl").unlink()
    again = run_action(folder, sqlite_url, command="apply")
    assert (again.code, "Nothing to enqueue" in again.log, again.outputs["changes"]) == (0, True, "true")


def test_partial_apply_reports_its_lockfile(folder: Path, sqlite_url: str) -> None:
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute(
            "CREATE TRIGGER t BEFORE INSERT ON workflow_status WHEN NEW.name = 'g' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    (folder / "jobs" / "jobs.yaml").write_text(GOOD + "  - {id: b, workflow: g}\n")
    done = run_action(folder, sqlite_url, command="apply")
    assert (done.code, done.outputs["changes"]) == (5, "true")
    assert json.loads(done.outputs["lockfiles"]) == ["jobs/jobs.lock.jsonl"]


@pytest.mark.parametrize("named", ["next to its manifest", "--lockfile", "--lockfile=", "saved plan"])
def test_killed_apply_reports_its_lockfile(folder: Path, sqlite_url: str, named: str) -> None:
    """The program is killed after its last write, so the step finds the lockfiles by comparing files."""
    programs = folder.parent / "programs"
    programs.mkdir()
    real = Path(sys.executable).parent / "dbos-manifest"
    (programs / "dbos-manifest").write_text(f'#!/bin/sh\n"{real}" "$@"\nkill -9 $$\n')
    (programs / "dbos-manifest").chmod(0o755)
    lockfile = "jobs/jobs.lock.jsonl" if named == "next to its manifest" else "../elsewhere.jsonl"
    arguments = {"--lockfile": f"--lockfile\n{lockfile}", "--lockfile=": f"--lockfile={lockfile}"}
    paths = "jobs"
    if named == "saved plan":  # its manifest is outside the checkout
        (folder / "jobs").rename(folder.parent / "other")
        lockfile = "../other/jobs.lock.jsonl"
        paths = run_action(folder, sqlite_url, command="plan", paths="../other").outputs["plan"]
    inputs = {"command": "apply", "paths": paths, "arguments": arguments.get(named, "")}
    killed = run_action(folder, sqlite_url, **inputs, programs=str(programs))
    assert killed.code == 137
    assert (killed.outputs["changes"], json.loads(killed.outputs["lockfiles"])) == ("true", [lockfile])
    again = run_action(folder, sqlite_url, **inputs, programs=str(programs))
    assert (again.outputs["changes"], again.outputs["lockfiles"]) == ("false", "[]")


def test_lockfile_name_with_a_newline_adds_no_output(folder: Path, sqlite_url: str) -> None:
    (folder / "jobs" / "jobs.yaml").rename(folder / "jobs" / "a\nplan=x.yaml")
    done = run_action(folder, sqlite_url, command="apply")
    assert done.outputs.keys() == {"exit-code", "markdown", "changes", "lockfiles"}
    assert json.loads(done.outputs["lockfiles"]) == ["jobs/a\nplan=x.lock.jsonl"]


def test_sarif_input_writes_the_file(folder: Path) -> None:
    (folder / "jobs" / "jobs.yaml").write_text(GOOD.replace("workflow: f", "workflo: f"))
    bad = run_action(folder, command="validate", sarif="out.sarif")
    assert bad.code == 1
    assert "::error file=jobs/jobs.yaml" in bad.log
    assert json.loads((folder / "out.sarif").read_text())["version"] == "2.1.0"


def test_plan_of_a_fork_runs_without_a_database(folder: Path) -> None:
    plan = run_action(folder, command="plan")
    assert (plan.code, plan.outputs["changes"], "plan" in plan.outputs) == (0, "true", False)
    assert "comparing with the lockfiles only" in plan.log


def test_arguments_and_paths_take_one_value_per_line(folder: Path, sqlite_url: str) -> None:
    (folder / "more jobs").mkdir()
    (folder / "more jobs" / "b.yaml").write_text(GOOD.replace("jobs", "b").replace("id: a", "id: b"))
    inputs = {"paths": "jobs\nmore jobs/b.yaml\n", "target": "prod", "arguments": "--var\nx=1 2\n"}
    for name in ("jobs/jobs.yaml", "more jobs/b.yaml"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("defaults:", 'vars: {x: "1"}\ndefaults:'))
    assert run_action(folder, sqlite_url, command="apply", **inputs).code == 0
    assert (folder / "jobs" / "jobs.prod.lock.jsonl").exists()
    assert (folder / "more jobs" / "b.prod.lock.jsonl").exists()
    assert run_action(folder, command="validate", **inputs).code == 0


@pytest.mark.parametrize(
    "inputs",
    [
        {"command": "validate", "paths": "jobs; touch pwned"},
        {"command": "validate", "paths": "$(touch pwned)"},
        {"command": "validate", "paths": "--out=pwned"},
        {"command": "validate; touch pwned"},
        {"command": "../pwned"},
        {"command": "validate", "arguments": "`touch pwned`"},
        {"command": "plan", "target": "prod --lockfile pwned", "paths": "no-such"},
        {"command": "plan", "target": "$(touch pwned)", "paths": "no-such"},
        {"command": "validate", "sarif": "$(touch pwned)/x; touch pwned"},
    ],
)
def test_hostile_inputs_are_passed_as_arguments(folder: Path, inputs: dict[str, str]) -> None:
    assert run_action(folder, **inputs).code == 2
    assert not list(folder.rglob("pwned"))


def test_hostile_id_prints_no_workflow_command(folder: Path, sqlite_url: str) -> None:
    hostile = GOOD.replace("id: a", 'id: "::add-mask::a\\n::error::b"')
    (folder / "jobs" / "jobs.yaml").write_text(hostile)
    for command in ("plan", "apply"):
        done = run_action(folder, sqlite_url, command=command)
        assert done.code == 0
        lines = [line.strip() for line in done.log.splitlines()]
        assert not [line for line in lines if line.startswith(("::add-mask", "::error"))]


def test_comparison_of_lockfiles_ignores_modules_of_the_checkout(folder: Path, sqlite_url: str) -> None:
    (folder / "json.py").write_text("open('pwned', 'w')")
    assert run_action(folder, sqlite_url, command="apply").outputs["changes"] == "true"
    assert not list(folder.rglob("pwned"))


def run_gitlab(folder: Path, job: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a job without its installation."""
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


def test_gitlab_jobs_validate_plan_and_apply(folder: Path, sqlite_url: str) -> None:
    assert run_gitlab(folder, "dbos-manifest-validate").returncode == 0
    assert "<testsuites" in (folder / "validate.xml").read_text()
    offline = run_gitlab(folder, "dbos-manifest-plan")
    assert (offline.returncode, (folder / "plan.jsonl").exists()) == (0, False)
    planned = run_gitlab(folder, "dbos-manifest-plan", DBOS_SYSTEM_DATABASE_URL=sqlite_url)
    assert planned.returncode == 0
    applied = run_gitlab(folder, "dbos-manifest-apply", DBOS_SYSTEM_DATABASE_URL=sqlite_url)
    assert (applied.returncode, "Enqueued 1 of " in applied.stdout) == (0, True), applied.stderr
    for job in ("validate", "plan"):
        reports: dict[str, Any] = GITLAB[f"dbos-manifest-{job}"]["artifacts"]["reports"]
        assert (folder / reports["junit"]).exists()


def test_gitlab_apply_takes_the_target_from_the_saved_plan(folder: Path, sqlite_url: str) -> None:
    """Variables that the saved plan already contains do not make its apply a usage error."""
    more = {"DBOS_SYSTEM_DATABASE_URL": sqlite_url, "DBOS_MANIFEST_TARGET": "prod"}
    assert run_gitlab(folder, "dbos-manifest-plan", **more).returncode == 0
    locked = run_gitlab(folder, "dbos-manifest-apply", **more, DBOS_MANIFEST_LOCKED="1")
    assert locked.returncode == 2  # `--locked` only checks, so it is refused for a saved plan
    applied = run_gitlab(folder, "dbos-manifest-apply", **more)
    assert applied.returncode == 0, applied.stderr
    assert (folder / "jobs" / "jobs.prod.lock.jsonl").exists()


def test_documented_workflow_uses_existing_inputs_and_outputs() -> None:
    workflow = BLOCKS["# .github/workflows/dbos-manifest.yml"]
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    ours = [step for step in steps if "dbos-manifest" in step.get("uses", "")]
    assert [step["with"]["command"] for step in ours] == ["validate", "plan", "apply"]
    for step in ours:
        assert set(step["with"]) <= set(ACTION["inputs"])
    assert not [step for step in steps if "${{" in step.get("run", "")]
    assert set(re.findall(r"outputs\.([\w-]+)", json.dumps(workflow))) <= set(ACTION["outputs"])


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=folder, env=environment(folder), capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def origin(folder: Path) -> Path:
    """Create a bare repository whose `main` branch is checked out in the folder."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    bare = folder.parent / "group" / "jobs.git"
    bare.parent.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "commit", "-qm", "jobs")
    git(folder.parent, "clone", "-q", "--bare", str(folder), str(bare))
    git(folder, "remote", "add", "origin", str(bare))
    git(folder, "fetch", "-q")
    git(folder, "branch", "-q", "--set-upstream-to", "origin/main")
    return bare


def test_github_workflow_pushes_lockfiles(folder: Path, origin: Path, sqlite_url: str) -> None:
    assert run_action(folder, sqlite_url, command="apply").outputs["changes"] == "true"
    step = BLOCKS["# .github/workflows/dbos-manifest.yml"]["jobs"]["apply"]["steps"][-1]
    subprocess.run(
        [*SHELL, step["run"]], cwd=folder, env=environment(folder), capture_output=True, check=True
    )
    assert git(origin, "log", "-1", "--format=%s", "main") == "Lockfiles of the apply [skip ci]\n"
    assert git(origin, "show", "--name-only", "--format=", "main") == "jobs/jobs.lock.jsonl\n"


def test_gitlab_job_pushes_lockfiles(folder: Path, origin: Path, sqlite_url: str) -> None:
    git(folder, "checkout", "-q", "--detach")  # GitLab runners check out a detached commit
    (script,) = BLOCKS["dbos-manifest-apply:"]["dbos-manifest-apply"]["after_script"]
    more = {
        "PUSH_TOKEN": "t0ken",
        "CI_SERVER_HOST": "gitlab.example.com",
        "CI_PROJECT_PATH": "group/jobs",
        "CI_COMMIT_BRANCH": "main",
        # the bare repository takes the place of the host
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{origin.parent.parent}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://ci:t0ken@gitlab.example.com/",
    }
    for applied in (False, True):  # without a lockfile there is nothing to commit, and no error
        if applied:
            assert run_action(folder, sqlite_url, command="apply").code == 0
        done = subprocess.run(
            [*SHELL, script], cwd=folder, env=environment(folder, **more), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert ("jobs.lock.jsonl" in git(origin, "show", "--name-only", "main")) == applied
