"""Provide real databases: one PostgreSQL server per run, and per test a database cloned from a template."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from dbos_tables import migrate
from hypothesis import HealthCheck, settings
from postgres import start_server
from toolchains import skip_is_allowed
from urls import PLANTED, files_with_password, with_database, with_user

TEMPLATE = "dbos_template"
# These databases need not survive a crash; tests that stop a server start their own.
FAST = ("fsync = off", "full_page_writes = off", "autovacuum = off")
FIRST = ("e2e/sdks", "faults", "test_packaging", "test_pipelines", "e2e")  # the slowest tests start first

# The same examples on every machine, without a deadline, so that a slow machine does not fail.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough", settings.get_profile("repeatable"), derandomize=False, max_examples=2000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(Path(__file__).parent).as_posix()
        return next((place for place, start in enumerate(FIRST) if path.startswith(start)), len(FIRST))

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("DBOS_", "GITHUB_", "CI_")) and name != "DBOS_MANIFEST_TEST_DATABASE_URL":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def _no_file_has_the_password(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Check all files that the tests leave: lockfiles, plans, outputs, logs."""
    yield
    assert files_with_password(tmp_path_factory.getbasetemp()) == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Fail a test that printed the password, or that was skipped although this machine could run it."""
    report: pytest.TestReport = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not skip_is_allowed(reason):
            report.outcome = "failed"
            report.longrepr = f"skipped although this machine can run it: {reason}"
    if report.when == "teardown" and report.passed and any(PLANTED in text for _, text in report.sections):
        report.outcome = "failed"
        report.longrepr = "the database's password was printed"
    return report


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a PostgreSQL server: the environment's, or one started from the wheel."""
    given = os.environ.get("DBOS_MANIFEST_TEST_DATABASE_URL")
    if given:
        yield given
        return
    # the path of a socket is limited to 107 characters
    server = start_server(Path("/tmp") / f"dm-pg-{uuid.uuid4().hex[:8]}")
    try:
        url = with_user(server.get_uri(), "postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in FAST:
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
        yield url
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    name = f"{TEMPLATE}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    with psycopg.connect(with_database(postgres_server, "postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
        connection.execute(f'CREATE DATABASE "{name}"')
    migrate(with_database(postgres_server, name))
    return name


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """Create a PostgreSQL database with the DBOS tables for one test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(with_database(postgres_server, "postgres"), autocommit=True) as connection:
        copy = "" if connection.info.server_version < 150000 else " STRATEGY file_copy"
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{postgres_template}"{copy}')
        yield with_database(postgres_server, name)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """Create a SQLite database with the DBOS tables for one test."""
    path = tmp_path / "dbos.sqlite"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Run the test on both databases."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url
