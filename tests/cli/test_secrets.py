"""A planted password is in nothing that a command says or leaves behind, whatever goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

SECRET = "pl4nted%40-p4ss"  # as it stands in a URL; decoded it has an @
SPELLINGS = ("pl4nted%40-p4ss", "pl4nted@-p4ss")
BUG = """\
import sys
import dbos_manifest.operations as operations
from dbos_manifest.cli.main import main
def broken(url, **settings):
    raise RuntimeError(f"cannot read {url!r}")
operations.open_database = broken
main()
"""


def with_password(url: str) -> str:
    """The server's URL for a role with that password."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS planted")
        connection.execute("CREATE ROLE planted LOGIN SUPERUSER PASSWORD 'pl4nted@-p4ss'")
    _, _, rest = url.partition("@")
    return f"postgresql://planted:{SECRET}@{rest}"


@pytest.mark.parametrize("by_option", [True, False], ids=["option", "environment"])
def test_no_command_tells_the_password(
    postgres_url: str, tmp_path: Path, jobs: Path, by_option: bool
) -> None:
    good = with_password(postgres_url)
    nowhere = f"postgresql://planted:{SECRET}@127.0.0.1:1/nowhere"
    broken = f"postgresql://planted:{SECRET}@@[:x/nowhere"
    told: list[str] = []

    def run(url: str, *words: str, program: tuple[str, ...] = ("-m", "dbos_manifest")) -> int:
        options = ["--database-url", url] if by_option else []
        done = subprocess.run(
            [sys.executable, *program, *words, *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "HOME": str(tmp_path),
                "XDG_STATE_HOME": str(tmp_path / "state"),
                **({} if by_option else {"DBOS_SYSTEM_DATABASE_URL": url}),
            },
        )
        told.extend((done.stdout, done.stderr))
        return done.returncode

    allow = ("--allow", "queue-not-registered")
    assert run(good, "plan", "jobs.yaml", "--out", "plan.jsonl", *allow) == 0
    assert run(good, "apply", "jobs.yaml", "-o", "json", *allow) == 0
    assert run(good, "doctor") in (0, 1, 6)
    assert run(good, "doctor", "--sql", "planted") in (0, 2)
    assert run(good, "plan", "jobs.yaml", "--schema", "no such") == 3
    assert run(nowhere, "plan", "jobs.yaml", "--retry-budget", "1s") == 3
    assert run(broken, "plan", "jobs.yaml") == 2
    assert run(good, "plan", "jobs.yaml", program=("-c", BUG)) == 70
    logs = list((tmp_path / "state").rglob("crash-*.log"))
    assert len(logs) == 1 and "RuntimeError" in logs[0].read_text()
    assert logs[0].stat().st_mode & 0o077 == 0
    left = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) >= 4  # the manifest, its lockfile, the plan, the log
    for text in [*told, *left]:
        assert not any(spelling in text for spelling in SPELLINGS), text
