"""Test output that fails: readers that leave, full disks, closed streams, narrow encodings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cli_harness import Cli
from waiting import PATIENCE_S

COUNT = 300
LONG = "x" * 200
MANIFEST = """\
version: 1
name: many
defaults: {queue: q, workflow: f}
workflows:
  - {id: "größe-${{ n }}-LONG", args: ["é"], matrix: {n: {range: {stop: 300}}}}
""".replace("LONG", LONG)
READERS = [
    ["validate", "many.yaml"], ["validate", "many.yaml", "-o", "json"], ["expand", "many.yaml"],
    ["expand", "many.yaml", "-o", "yaml"], ["expand", "many.yaml", "--count"], ["schema"], ["--help"],
    ["apply", "--help"], ["--version"], ["lock", "check", "many.yaml"],
]  # fmt: skip
DATABASE_READERS = [
    ["status", "many.yaml"], ["status", "many.yaml", "-o", "json"], ["status", "many.yaml", "-o", "html"],
    ["plan", "many.yaml", "-o", "jsonl"], ["explain", "many.yaml", f"größe-7-{LONG}"],
    ["lock", "verify", "many.yaml"], ["doctor"],
]  # fmt: skip
APPLIES = [
    (["-o", "text"], True), (["-o", "text"], False), (["-o", "jsonl", "--chunk-size", "10"], False),
    (["-o", "json"], False),
]  # fmt: skip


class Ended(NamedTuple):
    code: int
    err: str


@pytest.fixture
def many(tmp_path: Path) -> Path:
    (tmp_path / "many.yaml").write_text(MANIFEST)
    return tmp_path


def run_program(folder: Path, words: list[str], *, unbuffered: bool = False, **more: Any) -> Ended:
    """Run the program in a new process."""
    environment = {key: value for key, value in os.environ.items() if key != "GITHUB_ACTIONS"}
    if unbuffered:
        environment["PYTHONUNBUFFERED"] = "1"
    environment |= more.pop("env", {})
    done = subprocess.run(
        [sys.executable, "-m", "dbos_manifest", *words],
        cwd=folder,
        stderr=subprocess.PIPE,
        env=environment,
        check=False,
        **more,
    )
    return Ended(done.returncode, done.stderr.decode(errors="replace"))


def reader_that_left() -> int:
    """Open a pipe whose reading end is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def rows(run: Cli, url: str) -> int:
    return len(
        run("status", "many.yaml", "-o", "ids", "--only", "ENQUEUED", "--database-url", url).out.split()
    )


@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_commands_exit_0_when_the_reader_leaves(many: Path, words: list[str]) -> None:
    out = reader_that_left()
    done = run_program(many, words, unbuffered=len(words) % 2 == 0, stdout=out)
    os.close(out)
    expected = 1 if words[0] == "lock" else 0  # the manifest has no lockfile
    assert (done.code, "rror" in done.err) == (expected, False), done.err


@pytest.mark.parametrize("words", DATABASE_READERS, ids=lambda words: " ".join(words)[:20])
def test_database_commands_exit_0_when_the_reader_leaves(
    run: Cli, many: Path, sqlite_url: str, words: list[str]
) -> None:
    words = [*words, "--database-url", sqlite_url]
    assert run("apply", "many.yaml", "--database-url", sqlite_url).code == 0
    out = reader_that_left()
    done = run_program(many, words, stdout=out)
    os.close(out)
    assert (done.code, "rror" in done.err) == (0, False), done.err


@pytest.mark.parametrize("words", READERS[1::2], ids=" ".join)
def test_full_disk_is_an_error_of_commands_that_only_read(many: Path, words: list[str]) -> None:
    out = full_disk()
    done = run_program(many, words, stdout=out)
    os.close(out)
    assert done.code == (1 if words[0] == "lock" else 2)
    assert done.err.count("error: cannot write to standard output: No space left on device") == 1


def test_validate_exits_1_even_when_its_output_is_lost(many: Path) -> None:
    (many / "many.yaml").write_text(MANIFEST.replace("queue", "queu"))
    for open_output in (reader_that_left, full_disk):
        out = open_output()
        assert run_program(many, ["validate", "many.yaml"], stdout=out).code == 1
        os.close(out)


