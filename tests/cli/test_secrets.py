"""Test that no command prints the database password or writes it into a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from cli_harness import Cli

SECRET = "pl4nted%40-p4ss"  # percent-encoded for a URL; decoded it contains an @
SPELLINGS = ("pl4nted%40-p4ss", "pl4nted@-p4ss")
BUG = """\
import sys
import dbos_manifest.actions.session as session
from dbos_manifest.cli.main import main
def broken(url, **settings):
    raise RuntimeError(f"cannot read {url!r}")
session.open_database = broken
main()
"""


def with_password(url: str) -> str:
    """Create a role with that password and return its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS planted")
        connection.execute("CREATE ROLE planted LOGIN SUPERUSER PASSWORD 'pl4nted@-p4ss'")
    _, _, rest = url.partition("@")
    return f"postgresql://planted:{SECRET}@{rest}"


@pytest.mark.parametrize("by_option", [True, False], ids=["option", "environment"])
def test_no_command_prints_or_writes_the_password(
    run: Cli, monkeypatch: pytest.MonkeyPatch, postgres_url: str, tmp_path: Path, jobs: Path, by_option: bool
) -> None:
    good = with_password(postgres_url)
    nowhere = f"postgresql://planted:{SECRET}@127.0.0.1:1/nowhere"
    broken = f"postgresql://planted:{SECRET}@@[:x/nowhere"
    printed: list[str] = []

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def options(url: str) -> list[str]:
        if by_option:
            return ["--database-url", url]
        monkeypatch.setenv("DBOS_SYSTEM_DATABASE_URL", url)
        return []

    def run_with_url(url: str, *words: str) -> int:
        done = run(*words, *options(url))
        printed.extend((done.out, done.err))
        return done.code

    def run_with_bug(url: str, *words: str) -> int:
        command = [sys.executable, "-c", BUG, *words, *options(url)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        printed.extend((done.stdout, done.stderr))
        return done.returncode

    allow = ("--allow", "queue-not-registered")
    assert run_with_url(good, "plan", "jobs.yaml", "--out", "plan.jsonl", *allow) == 0
    assert run_with_url(good, "apply", "jobs.yaml", "-o", "json", *allow) == 0
    assert run_with_url(good, "doctor") in (0, 1, 6)
    assert run_with_url(good, "doctor", "--sql", "planted") in (0, 2)
    assert run_with_url(good, "plan", "jobs.yaml", "--schema", "no such") == 3
    assert run_with_url(nowhere, "plan", "jobs.yaml", "--retry-budget", "1s") == 3
    assert run_with_url(broken, "plan", "jobs.yaml") == 2
    assert run_with_bug(good, "plan", "jobs.yaml") == 70
    logs = list((tmp_path / "state").rglob("crash-*.log"))
    assert len(logs) == 1 and "RuntimeError" in logs[0].read_text()
    assert logs[0].stat().st_mode & 0o077 == 0
    left = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) >= 4  # the manifest, its lockfile, the plan, the log
    for text in [*printed, *left]:
        assert not any(spelling in text for spelling in SPELLINGS), text


@pytest.mark.parametrize("before", ["", 'x"', "x ", "x@", "x/", "x:", "x\n"])
@pytest.mark.parametrize(
    "words",
    [
        "URL",
        "plan URL",
        "plan jobs.yaml -o URL",
        "plan jobs.yaml --retry-budget URL",
        "plan jobs.yaml --var URL",
        "validate URL",
        "apply URL --database-url URL",
        "doctor URL",
    ],
)
def test_url_in_the_place_of_another_argument_is_printed_without_password(
    run: Cli, jobs: Path, words: str, before: str
) -> None:
    for url in (
        f"postgresql://u:{before}pl4nted@127.0.0.1:1/db",
        f"postgresql://127.0.0.1:1/db?password={before}pl4nted",
        f"postgresql:u:{before}pl4nted@127.0.0.1:1/db",
    ):
        done = run(*(url if word == "URL" else word for word in words.split()))
        assert done.code == 2
        assert "127.0.0.1" in done.err
        assert "pl4nted" not in done.out + done.err


@pytest.mark.parametrize("place", ["postgresql://u:pl4nted@127.0.0.1:1", "host=127.0.0.1 password=pl4nted"])
def test_password_in_the_place_of_a_manifest_is_hidden(run: Cli, place: str) -> None:
    done = run("validate", place)
    assert done.code == 2
    assert "no such file or folder" in done.err
    assert "***" in done.err
    assert "pl4nted" not in done.out + done.err


@pytest.mark.parametrize(
    "words",
    [
        "init URL",
        "plan jobs.yaml --out URL",
        "plan jobs.yaml --vars-file URL",
        "plan jobs.yaml --lockfile URL",
        "lock check jobs.yaml --lockfile URL",
    ],
)
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:pl4nted@127.0.0.1:1/db",
        "postgresql+psycopg://u:pl4nted@h/db",
        "postgresql:u:pl4nted@h/db",
        "postgresql://h/db?password=x\npl4nted",
        "host=127.0.0.1 password=pl4nted",
    ],
)
def test_url_in_the_place_of_a_path_is_refused(
    run: Cli, tmp_path: Path, jobs: Path, words: str, url: str
) -> None:
    before = [*tmp_path.iterdir()]
    done = run(*(url if word == "URL" else word for word in words.split()))
    assert done.code == 2
    assert "expected a path, found a URL" in done.err
    assert "pl4nted" not in done.out + done.err
    assert [*tmp_path.iterdir()] == before
