"""Test what the action and the pipelines install and import: pinned packages, and nothing of the checkout."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
GITLAB = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text(encoding="utf-8"))
PIPELINES = [
    ROOT / "action.yml",
    *sorted((ROOT / "ci").glob("*.*")),
    *sorted((ROOT / "dbos_manifest" / "templates").glob("*.yml")),
    *sorted((ROOT / "dbos_manifest" / "templates").glob("*.yaml")),
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
]
SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
MODULES = (
    "pip", "venv", "ensurepip", "sitecustomize", "usercustomize", "hatchling", "packaging", "json", "yaml",
    "click", "orjson", "psycopg", "sqlalchemy",
)  # fmt: skip
MANIFEST = "version: 1\nname: j\nworkflows: [{id: a, workflow: f, queue: q}]\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Create a checkout with modules that leave a file named `ran-…` when they are imported."""
    folder = tmp_path / "checkout"
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs" / "j.yaml").write_text(MANIFEST)
    for name in MODULES:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / f'ran-{name}')!r}, 'w')\n")
    for name in ("dbos_manifest", "rich"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"open({str(tmp_path / f'ran-{name}')!r}, 'w')\n")
    return folder


def imported(checkout: Path) -> list[str]:
    return sorted(path.name for path in checkout.parent.glob("ran-*"))


def run_shell(script: str, checkout: Path, programs: list[str], **more: str) -> str:
    """Run a step in the checkout, which PYTHONPATH names too."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DBOS_", "GITHUB_", "PYTHON"))
    }
    path = os.pathsep.join([*programs, kept["PATH"]])
    done = subprocess.run(
        [*SHELL, script],
        cwd=checkout,
        env={**kept, "PATH": path, "PYTHONPATH": str(checkout), **more},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_environment(folder: Path) -> str:
    """Create an empty virtual environment, and return the folder of its programs."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return str(folder / "bin")


def test_modules_of_the_checkout_would_run_without_isolation(checkout: Path) -> None:
    """Otherwise the tests below could not fail."""
    run_shell("python -c 'import pip, dbos_manifest'", checkout, [str(Path(sys.executable).parent)])
    assert {"ran-pip", "ran-dbos_manifest", "ran-sitecustomize"} <= set(imported(checkout))


def test_action_imports_nothing_of_the_checkout(checkout: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    more = {name: str(file) for name, file in files.items()}
    more |= {"GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(tmp_path / "temp")}
    (tmp_path / "temp").mkdir()
    python = make_environment(tmp_path / "python")
    *_, install, step = ACTION["runs"]["steps"]
    run_shell(install["run"], checkout, [python], **more)
    programs = [*files["GITHUB_PATH"].read_text().splitlines(), python]
    inputs = {"PATHS": "jobs", "TARGET": "", "ARGUMENTS": "", "SARIF": ""}
    for command in ("validate", "plan"):
        run_shell(step["run"], checkout, programs, **more, **inputs, COMMAND=command)
    assert "changes=true" in files["GITHUB_OUTPUT"].read_text()
    assert run_shell("dbos-manifest expand jobs -o ids", checkout, programs) == "a\n"
    assert imported(checkout) == []


def test_gitlab_jobs_import_nothing_of_the_checkout(checkout: Path, tmp_path: Path) -> None:
    """The packages are installed by hash, as docs/guides/gitops.md describes."""
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    requirements = tmp_path / "requirements.txt"
    pinned = (ROOT / "ci" / "requirements.txt").read_text(encoding="utf-8")
    requirements.write_text(f"{pinned}dbos-manifest @ {wheel.as_uri()} --hash=sha256:{digest}\n")
    python = make_environment(tmp_path / "python")
    for job in ("dbos-manifest-validate", "dbos-manifest-plan"):
        script = "\n".join([*GITLAB[".dbos-manifest"]["before_script"], *GITLAB[job]["script"]])
        more = {"DBOS_MANIFEST_REQUIREMENTS": str(requirements), "DBOS_MANIFEST_PATHS": "jobs"}
        run_shell(script, checkout, [python], **more)
    assert "<testsuites" in (checkout / "plan.xml").read_text()
    assert imported(checkout) == []


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    uses = re.findall(r"\buses: *(\S+)(.*)", path.read_text(encoding="utf-8"))
    assert [name for name, note in uses if not (re.search(r"@[0-9a-f]{40}$", name) and "# v" in note)] == []


def test_there_are_pinned_actions() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in PIPELINES)
    assert len(re.findall(r"\buses: ", text)) > 10
    assert len(re.findall(r"-m pip|\{pip\[@\]\}", text)) > 4


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_python_is_isolated_and_packages_have_hashes(path: Path) -> None:
    text = re.sub(r"\\?\n +(?=--)", " ", path.read_text(encoding="utf-8"))  # join continued lines
    commands = [
        line for line in re.sub(r"`[^`\n]*`", "", text).splitlines() if not line.lstrip().startswith("#")
    ]
    python = [line for line in commands if re.search(r"\bpython3?\"? -(?!I )", line)]
    assert python == []
    installs = [line for line in commands if re.search(r"\bpip\b.* install ", line)]
    assert [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line] == []


def read_versions(lines: list[str]) -> dict[str, str]:
    """Return the version of each package that applies to this Python and platform."""
    found = {}
    for one in map(Requirement, lines):
        (part,) = one.specifier
        assert part.operator == "=="
        if one.marker is None or one.marker.evaluate():
            found[canonicalize_name(one.name)] = part.version
    return found


def dependencies() -> Iterator[Requirement]:
    """Return what pyproject.toml needs to run and to build, with the needs of these packages."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (build,) = re.findall(r'^requires = \["([^"]+)"\]$', project, re.MULTILINE)
    direct = [*map(Requirement, requires("dbos-manifest") or ())]
    todo = [Requirement(build), *(one for one in direct if "extra" not in str(one.marker))]
    seen = set()
    while todo:
        one = todo.pop()
        yield one
        if str(one) in seen:
            continue
        seen.add(str(one))
        try:
            needs = [Requirement(text) for text in requires(one.name) or ()]
        except PackageNotFoundError:  # only installed where the package is built
            continue
        extras = [{"extra": extra} for extra in ("", *one.extras)]
        todo += [need for need in needs if need.marker is None or any(map(need.marker.evaluate, extras))]


def test_every_dependency_has_hashes_and_the_version_that_is_tested() -> None:
    text = (ROOT / "ci" / "requirements.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split("--hash=") for line in text.splitlines() if not line.startswith("#")]
    for requirement, *hashes in lines:
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64} *", one) for one in hashes)
    versions = read_versions([requirement for requirement, *_ in lines])
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = read_versions([line for line in constraints if line and not line.startswith("#")])
    for need in dependencies():
        name = canonicalize_name(need.name)
        assert need.specifier.contains(versions[name]), need
        assert tested.get(name, versions[name]) == versions[name]
