"""Run the commands that a documentation page shows, and compare their output with the page.

A page is a script. A fenced block with a title, such as ```yaml title="jobs/a.yaml", is a file to write. A
```console block holds commands (`$ …`) with their output: they are run and compared. A ```sh block is
neither. `UPDATE_GOLDEN=1` writes the real output into the page.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbos_manifest.cli.error_boundary import run_guarded
from dbos_manifest.cli.main import cli

ROOT = Path(__file__).parent.parent
FENCE = re.compile(
    r"^```(\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
COMMAND = re.compile(r"^\$ (?:.*\\\n)*.*\n", re.MULTILINE)
SHELL_OPERATORS = set("|<>&;()")
# a terminal overwrites these lines
PROGRESS = re.compile(r"^(?:enqueued: |[\d,]+ (?:done|failed|running|waiting)\b).*\n", re.MULTILINE)
VARYING = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "HASH"),
    (re.compile(r'"digest":"[\w-]+"'), "DIGEST"),
    (re.compile(r'"database":"[^"]+"'), "DATABASE"),
    (re.compile(r"\bSQLite \d+(\.\d+)+"), "SQLITE"),
    (re.compile(r"\b\d+ ms (behind|ahead of)"), "SKEW"),
    (re.compile(r"\bin \d+(\.\d+)? m?s\b"), "DURATION"),
    (re.compile(r"  \d+(\.\d+)? m?s(?=  lockfile )"), "  DURATION"),
    (re.compile(r"\b(queued|ran) \d+(\.\d+)? m?s"), "DURATION"),
]


class PageRun:
    """Run one page from top to bottom in the current folder."""

    def __init__(self, page: Path, background: str | None, capsys: pytest.CaptureFixture[str]) -> None:
        self.text = page.read_text(encoding="utf-8")
        self._page = page
        self._background = background
        self._capsys = capsys
        self._exit_code = 0
        self._started: list[subprocess.Popen[str]] = []

    def check(self) -> None:
        """Write the page's files, run its commands, and compare or update what the page shows."""
        try:
            real = FENCE.sub(self._run_block, self.text)
        finally:
            for process in self._started:
                process.kill()
                process.communicate()
        if os.environ.get("UPDATE_GOLDEN"):
            self._page.write_text(real, encoding="utf-8")
        else:
            assert without_varying(real) == without_varying(self.text)

    def _run_block(self, block: re.Match[str]) -> str:
        kind, title, body = block[1], block["title"], block["body"]
        if title:
            path = Path(title)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body, encoding="utf-8")
        if kind != "console":
            return block[0]
        return f"```console\n{''.join(self._run_commands(body))}```"

    def _run_commands(self, body: str) -> Iterator[str]:
        commands = list(COMMAND.finditer(body))
        ends = [*(command.start() for command in commands[1:]), len(body)]
        for command, end in zip(commands, ends, strict=True):
            shown = body[command.end() : end]
            real = self._output(command[0].removeprefix("$ ").rstrip(), shown).rstrip("\n") + "\n"
            if end < len(body) and (shown.endswith("\n\n") or shown == "\n"):
                real += "\n"  # the page keeps its blank line between two commands
            yield command[0]
            yield keep_equal(shown, real.removeprefix("\n"))

    def _output(self, line: str, shown: str) -> str:
        words = shlex.split(line, comments=True)
        if line == self._background:
            return self._start(words, lines=shown.count("\n"))
        if words == ["echo", "$?"]:
            return f"{self._exit_code}\n"
        if words[0] == "export":
            os.environ.update(word.split("=", 1) for word in words[1:])
            return ""
        if words[0] == "dbos-manifest" and not needs_shell(line):
            self._capsys.readouterr()
            self._exit_code = run_guarded(cli, words[1:])
            done = self._capsys.readouterr()
            return done.out + PROGRESS.sub("", done.err)
        ran = subprocess.run(line, shell=True, capture_output=True, text=True)
        self._exit_code = ran.returncode
        return ran.stdout + ran.stderr

    def _start(self, words: list[str], lines: int) -> str:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._started.append(process)
        assert process.stdout is not None
        return "".join(process.stdout.readline() for _ in range(max(lines, 1)))


@contextmanager
def orders_worker(url: str, log: Path) -> Iterator[None]:
    """Run the worker of the example application during the block."""
    environment = {**os.environ, "DBOS_SYSTEM_DATABASE_URL": url}
    with log.open("w") as stderr:
        words = [sys.executable, str(ROOT / "examples" / "orders" / "app.py"), "etl"]
        process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().endswith("is ready\n"), log.read_text()
        yield
    finally:
        process.kill()
        process.communicate()


def needs_shell(line: str) -> bool:
    """Return whether a command has a pipe, a redirection or another operator outside quotes."""
    tokens = shlex.shlex(line, posix=True, punctuation_chars=True)
    tokens.whitespace_split = True
    return any(token and set(token) <= SHELL_OPERATORS for token in tokens)


def keep_equal(shown: str, real: str) -> str:
    """Return the shown text where only times and other varying parts differ from the real one."""
    return shown if without_varying(shown) == without_varying(real) else real


def without_varying(text: str) -> str:
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return text


def all_pages() -> list[Path]:
    """Return README.md and every page below docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def put_programs_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `python` and `dbos-manifest` of a page those that run the tests."""
    folder = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DBOS_MANIFEST_SHOW_VALUES", "1")  # as on a terminal
