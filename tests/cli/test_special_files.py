"""Test links, pipes and devices as inputs: they are refused, except what the shell has opened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_harness import Cli

MANIFEST = "version: 1\nname: jobs\nworkflows: [{id: a, workflow: f, queue: q}]\n"
FILES = {
    "jobs.yaml": MANIFEST,
    "vars.yaml": "secret: 1\n",
    "ids.txt": "a\n",
}
# kind of input: the file in the folder `jobs`, and a command that reads it
INPUTS = {
    "manifest": ("jobs.yaml", "validate jobs/jobs.yaml"),
    "manifest to apply": ("jobs.yaml", "apply jobs/jobs.yaml"),
    "manifest of a folder": ("jobs.yaml", "validate jobs"),
    "variables": ("vars.yaml", "expand jobs/jobs.yaml --vars-file jobs/vars.yaml"),
    "IDs": ("ids.txt", "expand jobs/jobs.yaml --ids-from jobs/ids.txt"),
    "plan": ("plan.jsonl", "apply jobs/plan.jsonl"),
    "lockfile": ("jobs.lock.jsonl", "plan jobs/jobs.yaml"),
    "lockfile to write": ("jobs.lock.jsonl", "apply jobs/jobs.yaml"),
    "journal": ("jobs.lock.jsonl.journal", "plan jobs/jobs.yaml"),
}


def link_to(target: str) -> Callable[[Path, Path], None]:
    return lambda path, outside: path.symlink_to(target)


SPECIAL: dict[str, Callable[[Path, Path], None]] = {
    "pipe": lambda path, outside: os.mkfifo(path),
    "link to a device": link_to("/dev/zero"),
    "link to standard input": link_to("/dev/stdin"),
    "loop": lambda path, outside: path.symlink_to(path.name),
    "relative link out of the folder": lambda path, outside: path.symlink_to(f"../outside/{path.name}"),
    "absolute link out of the folder": lambda path, outside: path.symlink_to(outside / path.name),
}


@pytest.fixture
def folder(run: Cli, tmp_path: Path, sqlite_url: str) -> Path:
    """Return the folder `jobs` with every kind of input, next to a folder `outside` with the same files."""
    folder = tmp_path / "jobs"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    database = ["--database-url", sqlite_url]
    assert run("plan", "jobs/jobs.yaml", *database, "--out", "jobs/plan.jsonl").code == 0
    assert run("apply", "jobs/jobs.yaml", *database).code == 0
    (folder / "jobs.lock.jsonl.journal").touch()
    shutil.copytree(folder, tmp_path / "outside")
    return folder


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("kind", INPUTS)
def test_input_that_is_no_file_of_its_tree_is_refused(
    run: Cli, folder: Path, sqlite_url: str, kind: str, special: str
) -> None:
    name, command = INPUTS[kind]
    (folder / name).unlink()
    SPECIAL[special](folder / name, folder.parent / "outside")
    database = [] if command.startswith(("validate", "expand")) else ["--database-url", sqlite_url]
    done = run(*command.split(), *database)
    assert done.code in (2, 6), done
    assert f"jobs/{name}" in done.err
    assert "unexpected" not in done.err
    assert (folder.parent / "outside" / "jobs.lock.jsonl").read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("words", ["jobs", "jobs/sub", "jobs/sub/jobs.yaml"])
def test_link_to_a_folder_out_of_the_repository_is_refused(run: Cli, folder: Path, words: str) -> None:
    """Also where the link is above the folder or file that is named."""
    (folder.parent / "jobs" / ".git").mkdir()
    (folder / "sub").symlink_to("../outside")
    done = run("validate", words)
    assert done.code == 2
    assert "`sub` is a link to" in done.err


@pytest.mark.parametrize("words", ["jobs", "jobs/sub/linked.yaml", "link", "link/sub/linked.yaml"])
@pytest.mark.parametrize("repository", [True, False])
def test_link_within_the_tree_is_followed(run: Cli, folder: Path, words: str, repository: bool) -> None:
    (folder.parent / "link").symlink_to("jobs")
    (folder / "sub").mkdir()
    if repository:
        (folder.parent / ".git").mkdir()
        (folder / "sub" / "linked.yaml").symlink_to("../jobs.yaml")
    else:
        (folder / "sub" / "..data").mkdir()  # as Kubernetes mounts files
        (folder / "sub" / "..data" / "real").write_text(MANIFEST)
        (folder / "sub" / "linked.yaml").symlink_to("..data/real")
        (folder / "jobs.yaml").unlink()
    done = run("validate", words)
    assert (done.code, "1 manifest with 1 workflow" in done.out) == (0, True), done


OPENED_BY_THE_SHELL = (
    "validate <(cat jobs/jobs.yaml)",
    "validate /dev/stdin < jobs/jobs.yaml",
    "validate - < jobs/jobs.yaml",
    "validate /dev/fd/3 3< jobs/jobs.yaml",
    "validate jobs/jobs.yaml --vars-file <(echo 'x: 1')",
    "expand jobs/jobs.yaml --ids-from <(echo a)",
    "apply /dev/fd/3 3< jobs/plan.jsonl",
)


@pytest.mark.parametrize("command", OPENED_BY_THE_SHELL)
def test_input_that_the_shell_has_opened_is_read(folder: Path, sqlite_url: str, command: str) -> None:
    words = f"{sys.executable} -m dbos_manifest {command}"
    if command.startswith("apply"):
        words = words.replace("apply", f"apply --database-url {sqlite_url}")
    subprocess.run(["bash", "-c", words], cwd=folder.parent, check=True, stdout=subprocess.DEVNULL)
