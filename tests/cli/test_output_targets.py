"""Test where output may be written: targets are checked before any work; inputs are never overwritten."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from cli_harness import Cli
from waiting import PATIENCE_S

MANIFEST = """\
version: 1
name: jobs
catalog: {f: {args: {$ref: contract.json}}}
vars: {x: 1}
workflows:
  - {id: "a-${{ n.n }}", workflow: f, queue: q, args: ["${{ n.n }}"], matrix: {n: {file: {path: n.csv}}}}
"""
INPUTS = {
    "jobs.yaml": MANIFEST,
    "contract.json": '{"type": "array"}',
    "n.csv": "n\n1\n2\n",
    "vars.yaml": "x: 2\n",
    "ids.txt": "a-1\na-2\n",
}
KEPT = [
    *INPUTS, "jobs.lock.jsonl", "jobs.lock.jsonl.journal", "dbos.sqlite", "dbos.sqlite-wal", "link.yaml",
    "hard.csv", "./jobs.yaml",
]  # fmt: skip
READING = ["--vars-file", "vars.yaml", "--ids-from", "ids.txt"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in INPUTS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "link.yaml").symlink_to("vars.yaml")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "n.csv")
    return tmp_path


def read_all(folder: Path) -> dict[str, Any]:
    """Return the content of all files by name; of SQLite files only that they exist."""
    return {
        path.name: path.read_bytes() if "sqlite" not in path.name else b"SQLite"
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


@pytest.mark.parametrize("locked", [False, True], ids=["new lockfile", "old lockfile"])
@pytest.mark.parametrize("name", KEPT)
def test_output_to_a_file_that_the_command_uses_is_refused(
    run: Cli, folder: Path, sqlite_url: str, name: str, locked: bool
) -> None:
    database = ["--database-url", sqlite_url]
    if locked:
        assert run("apply", "jobs.yaml", *database).code == 0
    before = read_all(folder)
    calls = [
        ["plan", "jobs.yaml", *READING, *database, "-o", f"json={name}"],
        ["plan", "jobs.yaml", *READING, *database, "--out", name],
        ["apply", "jobs.yaml", *READING, *database, "-o", f"jsonl={name}"],
    ]
    if "sqlite" not in name and "lock" not in name:
        calls.append(["validate", "jobs.yaml", *READING, "-o", f"json={name}"])
        calls.append(["validate", ".", *READING, "-o", f"sarif={name}"])
    for words in calls:
        done = run(*words)
        assert (done.code, done.out) == (2, ""), words
        assert "uses" in done.err and Path(name).name in done.err
        assert read_all(folder) == before, words


def test_output_to_the_saved_plan_or_its_lockfile_is_refused(run: Cli, folder: Path, sqlite_url: str) -> None:
    database = ["--database-url", sqlite_url]
    named = [*database, "--lockfile", "my.lock"]
    assert run("plan", "jobs.yaml", *named, "--out", "p.plan").code == 0
    for name in ("p.plan", "my.lock", "dbos.sqlite"):
        assert run("apply", "p.plan", *named, "-o", f"json={name}").code == 2
    assert run("apply", "p.plan", *named, "-o", "json=out.json").code == 0


@pytest.mark.parametrize("target", ["", ".", "folder", "folder/", "no-folder/x", "link-to-folder", "x/y"])
@pytest.mark.parametrize("command", ["validate", "plan", "apply", "save"])
def test_unwritable_output_is_refused_before_any_work(
    run: Cli, folder: Path, sqlite_url: str, target: str, command: str
) -> None:
    (folder / "folder").mkdir()
    (folder / "link-to-folder").symlink_to("folder")
    (folder / "x").write_text("")
    database = ["--database-url", sqlite_url]
    words = {
        "validate": ["validate", "jobs.yaml", "-o", f"json={target}"],
        "plan": ["plan", "jobs.yaml", *database, "-o", f"json={target}"],
        "apply": ["apply", "jobs.yaml", *database, "-o", f"json={target}"],
        "save": ["plan", "jobs.yaml", *database, "--out", target],
    }[command]
    before = read_all(folder)
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert read_all(folder) == before
    assert [*(folder / "folder").iterdir()] == []
    assert run("status", "jobs.yaml", *database, "-o", "json").json["counts"] == {"NOT_ENQUEUED": 2}


@pytest.mark.parametrize(
    ("second", "exists"),
    [
        ("out.json", False), ("./out.json", False), ("link", False), ("no/../out.json", False),
        ("out.json", True), ("link", True), ("hard", True),
    ],
)  # fmt: skip
def test_two_outputs_to_the_same_file_are_refused(
    run: Cli, folder: Path, sqlite_url: str, second: str, exists: bool
) -> None:
    (folder / "no").mkdir()
    if exists:
        (folder / "out.json").write_text("before")
        (folder / "hard").hardlink_to(folder / "out.json")
    (folder / "link").symlink_to("out.json")
    database = ["--database-url", sqlite_url]
    for words in (
        ["validate", "jobs.yaml", "-o", "json=out.json", "-o", f"sarif={second}"],
        ["plan", "jobs.yaml", *database, "-o", "json=out.json", "--out", second],
        ["apply", "jobs.yaml", *database, "-o", f"jsonl={second}", "-o", "json=out.json"],
    ):
        done = run(*words)
        assert (done.code, done.out) == (2, ""), words
        assert "two results" in done.err
    assert not exists or (folder / "out.json").read_text() == "before"


def test_devices_may_be_shared_and_are_not_replaced(run: Cli, folder: Path, sqlite_url: str) -> None:
    words = ["-o", "json=/dev/null", "-o", "sarif=/dev/null", "--database-url", sqlite_url]
    assert run("apply", "jobs.yaml", *words).code == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    done = run("validate", "jobs.yaml", "-o", "json=/dev/full")
    assert (done.code, "No space left on device" in done.err) == (2, True)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def read_fifo(path: Path) -> tuple[threading.Thread, list[str]]:
    """Create a FIFO and start a thread that reads it to the end."""
    os.mkfifo(path)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(path.read_text()))
    reader.start()
    return reader, got


def test_output_to_a_fifo_is_written(run: Cli, folder: Path, sqlite_url: str) -> None:
    reader, got = read_fifo(folder / "pipe")
    assert run("apply", "jobs.yaml", "--database-url", sqlite_url, "-o", "json=pipe").code == 0
    reader.join(PATIENCE_S)
    assert json.loads(got[0])["manifests"][0]["enqueued"] == 2
    assert (folder / "pipe").is_fifo()


def test_output_to_a_process_substitution_is_written(folder: Path) -> None:
    program = f"'{sys.executable}' -m dbos_manifest validate jobs.yaml"
    done = subprocess.run(
        ["bash", "-c", f"{program} -o json=>(cat >&2; echo end >&2) | cat; wait"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("ok: 1 file")
    assert '"format_version": 1' in done.stderr


@pytest.mark.parametrize("redirect", ["> out", "| cat > out"])
def test_output_to_dev_stdout_is_appended_to_standard_output(folder: Path, redirect: str) -> None:
    """If the file behind /dev/stdout were opened again, the JSON would overwrite the text."""
    program = f"'{sys.executable}' -m dbos_manifest validate jobs.yaml"
    subprocess.run(["bash", "-c", f"{program} -o json=/dev/stdout {redirect}"], cwd=folder, check=True)
    assert json.loads((folder / "out").read_text())["files"] == 1


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_output_keeps_the_mode_of_a_file_and_follows_links(
    run: Cli, folder: Path, sqlite_url: str, mode: int
) -> None:
    (folder / "shared").mkdir()
    (folder / "shared" / "report").write_text("before")
    (folder / "shared" / "report").chmod(mode)
    (folder / "report").symlink_to("shared/report")
    (folder / "new").symlink_to("shared/new")
    assert run("validate", "jobs.yaml", "-o", "json=report", "-o", "sarif=new").code == 0
    assert (folder / "report").is_symlink() and (folder / "new").is_symlink()
    assert json.loads((folder / "shared" / "report").read_text())["files"] == 1
    assert stat.S_IMODE((folder / "shared" / "report").stat().st_mode) == mode
    assert run("plan", "jobs.yaml", "--database-url", sqlite_url, "--out", "report").code == 0
    assert stat.S_IMODE((folder / "shared" / "report").stat().st_mode) == mode
    assert sorted(path.name for path in (folder / "shared").iterdir()) == ["new", "report"]


def test_new_saved_plan_is_readable_by_its_owner_only(run: Cli, folder: Path, sqlite_url: str) -> None:
    before = os.umask(0)
    try:
        words = ["--out", "p.plan", "-o", "json=p.json", "--database-url", sqlite_url]
        assert run("plan", "jobs.yaml", *words).code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "p.plan").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "p.json").stat().st_mode) == 0o666


def test_saved_plan_is_not_written_to_a_file_of_another_user(
    run: Cli, folder: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "p.plan").touch(mode=0o666)
    monkeypatch.setattr(os, "geteuid", lambda: (folder / "p.plan").stat().st_uid + 1)
    done = run("plan", "jobs.yaml", "--out", "p.plan", "--database-url", sqlite_url)
    assert (done.code, (folder / "p.plan").read_text()) == (2, "")
    assert "cannot write p.plan: another user owns it" in done.err


@pytest.mark.parametrize("kind", ["link", "hard link", "folder"])
def test_temporary_file_that_another_user_placed_is_never_written(run: Cli, folder: Path, kind: str) -> None:
    victim, planted = folder / "victim", folder / f".out.json.{os.getpid()}.tmp"
    victim.write_text("precious")
    {"link": planted.symlink_to, "hard link": planted.hardlink_to, "folder": lambda _: planted.mkdir()}[kind](
        victim
    )
    done = run("validate", "jobs.yaml", "-o", "json=out.json")
    assert victim.read_text() == "precious"
    if kind == "folder":
        assert done.code == 2
        assert f"the temporary file {planted} is in the way" in done.err
    else:
        assert json.loads((folder / "out.json").read_text())["files"] == 1


def test_failed_command_does_not_change_its_output_file(run: Cli, folder: Path) -> None:
    (folder / "out.json").write_text("before")
    (folder / "jobs.yaml").write_text(MANIFEST.replace("queue", "queu"))
    done = run("plan", "jobs.yaml", "--against", "lock", "-o", "json=out.json")
    assert done.code == 1
    assert (folder / "out.json").read_text() == "before"
    assert not [*folder.glob(".out.json*")]


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write anything")
def test_output_in_a_read_only_folder_is_written_in_place(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir()
    (closed / "out.json").write_text("before" * 1000)
    (closed / "out.json").chmod(0o666)
    closed.chmod(0o555)
    words = [sys.executable, "-m", "dbos_manifest", "validate", "jobs.yaml", "-o", "json=closed/out.json"]
    if os.geteuid() == 0:  # drop the capabilities of root
        words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", *words]
    done = subprocess.run(words, cwd=folder, check=False)
    closed.chmod(0o755)
    assert done.returncode == 0
    assert json.loads((closed / "out.json").read_text())["files"] == 1
    assert [path.name for path in closed.iterdir()] == ["out.json"]
