"""Test `doctor` on usable and unusable databases, and the least-privilege role of `doctor --sql`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import jsonschema_rs
import pytest
from cli_harness import Cli
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from dbos_manifest.files.bundled import read_schema


def test_doctor_reports_the_checks_of_a_usable_database(run_db: Cli) -> None:
    done = run_db("doctor")
    assert done.code == 0
    assert "as in DBOS Python 3.4" in done.out
    document = run_db("doctor", "-o", "json").json
    jsonschema_rs.validator_for(json.loads(read_schema("doctor.v1"))).validate(document)
    levels = {check["what"]: check["level"] for check in document["checks"]}
    assert levels["privileges"] == levels["connection"] == levels["clock"] == "ok"
    assert levels["queues"] == levels["versions"] == "warning"  # no worker has run yet


def test_doctor_exits_3_without_dbos_tables(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty.sqlite").touch()
    done = run("doctor", "--database-url", "sqlite:///empty.sqlite")
    assert (done.code, "no DBOS tables" in done.err) == (3, True)


def test_doctor_sql_is_refused_for_sqlite(run: Cli, sqlite_url: str) -> None:
    assert run("doctor", "--sql", "--database-url", sqlite_url).code == 2


@pytest.fixture
def admin(postgres_url: str) -> Iterator[Engine]:
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture
def role(admin: Engine) -> Iterator[str]:
    """Return an unused role name with capitals and quotes, and drop the role afterwards."""
    name = f'Least"{uuid.uuid4().hex[:8]}'
    yield name
    quoted = '"' + name.replace('"', '""') + '"'
    with admin.connect() as connection:
        connection.execute(text(f"DROP OWNED BY {quoted}"))
        connection.execute(text(f"DROP ROLE {quoted}"))


def as_role(postgres_url: str, role: str) -> str:
    url = make_url(postgres_url).set(username=role, password=None)
    return url.render_as_string(hide_password=False)


def make_role(admin: Engine, statements: str) -> None:
    with admin.connect() as connection:
        for statement in statements.splitlines():
            connection.execute(text(statement))


def test_role_of_doctor_sql_can_plan_and_apply_but_not_change_rows(
    run: Cli, jobs: Path, admin: Engine, role: str, postgres_url: str
) -> None:
    statements = run("doctor", "--sql", "--role", role, "--database-url", postgres_url).out
    make_role(admin, statements)
    url = as_role(postgres_url, role)
    checked = run("doctor", "--database-url", url)
    assert checked.code == 0
    assert "what plan and apply need" in checked.out
    for words in (("plan", "--out", "plan.jsonl"), ("apply",), ("status",), ("lock", "verify")):
        done = run(*words, "jobs.yaml", "--database-url", url)
        assert done.code == 0, done.err
    assert run("apply", "plan.jsonl", "--database-url", url).code == 0
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    for statement in (
        "UPDATE dbos.workflow_status SET status = 'SUCCESS'",
        "DELETE FROM dbos.workflow_status",
        "DELETE FROM dbos.workflow_input",
        "INSERT INTO dbos.queues (name) VALUES ('x')",
        "SELECT * FROM dbos.operation_outputs",
        "CREATE TABLE dbos.mine (id int)",
        "TRUNCATE dbos.workflow_status",
    ):
        with pytest.raises(ProgrammingError, match=r"denied|must be owner"), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize(
    ("taken", "code", "message"),
    [
        ("INSERT ON dbos.workflow_input", 3, "this role lacks INSERT on workflow_input"),
        ("SELECT ON dbos.workflow_schedules", 0, "cannot read workflow_schedules"),
        ("SELECT ON dbos.application_versions", 0, "cannot read application_versions"),
        ("SELECT ON dbos.dbos_migrations", 0, "the migration number cannot be read"),
    ],
)
def test_doctor_reports_a_missing_privilege(
    run: Cli, jobs: Path, admin: Engine, role: str, postgres_url: str, taken: str, code: int, message: str
) -> None:
    make_role(admin, run("doctor", "--sql", "--role", role, "--database-url", postgres_url).out)
    quoted = '"' + role.replace('"', '""') + '"'
    make_role(admin, f"REVOKE {taken} FROM {quoted}")
    url = as_role(postgres_url, role)
    done = run("doctor", "--database-url", url)
    assert (done.code, message in done.out) == (code, True), done.out
    applied = run("apply", "jobs.yaml", "--database-url", url)
    assert applied.code == code, applied.err
