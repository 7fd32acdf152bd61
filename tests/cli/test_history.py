"""Test `history`, which lists batches by the provenance in the rows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest
from cli_harness import Cli, Run, execute

from dbos_manifest.files.bundled import read_schema


def apply(run_db: Cli, name: str, ids: str, *words: str) -> None:
    Path(f"{name}.yaml").write_text(
        f"{{version: 1, name: {name}, defaults: {{queue: etl, workflow: load}}, workflows: [{ids}]}}"
    )
    assert run_db("apply", f"{name}.yaml", *words).code == 0


def test_history_lists_each_run_of_each_manifest(run_db: Cli, database_url: str) -> None:
    apply(run_db, "orders", "{id: a}, {id: b}, {id: c}", "--reason", "TICKET-42")
    apply(run_db, "orders", "{id: a}, {id: b}, {id: c}, {id: d, attributes: {team: x}}")
    apply(run_db, "users", "{id: u}", "--no-provenance")
    execute(
        database_url,
        "UPDATE workflow_status SET status = 'SUCCESS' WHERE workflow_uuid = 'a'",
        "UPDATE workflow_status SET status = 'ERROR' WHERE workflow_uuid = 'b'",
        "UPDATE workflow_status SET created_at = created_at + 5000 WHERE workflow_uuid = 'd'",
    )
    document = run_db("history", "-o", "json").json
    jsonschema_rs.validator_for(json.loads(read_schema("history.v1"))).validate(document)
    newest, oldest = document["batches"]
    assert (newest["manifest"], newest["reason"], newest["statuses"]) == ("orders", None, {"ENQUEUED": 1})
    assert oldest["reason"] == "TICKET-42"
    assert oldest["statuses"] == {"ENQUEUED": 1, "ERROR": 1, "SUCCESS": 1}
    assert newest["run_id"] != oldest["run_id"]
    titles, first, second = run_db("history").out.splitlines()
    assert re.split(r"\s\s+", titles) == [
        "enqueued at", "manifest", "commit", "run", "workflows", "SUCCESS", "ERROR", "waiting", "reason",
    ]  # fmt: skip
    assert re.split(r"\s\s+", first)[-4:] == ["1", "0", "0", "1"]
    assert re.split(r"\s\s+", second)[-5:] == ["3", "1", "1", "1", "TICKET-42"]


def test_history_selects_a_manifest_and_the_newest_batches(run_db: Cli) -> None:
    for name in ("one", "two", "three"):
        apply(run_db, name, f"{{id: {name}}}")
    batches = run_db("history", "--manifest", "two", "-o", "json").json["batches"]
    assert [batch["manifest"] for batch in batches] == ["two"]
    assert "2 older batches not shown" in run_db("history", "--limit", "1").out


def test_history_refuses_a_name_that_is_not_utf_8(run_db: Cli) -> None:
    done = run_db("history", "--manifest", "\udce4")
    assert (done.code, "not valid UTF-8" in done.err) == (2, True)


def test_history_of_a_database_without_batches_is_not_an_error(run_db: Cli) -> None:
    done = run_db("history")
    assert (done.code, done.out) == (0, "No batch with provenance is in this database.\n")
    assert run_db("history", "-o", "json").json["batches"] == []


@pytest.mark.parametrize(
    "attributes",
    ["null", "[]", '{"dbos_manifest": 7}', '{"dbos_manifest": {"manifest": {"a": 1}}}'],
)
def test_history_reads_attributes_of_other_programs(run_db: Cli, database_url: str, attributes: str) -> None:
    apply(run_db, "orders", "{id: a}, {id: b}")
    execute(database_url, f"UPDATE workflow_status SET attributes = '{attributes}' WHERE workflow_uuid = 'a'")
    done = run_db("history", "-o", "json")
    assert (done.code, done.err) == (0, "")
    assert [batch["workflows"] for batch in done.json["batches"] if batch["manifest"] == "orders"] == [1]


def test_history_skips_attributes_that_are_not_json(run: Cli, sqlite_url: str) -> None:
    """PostgreSQL refuses them."""

    def run_sqlite(*words: str) -> Run:
        return run(*words, "--database-url", sqlite_url)

    apply(run_sqlite, "orders", "{id: a}, {id: b}")
    execute(sqlite_url, "UPDATE workflow_status SET attributes = '{broken' WHERE workflow_uuid = 'a'")
    assert [batch["workflows"] for batch in run_sqlite("history", "-o", "json").json["batches"]] == [1]


@pytest.mark.parametrize("reason", ["", "two\nlines", "x" * 201, "\x1b[31mred"])
def test_reason_is_one_short_line(run_db: Cli, jobs: Path, reason: str) -> None:
    done = run_db("apply", "jobs.yaml", "--reason", reason)
    assert (done.code, "--reason" in done.err) == (2, True)


def test_reason_needs_provenance(run_db: Cli, jobs: Path) -> None:
    assert run_db("apply", "jobs.yaml", "--reason", "x", "--no-provenance").code == 2
