"""Test the files that `init` writes."""

from __future__ import annotations

from pathlib import Path

import yaml
from cli_harness import Cli


def test_init_writes_valid_files(run: Cli) -> None:
    done = run("init", "new", "--github", "--gitlab")
    assert done.code == 0
    assert run("validate", "new/jobs").out == "ok: 1 file, 1 manifest with 3 workflows\n"
    names = sorted(str(path.relative_to("new")) for path in Path("new").rglob("*") if path.is_file())
    assert names == [
        ".gitattributes", ".github/workflows/dbos-manifest.yml", ".gitlab-ci.yml",
        ".pre-commit-config.yaml", "jobs/example.yaml", "jobs/manifest.v1.schema.json",
    ]  # fmt: skip
    for name in names:
        if name.endswith((".yml", ".yaml")):
            assert yaml.safe_load((Path("new") / name).read_text())


def test_init_overwrites_nothing(run: Cli) -> None:
    Path(".gitattributes").write_text("mine\n")
    done = run("init")
    assert (done.code, Path(".gitattributes").read_text()) == (0, "mine\n")
    assert ".gitattributes already exists; left unchanged" in done.err
    again = run("init")
    assert (again.code, "all files already exist" in again.err) == (2, True)
    Path("file").touch()
    assert run("init", "file").code == 2
