"""Test that any hostile manifest ends with a diagnostic, within a bounded time and memory."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from cli_harness import Cli
from hostile_shapes import HEAD, MAX_BYTES, SHAPES, Files, random_shape, range_of

import dbos_manifest

MAX_CPU_S = 20
MAX_BYTES_OF_MEMORY = 2_000_000_000
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
LIMIT, MANY = ("1000000", 500) if THOROUGH else ("100000", 20)  # a tenth of the work


class Run(NamedTuple):
    """What one validation took, with its child processes."""

    exit_code: int
    cpu_s: float
    peak_mb: int
    codes: set[str]


def limit_resources() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES_OF_MEMORY, MAX_BYTES_OF_MEMORY))


def validate(folder: Path, files: Files) -> Run:
    """Validate files within the limits."""
    assert sum(map(len, files.values())) <= MAX_BYTES
    for name, text in files.items():
        (folder / name).write_text(text)
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "dbos_manifest",
                "validate",
                "-o",
                "json",
                "--max-workflows",
                LIMIT,
                *sorted(map(str, folder.glob("*.[yj]*"))),
            ],
            stdout=out,
            stderr=err,
            cwd=folder,
            preexec_fn=limit_resources,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    error = (folder / "err").read_text(errors="replace")
    assert process.returncode in (0, 1), f"{process.returncode} after {used.ru_utime:.1f} s: {error[-500:]}"
    found = json.loads((folder / "out").read_text())["diagnostics"]
    peak = used.ru_maxrss // (1024 if sys.platform == "linux" else 2**20)
    return Run(process.returncode, used.ru_utime + used.ru_stime, peak, {one["code"] for one in found})


@pytest.mark.parametrize("name", SHAPES)
def test_hostile_shape_ends_within_limits(tmp_path: Path, name: str) -> None:
    validate(tmp_path, SHAPES[name]())


def test_random_hostile_manifests_end_within_limits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Print the largest memory and time; `make faults` runs 500 with the whole budget."""
    runs = []
    for seed in range(MANY):
        folder = tmp_path / str(seed)
        folder.mkdir()
        runs.append(validate(folder, random_shape(seed)))
        shutil.rmtree(folder)
    with capsys.disabled():
        cpu, peak = max(run.cpu_s for run in runs), max(run.peak_mb for run in runs)
        print(f"\n{MANY} random hostile manifests: at most {cpu:.1f} s of CPU time and {peak} MB")


def write_range(path: Path, stop: int, limit: int | None = None) -> None:
    """Write a manifest of `stop` workflows, named after its file."""
    limits = {} if limit is None else {"limits": {"max_workflows": limit}}
    entry = {"id": path.stem + "-${{ i }}", "matrix": {"i": range_of(stop)}}
    path.write_text(json.dumps({**HEAD, "name": path.stem, **limits, "workflows": [entry]}))


def diagnostics(run: Cli, *arguments: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = run("validate", "-o", "json", *arguments).json["diagnostics"]
    return found


def test_a_manifest_cannot_raise_the_limit_of_the_command_line(run: Cli, tmp_path: Path) -> None:
    write_range(tmp_path / "m.yaml", 11, limit=10**9)
    (found,) = diagnostics(run, "m.yaml", "--max-workflows", "10")
    assert found["code"] == "too-many-workflows"
    assert "--max-workflows 11" in found["help"]
    assert diagnostics(run, "m.yaml", "--max-workflows", "11") == []
    write_range(tmp_path / "m.yaml", 1_000_001, limit=10**9)
    (found,) = diagnostics(run, "m.yaml")
    assert "--max-workflows 1000001" in found["help"]
    write_range(tmp_path / "m.yaml", 11, limit=10)
    (found,) = diagnostics(run, "m.yaml", "--max-workflows", "100")
    assert "max_workflows: 11" in found["help"]


def test_the_limit_is_that_of_all_manifests_together(run: Cli, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_range(tmp_path / f"{name}.yaml", 6)
    (found,) = diagnostics(run, ".", "--max-workflows", "11")
    assert (found["code"], found["file"]) == ("too-many-workflows", "b.yaml")
    assert "--max-workflows 12" in found["help"]
    assert diagnostics(run, ".", "--max-workflows", "12") == []


@pytest.mark.parametrize("command", ["plan", "apply", "expand", "status", "lock prune"])
def test_every_command_has_the_limit(run: Cli, tmp_path: Path, command: str) -> None:
    write_range(tmp_path / "m.yaml", 11)
    done = run(*command.split(), "m.yaml", "--max-workflows", "10")
    assert done.code == 1
    assert "--max-workflows 11" in done.err


def test_the_library_has_the_limit(tmp_path: Path) -> None:
    write_range(tmp_path / "m.yaml", 11)
    (found,) = dbos_manifest.validate(tmp_path / "m.yaml", max_workflows=10)
    assert found.code == "too-many-workflows"
    assert len(list(dbos_manifest.load(tmp_path / "m.yaml", max_workflows=11).workflow_ids)) == 11
    with pytest.raises(dbos_manifest.InvalidManifest):
        dbos_manifest.load(tmp_path / "m.yaml", max_workflows=10)


def test_exhausted_work_is_reported_once_and_never_passes(run: Cli, tmp_path: Path) -> None:
    large = SHAPES["ids that occur twice with large arguments"]()["jobs.yaml"]
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(large.replace('"name": "h"', f'"name": "{name}"'))
    write_range(tmp_path / "z.yaml", 3)
    found = diagnostics(run, ".")
    assert [one["code"] for one in found] == ["too-large"]
    assert "--max-workflows 2000000" in found[0]["help"]
