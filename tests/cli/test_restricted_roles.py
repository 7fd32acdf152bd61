"""Test applies of a role that may only read and insert: leftover arguments, and row-level security."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cli_harness import Cli, execute
from sqlalchemy import make_url

ALLOW = ("--allow", "queue-not-registered")


@pytest.fixture
def role(postgres_url: str) -> Iterator[str]:
    name = f"least_{uuid.uuid4().hex[:8]}"
    yield name
    execute(postgres_url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.fixture
def url(run: Cli, jobs: Path, postgres_url: str, role: str) -> str:
    """Return the URL of a role with the privileges of `doctor --sql`."""
    execute(
        postgres_url, *run("doctor", "--sql", "--role", role, "--database-url", postgres_url).out.splitlines()
    )
    return make_url(postgres_url).set(username=role, password=None).render_as_string(hide_password=False)


def leave_arguments(postgres_url: str, *ids: str, inputs: str) -> None:
    for workflow_id in ids:
        execute(postgres_url, f"INSERT INTO workflow_input VALUES ('{workflow_id}', {inputs}, 1)")


def stored(postgres_url: str) -> dict[str, str]:
    with psycopg.connect(postgres_url) as connection:
        rows = connection.execute(
            "SELECT workflow_uuid, i.inputs FROM dbos.workflow_status "
            "JOIN dbos.workflow_input i USING (workflow_uuid)"
        ).fetchall()
    return dict(rows)


def test_leftover_with_equal_arguments_is_no_obstacle(run: Cli, postgres_url: str, url: str) -> None:
    assert run("apply", "jobs.yaml", "--database-url", url, *ALLOW).code == 0
    expected = stored(postgres_url)
    execute(
        postgres_url, "DELETE FROM workflow_status", "DELETE FROM workflow_input WHERE workflow_uuid <> 'b'"
    )
    Path("jobs.lock.jsonl").unlink()
    assert run("apply", "jobs.yaml", "--database-url", url, *ALLOW).code == 0
    assert stored(postgres_url) == expected
    assert len(expected) == 3


@pytest.mark.parametrize("inputs", ["'{}'", "NULL"])
def test_leftover_that_the_role_may_not_replace_rejects_only_its_row(
    run: Cli, postgres_url: str, url: str, inputs: str
) -> None:
    leave_arguments(postgres_url, "b", inputs=inputs)
    done = run("apply", "jobs.yaml", "--database-url", url, *ALLOW)
    assert done.code == 5
    assert "workflow_input has other arguments under its id" in done.out
    assert stored(postgres_url).keys() == {"a", "c"}
    atomic = run("apply", "jobs.yaml", "--database-url", url, "--atomic", *ALLOW)
    assert atomic.code == 6
    assert "workflow_input has other arguments" in atomic.err
    execute(postgres_url, "DELETE FROM workflow_input WHERE workflow_uuid = 'b'")
    assert run("apply", "jobs.yaml", "--database-url", url, *ALLOW).code == 0
    assert stored(postgres_url).keys() == {"a", "b", "c"}


def test_rows_are_rejected_if_all_have_a_leftover(run: Cli, postgres_url: str, url: str) -> None:
    leave_arguments(postgres_url, "a", "b", "c", inputs="'{}'")
    done = run("apply", "jobs.yaml", "--database-url", url, *ALLOW)
    assert done.code == 5
    assert stored(postgres_url) == {}


@pytest.mark.parametrize("only", ["true", "workflow_uuid <> 'b'", "false"])
def test_leftover_is_replaced_where_privilege_and_policy_allow(
    run: Cli, postgres_url: str, url: str, role: str, only: str
) -> None:
    """An UPDATE that a policy hides a row from succeeds and changes nothing."""
    leave_arguments(postgres_url, "b", inputs="'{}'")
    execute(
        postgres_url,
        f"GRANT UPDATE ON workflow_input TO {role}",
        "ALTER TABLE workflow_input ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY r ON workflow_input FOR SELECT TO {role} USING (true)",
        f"CREATE POLICY i ON workflow_input FOR INSERT TO {role} WITH CHECK (true)",
        f"CREATE POLICY u ON workflow_input FOR UPDATE TO {role} USING ({only})",
    )
    done = run("apply", "jobs.yaml", "--database-url", url, *ALLOW)
    found = stored(postgres_url)
    assert (done.code, found.keys()) == ((0, {"a", "b", "c"}) if only == "true" else (5, {"a", "c"}))
    assert "{}" not in found.values()


ALL = "USING (true) WITH CHECK (true)"


@pytest.mark.parametrize("table", ["workflow_status", "workflow_input"])
@pytest.mark.parametrize(
    ("policy", "code", "enqueued", "reason"),
    [
        (ALL, 0, "abc", ""),
        ("USING (true) WITH CHECK (workflow_uuid <> 'b')", 5, "ac", "policy"),
        ("USING (workflow_uuid <> 'b') WITH CHECK (true)", 5, "ac", "policy"),
        ("USING (false) WITH CHECK (false)", 5, "", "policy"),
    ],
)
def test_row_level_security_rejects_only_the_rows_of_its_policies(
    run: Cli,
    postgres_url: str,
    url: str,
    role: str,
    table: str,
    policy: str,
    code: int,
    enqueued: str,
    reason: str,
) -> None:
    execute(
        postgres_url,
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY p ON {table} TO {role} {policy}",
    )
    done = run("apply", "jobs.yaml", "--database-url", url, *ALLOW)
    assert done.code == code, done.out + done.err
    assert reason in done.out
    assert stored(postgres_url).keys() == {*enqueued}
    found = run("doctor", "--database-url", url)
    assert f"row-level security applies to this role on {table}" in found.out
    assert "row-level security" not in run("doctor", "--database-url", postgres_url).out


def test_row_that_a_policy_hides_is_not_enqueued_again(
    run: Cli, postgres_url: str, url: str, role: str
) -> None:
    assert run("apply", "jobs.yaml", "--database-url", url, "--select", "id=b", *ALLOW).code == 0
    Path("jobs.lock.jsonl").unlink()
    before = stored(postgres_url)
    execute(
        postgres_url,
        "ALTER TABLE workflow_status ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY p ON workflow_status TO {role} USING (workflow_uuid <> 'b') WITH CHECK (true)",
    )
    done = run("apply", "jobs.yaml", "--database-url", url, *ALLOW)
    assert done.code == 5
    assert {key: stored(postgres_url)[key] for key in "b"} == before
    assert stored(postgres_url).keys() == {"a", "b", "c"}
