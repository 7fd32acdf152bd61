"""Test paths with control characters: no command prints them to a terminal or to GitHub's runner."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cli_harness import Cli

NAME = "esc\x1b[31m\n::error::pwn\r\u202e"
MANIFEST = """\
version: 1
name: jobs
workflows:
  - {id: a, workflow: f, queue: q}
"""
COMMANDS = [
    ("validate", "PATH"), ("validate", "PATH", "-o", "markdown"), ("validate", "PATH", "-o", "junit"),
    ("validate", "PATH", "-o", "github"), ("validate", "PATH", "-o", "sarif"), ("plan", "PATH"),
    ("plan", "PATH", "-o", "markdown"), ("plan", "PATH", "-o", "json"), ("apply", "PATH"),
    ("apply", "PATH", "-o", "markdown"), ("status", "PATH"), ("explain", "a", "PATH"),
    ("explain", "b", "PATH"),
    ("expand", "PATH", "--count"), ("lock", "check", "PATH"), ("lock", "verify", "PATH"),
    ("lock", "rebuild", "PATH"), ("lock", "format", "PATH"), ("lock", "prune", "PATH"),
    ("lock", "rebind", "PATH"), ("init", "FOLDER"), ("init", "FOLDER"), ("validate", "FOLDER/none"),
    ("validate", "FOLDER/empty"), ("validate", "PATH", "--vars-file", "FOLDER/none"),
    ("validate", "PATH", "--vars-file", "FOLDER"), ("plan", "PATH", "--lockfile", "FOLDER"),
    ("validate", "PATH", "FOLDER/broken.yaml"), ("validate", "PATH", "FOLDER/vars.yaml"),
    ("validate", "PATH", "--vars-file", "FOLDER/vars.yaml"), ("validate", "--FOLDER"),
    ("validate", "PATH", "--ids-from", "FOLDER/none"), ("plan", "PATH", "--out", "FOLDER/no/plan.jsonl"),
    ("validate", "PATH", "-o", "json=FOLDER/no/x"), ("validate", "PATH", "-o", "FOLDER"),
]  # fmt: skip
NEEDS_DATABASE = {"plan", "apply", "status", "explain"}


def test_no_command_prints_control_characters_of_a_path(run: Cli, tmp_path: Path, sqlite_url: str) -> None:
    folder = tmp_path / NAME
    (folder / "empty").mkdir(parents=True)
    (folder / "jobs.yaml").write_text(MANIFEST)
    (folder / "vars.yaml").write_text("unknown: 1\n")
    (folder / "broken.yaml").write_text(MANIFEST.replace("queue", "queeu"))
    for words in COMMANDS:
        given = [word.replace("PATH", f"{NAME}/jobs.yaml").replace("FOLDER", NAME) for word in words]
        if words[0] in NEEDS_DATABASE or words[:2] in (
            ("lock", "verify"), ("lock", "rebuild"), ("lock", "rebind"),
        ):  # fmt: skip
            given += ["--database-url", sqlite_url]
        done = run(*given)
        assert done.code in (0, 1, 2, 6, 7), (words, done)
        for stream in (done.out, done.err):
            assert not {"\x1b", "\r", "\u202e"} & set(stream), (words, stream)
            assert not any(line.startswith("::error::pwn") for line in stream.split("\n")), (words, stream)


def git(*words: str, cwd: Path) -> None:
    subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("folder", "words", "workspace", "expected"),
    [
        (".", "sub/jobs/a b.yaml", None, "sub/jobs/a b.yaml"),
        ("sub", "jobs/a b.yaml", None, "sub/jobs/a b.yaml"),
        ("other", "../sub/jobs/a b.yaml", None, "sub/jobs/a b.yaml"),
        ("other", "ROOT/sub/jobs/a b.yaml", None, "sub/jobs/a b.yaml"),
        ("link", "jobs/a b.yaml", None, "sub/jobs/a b.yaml"),
        ("sub", "jobs/a b.yaml", "ROOT/sub", "jobs/a b.yaml"),
        ("sub", "jobs/a b.yaml", "ROOT", "sub/jobs/a b.yaml"),
        ("sub", "jobs/a b.yaml", "/elsewhere", "sub/jobs/a b.yaml"),
        ("sub", "OUTSIDE/a b.yaml", None, "OUTSIDE/a b.yaml"),
    ],
)
def test_annotations_and_sarif_paths_are_relative_to_the_repository(
    run: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
    words: str,
    workspace: str | None,
    expected: str,
) -> None:
    root, outside = tmp_path / "repository", tmp_path / "outside"
    (root / "sub" / "jobs").mkdir(parents=True)
    (root / "other").mkdir()
    (root / "link").symlink_to("sub")
    outside.mkdir()
    git("init", "-q", cwd=root)
    bad = root / "sub" / "jobs" / "a b.yaml"
    bad.write_text(MANIFEST.replace("queue", "queeu"))
    shutil.copy(bad, outside)

    def fill(text: str) -> str:
        return text.replace("ROOT", str(root)).replace("OUTSIDE", str(outside))

    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    if workspace is not None:
        monkeypatch.setenv("GITHUB_WORKSPACE", fill(workspace))
    monkeypatch.chdir(root / folder)
    assert f"::error file={fill(expected)},line=4," in run("validate", fill(words), "-o", "github").out
    results = run("validate", fill(words), "-o", "sarif").json["runs"][0]["results"]
    uri = fill(expected).replace(" ", "%20")
    uris = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results}
    assert uris == {f"file://{uri}" if uri.startswith("/") else uri}


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"a": NaN}', b"a: [", b"{}"])
def test_every_sarif_result_has_a_region(run: Cli, tmp_path: Path, content: bytes) -> None:
    for name in ("x.yaml", "x.json"):
        (tmp_path / name).write_bytes(content)
        results = run("validate", name, "-o", "sarif").json["runs"][0]["results"]
        assert results
        assert all(one["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1 for one in results)


def cells(text: str) -> int:
    from rich.cells import cell_len

    return sum(0 if 0x1160 <= ord(character) <= 0x11FF else cell_len(character) for character in text)


@pytest.mark.parametrize(
    "text",
    ["plain", "東京", "🚀🚀", "e◌́é", "ｆｕｌｌ", "한국", "a\tb", "\x1b[31m", "\u202e", "ไทย", "\u0301"],
)
def test_caret_is_below_the_value(run: Cli, tmp_path: Path, text: str) -> None:
    entry = json.dumps(
        {"id": text, "workflow": "f", "queue": "q", "priority": f"{text}!"}, ensure_ascii=text[0] == "\x1b"
    )
    (tmp_path / "jobs.yaml").write_text(MANIFEST.replace("{id: a, workflow: f, queue: q}", entry))
    lines = run("validate", "jobs.yaml").out.splitlines()
    at = next(number for number, line in enumerate(lines) if "^" in line)
    source, mark = lines[at - 1], lines[at]
    start = cells(mark[: mark.index("^")])
    end = start + mark.count("^")
    assert cells(source[: source.index('"priority": ') + len('"priority": ')]) == start
    assert cells(source[: source.rindex("}")]) == end
