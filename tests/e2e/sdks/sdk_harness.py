"""Build the same small application for each SDK, run it as a worker, and call its client."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from proxy import CuttingProxy
from urls import with_database
from waiting import PATIENCE_S

APPS = Path(__file__).parent.parent / "apps"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dbos-manifest-tests"


class Sdk(NamedTuple):
    """Describe how to build and start an application; `{app}` is its folder, `{release}` the SDK release."""

    name: str
    release: str
    tool: str  # required programs
    build: Sequence[Sequence[str]]
    run: Sequence[str]
    sqlite: bool = False
    source: str = ""  # folder below apps/
    old: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.release}"


# without optimization the build takes half the time
_GO_BUILD = [["go", "build", "-gcflags=all=-N -l", "-ldflags=-s -w", "-o", "app", "."]]
SDKS = {
    sdk.name: sdk
    for sdk in (
        Sdk("python", "3.4.0", sys.executable, [], [sys.executable, "{app}/app.py"], sqlite=True),
        Sdk("go", "1.8.0", "go", _GO_BUILD, ["{app}/app"], sqlite=True),
        Sdk(
            "typescript",
            "5.3.0",
            "npm",
            [["npm", "ci", "--no-audit", "--no-fund", "--silent"]],
            ["node", "{app}/app.mjs"],
        ),
        Sdk(
            "java",
            "1.1.0-m6",
            "mvn",
            [["mvn", "-q", "-B", "package"]],
            ["java", "-cp", "{app}/target/classes:{app}/target/lib/*", "App"],
        ),
        Sdk(
            "rust",
            "0.5.0",
            "cargo",
            [["cargo", "build", "--locked", "--quiet"]],
            ["{app}/target/debug/app"],
        ),
    )
}


def _old_python(release: str) -> Sdk:
    install = ["venv/bin/python", "-m", "pip", "install", "--quiet", "dbos=={release}", "psycopg[binary]"]
    build = [[sys.executable, "-m", "venv", "venv"], install]
    run = ["{app}/venv/bin/python", "{app}/old.py"]
    return Sdk("python", release, sys.executable, build, run, sqlite=True, source="python", old=True)


def _old_typescript(release: str) -> Sdk:
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "@dbos-inc/dbos-sdk@{release}"]
    return Sdk(
        "typescript", release, "npm", [install], ["node", "{app}/old.mjs"], source="typescript", old=True
    )


# the last without portable inputs, the first with them, the last before inputs had their own table;
# the registries have one release each of Java and Rust
OLD = (
    _old_python("2.13.0"),
    _old_python("2.14.0"),
    _old_python("2.31.1"),
    _old_typescript("4.9.11"),
    _old_typescript("4.27.6"),
    Sdk("go", "0.12.0", "go", _GO_BUILD, ["{app}/app"], source="go/v0.12", old=True),
    Sdk("go", "1.3.0", "go", _GO_BUILD, ["{app}/app"], sqlite=True, source="go/v1.3", old=True),
)


class App:
    """Run a built application as worker or client."""

    def __init__(self, sdk: Sdk) -> None:
        self.sdk = sdk
        self._folder = build(sdk)

    def command(self, *words: str) -> list[str]:
        if self.sdk is SDKS["python"]:
            words = words[1:]  # only a worker: the client runs in this process
        return [*(word.format(app=self._folder) for word in self.sdk.run), *words]

    def start(self, url: str, log: Path, **environment: str) -> subprocess.Popen[str]:
        """Start a worker and wait until it polls its queues."""
        with log.open("w") as stderr:
            process = subprocess.Popen(
                self.command("worker", url),
                env=os.environ | environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert process.stdout is not None
        for line in process.stdout:
            if line == "ready\n":
                return process
        process.wait()
        raise AssertionError(f"the {self.sdk.name} worker did not start:\n{log.read_text()}")

    @contextmanager
    def working(self, url: str, log: Path, **environment: str) -> Iterator[None]:
        """Run a worker during the block, then kill it, because its database is dropped too."""
        process = self.start(url, log, **environment)
        try:
            yield
        finally:
            process.kill()
            process.communicate()

    def enqueue(self, url: str, workflows: Sequence[Mapping[str, Any]]) -> None:
        """Enqueue workflows with the SDK's own client."""
        lines = "".join(f"{json.dumps(workflow)}\n" for workflow in workflows)
        self._call("enqueue", url, stdin=lines)

    def result(self, url: str, workflow_id: str) -> Any:
        """Return the result of the client's own handle."""
        return json.loads(self._call("result", url, workflow_id).splitlines()[-1])

    def _call(self, *words: str, stdin: str = "") -> str:
        done = subprocess.run(
            self.command(*words), input=stdin, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def as_the_sdk_names_it(app: App, url: str) -> Iterator[str]:
    """Return a URL without Unix sockets, which most SDKs do not support."""
    if url.startswith("sqlite"):
        yield url.replace("sqlite:///", "sqlite:") if app.sdk.name == "go" else url
        return
    with CuttingProxy(url) as proxy:
        yield proxy.url(url).partition("?")[0] + "?sslmode=disable"


@contextmanager
def empty_database(server: str) -> Iterator[str]:
    """Create a PostgreSQL database without tables."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(with_database(server, "postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield with_database(server, name)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def build(sdk: Sdk) -> Path:
    """Build the application once for each state of its sources, and return its folder."""
    source = APPS / (sdk.source or sdk.name)
    if not sdk.build:
        return source
    digest = hashlib.sha256(f"{sdk}{sdk.build}".encode())
    for path in sorted(source.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes())
    folder = CACHE / f"{sdk.name}-{sdk.release}-{digest.hexdigest()[:16]}"
    with one_at_a_time(folder):
        if not (folder / ".built").exists():
            shutil.rmtree(folder, ignore_errors=True)  # left by an interrupted build
            shutil.copytree(source, folder)
            for command in sdk.build:
                command = [word.format(release=sdk.release) for word in command]
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
                assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
            (folder / ".built").touch()
    return folder


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Lock a folder of the cache, so that one test process builds it and the others wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with CACHE.joinpath(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
