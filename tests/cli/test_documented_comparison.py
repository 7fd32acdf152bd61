"""Check that `plan` compares what the column "compared" of docs/reference/manifest.md describes."""

from __future__ import annotations

import json
import runpy
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from cli_harness import Cli

ROOT = Path(__file__).parents[2]
COMPARED: dict[str, str] = runpy.run_path(str(ROOT / "docs" / "generate.py"))["COMPARED"]
IDENTITY = {"id"}  # another ID is another row
BEFORE: dict[str, Any] = {
    "name": "one", "workflow": "ingest", "class_name": "Orders", "instance_name": "eu", "queue": "etl",
    "args": [1], "kwargs": {"region": "eu"}, "priority": 1, "timeout": "1m",
    "deadline": "2099-01-01T00:00:00Z",
    "delay": "1d", "not_before": "2099-01-01T00:00:00Z", "duplication_policy": "reject",
    "queue_partition_key": "eu", "application_version": "v1", "application": "shop",
    "authenticated_user": "ann", "authenticated_roles": ["admin"], "assumed_role": "admin",
    "attributes": {"team": "data"}, "schedule": "nightly", "runtime": "python",
}  # fmt: skip
AFTER: dict[str, Any] = {
    "name": "two", "workflow": "export", "class_name": "Invoices", "instance_name": "us", "queue": "elt",
    "args": [2], "kwargs": {"region": "us"}, "priority": 2, "timeout": "2m",
    "deadline": "2098-01-01T00:00:00Z",
    "delay": "2d", "not_before": "2098-01-01T00:00:00Z", "deduplication_id": "other",
    "duplication_policy": "return-existing", "queue_partition_key": "us", "application_version": "v2",
    "application": "store", "authenticated_user": "bob", "authenticated_roles": ["auditor"],
    "assumed_role": "auditor", "attributes": {"team": "web"}, "schedule": "weekly", "runtime": None,
}  # fmt: skip
ALONE = {"deadline", "delay", "not_before"}  # exclusive with other options, so set only in their own workflow
EXPECTED = {  # text of the page: state of a queued and of a finished workflow
    "always; a difference is a conflict": ("conflict", "conflict"),
    "where both sides name one; a difference is a conflict": ("conflict", "conflict"),
    "in every status": ("drifted", "drifted"),
    "while the workflow has never started": ("drifted", "unchanged"),
    "while the workflow is DELAYED": ("drifted", "unchanged"),
    "never": ("unchanged", "unchanged"),
}


def write_manifest(changed: bool) -> None:
    """Write a manifest with one workflow for each option; with `changed` each differs in its own option."""
    workflows = []
    for option in COMPARED.keys() - IDENTITY:
        values = {
            name: value
            for name, value in BEFORE.items()
            if name in COMPARED and (name not in ALONE or name == option)
        }
        if option == "deadline":
            del values["timeout"]
        entry = {**values, "id": option, "deduplication_id": f"{option}-1"}
        workflows.append({**entry, option: AFTER[option]} if changed else entry)
    Path("jobs.yaml").write_text(json.dumps({"version": 1, "name": "jobs", "workflows": workflows}))


def states(run: Cli, url: str) -> dict[str, str]:
    done = run("plan", "jobs.yaml", "-o", "jsonl", "--database-url", url)
    lines = [json.loads(line) for line in done.out.splitlines()]
    return {line["id"]: line["state"] for line in lines if "state" in line}


def test_every_option_of_an_entry_has_a_description_of_its_comparison() -> None:
    schema = json.loads((ROOT / "schemas" / "manifest.v1.schema.json").read_text(encoding="utf-8"))
    assert COMPARED.keys() | {"matrix"} == schema["$defs"]["workflow"]["properties"].keys()


@pytest.mark.parametrize("status", ["ENQUEUED", "SUCCESS"])
def test_plan_compares_what_the_manifest_reference_describes(run: Cli, sqlite_url: str, status: str) -> None:
    write_manifest(changed=False)
    assert run("apply", "jobs.yaml", "--database-url", sqlite_url).code == 0
    if status == "SUCCESS":
        with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
            connection.execute("UPDATE workflow_status SET status = 'SUCCESS', recovery_attempts = 1")
    write_manifest(changed=True)
    described = {
        option: EXPECTED[text][status == "SUCCESS"]
        for option, text in COMPARED.items()
        if option not in IDENTITY
    }
    assert states(run, sqlite_url) == described