@pytest.mark.parametrize(("form", "unbuffered"), APPLIES)
@pytest.mark.parametrize(
    ("open_output", "message"),
    [
        (reader_that_left, "standard output was closed before"),
        (full_disk, "cannot write to standard output: No space left on device"),
    ],
)
def test_apply_enqueues_everything_and_exits_5_when_its_output_is_lost(
    run: Cli,
    many: Path,
    sqlite_url: str,
    open_output: Callable[[], int],
    message: str,
    form: list[str],
    unbuffered: bool,
) -> None:
    """Everything is enqueued and recorded in the lockfile."""
    words = ["apply", "many.yaml", *form, "--database-url", sqlite_url]
    out = open_output()
    done = run_program(many, words, unbuffered=unbuffered, stdout=out)
    os.close(out)
    assert (done.code, done.err.count(message)) == (5, 1), done.err
    assert f"this call enqueued {COUNT} workflows" in done.err
    assert rows(run, sqlite_url) == COUNT
    assert len((many / "many.lock.jsonl").read_text().splitlines()) == COUNT + 1
    out = open_output()
    again = run_program(many, words, unbuffered=unbuffered, stdout=out)
    os.close(out)
    assert again.code == (0 if open_output is reader_that_left else 2)  # the second apply enqueues nothing


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
def test_apply_writes_no_output_into_other_files_when_streams_are_closed(
    run: Cli, many: Path, sqlite_url: str, closed: tuple[int, ...]
) -> None:
    """A file that is opened later does not get the descriptor of a closed stream."""
    words = [sys.executable, "-m", "dbos_manifest", "apply", "many.yaml", "-o", "json=out.json"]
    shell = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    done = subprocess.run(
        ["sh", "-c", f'"$@" {shell}', "sh", *words, "--database-url", sqlite_url],
        cwd=many,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert rows(run, sqlite_url) == COUNT
    assert json.loads((many / "out.json").read_text())["manifests"][0]["enqueued"] == COUNT
    assert run("lock", "verify", "many.yaml", "--database-url", sqlite_url).code == 0


def test_apply_exits_0_when_only_standard_error_is_lost(run: Cli, many: Path, sqlite_url: str) -> None:
    for open_output in (reader_that_left, full_disk):
        out = open_output()
        done = subprocess.run(
            [sys.executable, "-m", "dbos_manifest", "apply", "many.yaml", "--database-url", sqlite_url],
            cwd=many,
            stdout=subprocess.DEVNULL,
            stderr=out,
            check=False,
        )
        os.close(out)
        assert done.returncode == 0
    assert rows(run, sqlite_url) == COUNT


@pytest.mark.parametrize(
    ("encoding", "commands"),
    [
        ("ascii", [*READERS[:5], *DATABASE_READERS]), ("latin-1", READERS[2:4]), ("cp1252", READERS[1:3]),
        ("ascii:strict", DATABASE_READERS[:2]), ("utf-8:strict", DATABASE_READERS[:1]),
    ],
    ids=["ascii", "latin-1", "cp1252", "ascii-strict", "utf-8-strict"],
)  # fmt: skip
def test_commands_succeed_when_the_terminal_encoding_is_narrow(
    many: Path, sqlite_url: str, encoding: str, commands: list[list[str]]
) -> None:
    env = {"PYTHONIOENCODING": encoding, "DBOS_SYSTEM_DATABASE_URL": sqlite_url}
    for words in [["apply", "many.yaml"], *commands]:
        done = run_program(many, words, stdout=subprocess.DEVNULL, env=env)
        assert done.code == 0, (words, done.err)


def test_paths_that_are_not_utf_8_are_accepted_by_every_command(
    run: Cli, many: Path, sqlite_url: str
) -> None:
    """Use a folder whose name is Latin-1 in every output format, on standard output and in files."""
    folder = many / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    name = f"{folder.name}/one.yaml"
    (many / name).write_text(MANIFEST.replace(f"stop: {COUNT}", "stop: 2"))
    (folder / "bad.yaml").write_text(MANIFEST.replace("queue", "queu"))
    database = ["--database-url", sqlite_url]
    for form in ("text", "json", "github", "sarif", "junit", "markdown"):
        words = ["validate", f"{folder.name}/bad.yaml", "-o", form, "-o", f"{form}=out.{form}"]
        with (many / f"stdout.{form}").open("wb") as out:
            assert run_program(many, words, stdout=out).code == 1
        assert (many / f"out.{form}").read_bytes() == (many / f"stdout.{form}").read_bytes()
        (many / f"out.{form}").read_text(encoding="utf-8")
    assert "caf%E9/bad.yaml" in (many / "out.sarif").read_text()
    for form in ("text", "json", "jsonl", "ids", "github", "sarif", "junit", "markdown"):
        words = ["plan", name, *database, "-o", form, "-o", f"{form}=out.{form}", "--out", "p.plan"]
        assert run_program(many, words, stdout=subprocess.DEVNULL).code == 0
    done = run_program(many, ["apply", "p.plan", *database, "-o", "json=out.json"], stdout=subprocess.DEVNULL)
    assert done.code == 0, done.err
    assert json.loads((many / "out.json").read_text())["manifests"][0]["lockfile"].startswith("caf\\udce9/")
    assert (folder / "one.lock.jsonl").exists()
    for command in (["lock", "check"], ["lock", "verify", *database], ["status", *database]):
        for form in ("text", "json"):
            done = run_program(many, [*command, name, "-o", form], stdout=subprocess.DEVNULL)
            assert done.code == 0, done.err


def test_apply_exits_5_when_its_terminal_is_closed(run: Cli, many: Path, sqlite_url: str) -> None:
    """Close the other end of a pseudo-terminal, so that every write fails with EIO."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dbos_manifest", "apply", "many.yaml", "--database-url", sqlite_url],
        cwd=many,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.close(ours)
    assert process.wait(PATIENCE_S) == 5
    assert rows(run, sqlite_url) == COUNT
