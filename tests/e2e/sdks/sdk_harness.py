"""The same small application for each SDK: built once, run as a worker, and its client beside ours."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

APPS = Path(__file__).parent.parent / "apps"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dbos-manifest-tests"
READY_S = 120


class Sdk(NamedTuple):
    """How an SDK's application is built and started; `{app}` is its built folder."""

    name: str
    tool: str  # what must be installed
    build: Sequence[Sequence[str]]
    run: Sequence[str]
    sqlite: bool = False


SDKS = {
    sdk.name: sdk
    for sdk in (
        Sdk("python", sys.executable, [], [sys.executable, "{app}/app.py"], sqlite=True),
        Sdk("go", "go", [["go", "build", "-o", "app", "."]], ["{app}/app"], sqlite=True),
        Sdk(
            "typescript",
            "npm",
            [["npm", "ci", "--no-audit", "--no-fund", "--silent"]],
            ["node", "{app}/app.mjs"],
        ),
        Sdk(
            "java",
            "mvn",
            [["mvn", "-q", "-B", "package"]],
            ["java", "-cp", "{app}/target/classes:{app}/target/lib/*", "App"],
        ),
        Sdk("rust", "cargo", [["cargo", "build", "--locked", "--quiet"]], ["{app}/target/debug/app"]),
    )
}


class App:
    """A built application."""

    def __init__(self, sdk: Sdk) -> None:
        self.sdk = sdk
        self._folder = build(sdk)

    def command(self, *words: str) -> list[str]:
        words = (
            words[1:] if self.sdk.name == "python" else words
        )  # a worker only: its client is in this process
        return [*(word.format(app=self._folder) for word in self.sdk.run), *words]

    def start(self, url: str, log: Path) -> subprocess.Popen[str]:
        """The worker, once it polls its queues."""
        with log.open("w") as stderr:
            process = subprocess.Popen(
                self.command("worker", url), stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        assert process.stdout is not None
        for line in process.stdout:
            if line == "ready\n":
                return process
        raise AssertionError(f"the {self.sdk.name} worker did not start:\n{log.read_text()}")

    def enqueue(self, url: str, workflows: Sequence[Mapping[str, Any]]) -> None:
        """By the SDK's own client."""
        lines = "".join(f"{json.dumps(workflow)}\n" for workflow in workflows)
        self._call("enqueue", url, stdin=lines)

    def result(self, url: str, workflow_id: str) -> Any:
        """What the client's own handle gives."""
        return json.loads(self._call("result", url, workflow_id).splitlines()[-1])

    def _call(self, *words: str, stdin: str = "") -> str:
        done = subprocess.run(
            self.command(*words), input=stdin, capture_output=True, text=True, timeout=READY_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def build(sdk: Sdk) -> Path:
    """The application's built folder, made once for each state of its sources."""
    source = APPS / sdk.name
    if not sdk.build:
        return source
    digest = hashlib.sha256(repr(sdk).encode())
    for path in sorted(source.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes())
    folder = CACHE / f"{sdk.name}-{digest.hexdigest()[:16]}"
    if not (folder / ".built").exists():
        making = CACHE / f"{folder.name}.{os.getpid()}"
        shutil.copytree(source, making)
        for command in sdk.build:
            done = subprocess.run(command, cwd=making, capture_output=True, text=True)
            assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        (making / ".built").touch()
        try:
            making.rename(folder)
        except OSError:  # another process was quicker
            shutil.rmtree(making)
    return folder
