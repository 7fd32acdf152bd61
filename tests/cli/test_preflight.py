"""Test preflight checks of plan and apply, and `--allow`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_harness import Cli, execute

from dbos_manifest.core.diagnostic import CODES
from dbos_manifest.planning.preflight_codes import PREFLIGHT_CODES

ONE = """\
version: 1
name: jobs
{}
workflows:
  - {{id: a, workflow: ingest, queue: etl{}}}
"""


def register(url: str, *names: str, application: str | None = None) -> None:
    owner = "NULL" if application is None else f"'{application}'"
    for name in names:
        execute(
            url,
            "INSERT INTO queues (queue_id, name, application_name, priority_enabled, partition_queue, "
            f"polling_interval_sec, created_at, updated_at) VALUES ('{name}', '{name}', {owner}, "
            "TRUE, FALSE, 1, 0, 0)",
        )


def findings(run_db: Cli, top: str = "", options: str = "") -> dict[str, Any]:
    """Return the preflight diagnostics for one workflow on the queue `etl`, by code."""
    Path("jobs.yaml").write_text(ONE.format(top, options))
    found = run_db("plan", "jobs.yaml", "-o", "json").json["summary"][0]["findings"]
    return {one["code"]: one for one in found}


@pytest.mark.parametrize("own", [None, "orders"])
def test_unknown_queue_is_an_error_when_the_application_has_registered_queues(
    run_db: Cli, database_url: str, own: str | None
) -> None:
    register(database_url, "etl2", "nightly", application=own)
    register(database_url, "theirs", application="storefront")
    found = findings(run_db, "application: orders")["queue-not-registered"]
    assert found["severity"] == "error"
    assert found["message"] == "the queue `etl` is not registered for the application `orders`"
    assert found["help"].startswith("did you mean `etl2`? registered: `etl2`, `nightly`;")
    refused = run_db("apply", "jobs.yaml")
    assert refused.code == 6
    assert "Enqueued 1 of " not in refused.out
    assert run_db("plan", "jobs.yaml", "--exit-code").code == 6
    assert run_db("apply", "jobs.yaml", "--allow", "queue-not-registered").code == 0


def test_entry_without_application_may_use_the_queue_of_any_application(
    run_db: Cli, database_url: str
) -> None:
    register(database_url, "nightly", application="storefront")
    found = findings(run_db)["queue-not-registered"]
    assert (found["severity"], found["message"]) == ("error", "the queue `etl` is not registered")
    register(database_url, "etl", application="storefront")
    assert "queue-not-registered" not in findings(run_db)


@pytest.mark.parametrize("name", ["_dbos_internal_queue", "theirs"])
def test_unknown_queue_is_a_warning_when_the_application_has_no_registered_queue(
    run_db: Cli, database_url: str, name: str
) -> None:
    """Its queues are declared in code. Queues of DBOS and of other applications do not count."""
    register(database_url, name, application="storefront")
    found = findings(run_db, "application: orders")["queue-not-registered"]
    assert found["severity"] == "warning"
    assert found["message"].endswith("this database has no registered queue for it")
    assert run_db("plan", "jobs.yaml", "--exit-code").code == 10
    assert run_db("apply", "jobs.yaml", "--strict").code == 6
    assert run_db("apply", "jobs.yaml").code == 0


@pytest.mark.parametrize("others", [(), ("nightly",)])
def test_queue_declared_in_the_manifest_is_accepted(
    run_db: Cli, database_url: str, others: tuple[str, ...]
) -> None:
    register(database_url, *others)
    assert "queue-not-registered" not in findings(run_db, "queues: {etl: {partitioned: false}}")


def test_long_list_of_registered_queues_is_cut(run_db: Cli, database_url: str) -> None:
    register(database_url, *(f"queue{number:02}" for number in range(13)))
    assert "`queue09` and 3 more;" in findings(run_db)["queue-not-registered"]["help"]


def test_deadline_in_the_past_is_a_warning(run_db: Cli, database_url: str) -> None:
    found = findings(run_db, options=', deadline: "2020-01-01T00:00:00Z"')["deadline-passed"]
    assert found["severity"] == "warning"
    assert "a worker cancels the workflow, unless it starts it first" in found["message"]


@pytest.mark.parametrize("command", ["plan", "apply"])
@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("queue-not-registred", "did you mean `queue-not-registered`?"),
        ("deadline", "did you mean `deadline-passed`?"),
        ("drifted", "queue-not-registered"),  # a state of the plan, not a preflight code
        ("", "queue-not-registered"),
    ],
)
def test_allow_accepts_existing_codes_only(
    run_db: Cli, jobs: Path, command: str, code: str, hint: str
) -> None:
    done = run_db(command, "jobs.yaml", "--allow", code)
    assert (done.code, done.out) == (2, "")
    assert hint in done.err


def test_allow_is_not_read_from_the_environment(
    run_db: Cli, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ignoring an error requires the option in the same command."""
    register(database_url, "nightly")
    findings(run_db)
    monkeypatch.setenv("DBOS_MANIFEST_ALLOW", "queue-not-registered")
    assert run_db("apply", "jobs.yaml").code == 6


def test_every_code_that_may_be_allowed_is_described() -> None:
    assert all(CODES[code].layer == "database" for code in PREFLIGHT_CODES)


def test_option_without_a_column_in_the_database_is_an_error(run: Cli, postgres_url: str) -> None:
    for option, column, value in (
        ("schedule", "schedule_name", "nightly"),
        ("attributes", "attributes", "{team: data}"),
        ("application", "application_name", "orders"),
    ):
        execute(postgres_url, f"ALTER TABLE workflow_status DROP COLUMN {column}")
        Path("jobs.yaml").write_text(ONE.format("", f", {option}: {value}"))
        for command in ("plan", "apply"):
            done = run(command, "jobs.yaml", "--database-url", postgres_url)
            assert done.code == 3
            assert f"sets {option}, for which this system database has no column" in done.err
    Path("jobs.yaml").write_text(ONE.format("", ""))
    assert run("apply", "jobs.yaml", "--database-url", postgres_url).code == 0
