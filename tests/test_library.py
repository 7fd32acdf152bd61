"""Test the library as its users call it: functions of an Airflow task, a Dagster asset and a script."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest
from dbos import DBOSClient
from urls import make_engine

import dbos_manifest
from dbos_manifest import (
    ApplyResult,
    InvalidManifest,
    ManifestToolError,
    Overrides,
    PartlyApplied,
    Refused,
)

ORDERS = dedent(
    """\
    version: 1
    name: orders
    vars: {day: null}
    defaults: {queue: etl}
    workflows:
      - id: "ingest-${{ vars.day }}-${{ region }}"
        workflow: ingest_orders
        matrix: {region: [eu, us]}
        args: ["${{ vars.day }}"]
    """
)


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """Write a manifest with two workflows for each day."""
    path = tmp_path / "orders.yaml"
    path.write_text(ORDERS)
    return path


@pytest.fixture
def client(database_url: str) -> Iterator[DBOSClient]:
    """Yield the official client."""
    client = DBOSClient(system_database_url=database_url)
    yield client
    client.destroy()


def submit(manifest: Path, ds: str, database_url: str) -> list[ApplyResult]:
    """Enqueue the workflows of a day, as an Airflow task does."""
    manifests = dbos_manifest.load(manifest, variables={"day": ds})
    return dbos_manifest.apply(manifests, database_url)


def test_a_task_enqueues_the_workflows_of_its_day(
    orders: Path, database_url: str, client: DBOSClient
) -> None:
    [result] = submit(orders, "2026-01-01", database_url)
    assert result.enqueued == 2
    found = {workflow.workflow_id: workflow.input for workflow in client.list_workflows()}
    assert found == {
        f"ingest-2026-01-01-{region}": {"args": ("2026-01-01",), "kwargs": {}} for region in ("eu", "us")
    }


def test_a_repeated_task_enqueues_nothing(orders: Path, database_url: str) -> None:
    submit(orders, "2026-01-01", database_url)
    [result] = submit(orders, "2026-01-01", database_url)
    assert (result.enqueued, result.lock_written) == (0, False)


def test_the_lockfile_records_every_day(orders: Path, database_url: str) -> None:
    submit(orders, "2026-01-01", database_url)
    [result] = submit(orders, "2026-01-02", database_url)
    assert (result.enqueued, result.lock_path.read_text().count("\n")) == (2, 1 + 4)


def test_target_chooses_the_lockfile(orders: Path, database_url: str) -> None:
    manifests = dbos_manifest.load(orders, variables={"day": "2026-01-01"})
    [result] = dbos_manifest.apply(manifests, database_url, target="prod")
    assert result.lock_path == orders.with_name("orders.prod.lock.jsonl")


def test_an_asset_reads_the_statuses_of_its_partition(orders: Path, database_url: str) -> None:
    manifests = dbos_manifest.load(orders, variables={"day": "2026-01-02"}, select="region=eu")
    before = Counter(found.status for found in dbos_manifest.status(manifests, database_url))
    dbos_manifest.apply(manifests, database_url)
    after = Counter(found.status for found in dbos_manifest.status(manifests, database_url))
    assert (before, after) == ({"NOT_ENQUEUED": 1}, {"ENQUEUED": 1})


def test_a_summary_counts_by_axis_and_groups_failures(orders: Path, database_url: str) -> None:
    manifests = dbos_manifest.load(orders, variables={"day": "2026-01-02"})
    dbos_manifest.apply(manifests, database_url)
    engine = make_engine(database_url)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL search_path = dbos")
        connection.exec_driver_sql(
            "UPDATE workflow_status SET status='CANCELLED' WHERE workflow_uuid='ingest-2026-01-02-us'"
        )
    engine.dispose()
    [summary] = dbos_manifest.summarize(manifests, database_url, by=["region"])
    assert {key: dict(cell.counts) for key, cell in summary.cells.items()} == {
        ("eu",): {"ENQUEUED": 1},
        ("us",): {"CANCELLED": 1},
    }
    assert [(group.size, dict(group.statuses)) for group in summary.failures] == [(1, {"CANCELLED": 1})]


def test_plan_writes_nothing(orders: Path, database_url: str) -> None:
    manifests = dbos_manifest.load(orders, variables={"day": "2026-01-01"})
    [plan] = dbos_manifest.plan(manifests, database_url)
    assert (plan.to_enqueue, plan.refuses(strict=False)) == (2, False)
    assert not [*orders.parent.glob("*.lock.jsonl*")]


def test_load_takes_only_the_given_ids(orders: Path) -> None:
    manifests = dbos_manifest.load(orders, variables={"day": "d"}, ids=["ingest-d-us"])
    assert list(manifests.workflow_ids) == ["ingest-d-us"]


def test_validate_returns_the_problems(orders: Path) -> None:
    orders.write_text(ORDERS.replace("queue: etl", "qeue: etl"))
    found = dbos_manifest.validate(orders, variables={"day": "2026-01-01"})
    assert "unknown-key" in {problem.code for problem in found}
    assert all(problem.span is not None for problem in found)


def test_an_invalid_manifest_is_an_error_that_names_the_places(orders: Path) -> None:
    orders.write_text(ORDERS.replace("queue: etl", "qeue: etl"))
    with pytest.raises(InvalidManifest) as raised:
        dbos_manifest.load(orders, variables={"day": "2026-01-01"})
    assert f"{orders}:4:12: error[unknown-key]" in str(raised.value)


def test_a_missing_variable_is_an_error_that_names_it(orders: Path) -> None:
    with pytest.raises(ManifestToolError, match="`orders` needs a value for `day`\nhelp: add them"):
        dbos_manifest.load(orders)


def test_drift_refuses_and_an_override_continues(orders: Path, database_url: str) -> None:
    submit(orders, "2026-01-01", database_url)
    orders.write_text(ORDERS.replace('args: ["${{ vars.day }}"]', "args: [changed]"))
    with pytest.raises(Refused, match="2 drifted") as raised:
        submit(orders, "2026-01-01", database_url)
    assert "ingest-2026-01-01-eu: drifted: args" in str(raised.value)
    manifests = dbos_manifest.load(orders, variables={"day": "2026-01-01"})
    settings = dbos_manifest.ApplySettings(overrides=Overrides(allow_drift=True))
    [result] = dbos_manifest.apply(manifests, database_url, settings=settings)
    assert result.enqueued == 0


def test_partly_applied_has_the_results(orders: Path, sqlite_template: Path) -> None:
    database = orders.with_name("strict.sqlite")
    database.write_bytes(sqlite_template.read_bytes())
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "CREATE TRIGGER only_eu BEFORE INSERT ON workflow_status WHEN NEW.workflow_uuid LIKE '%us' "
            "BEGIN SELECT RAISE(ABORT, 'only eu'); END"
        )
    with pytest.raises(PartlyApplied, match="1 of 2 workflows could not be enqueued") as raised:
        submit(orders, "2026-01-01", f"sqlite:///{database}")
    [result] = raised.value.results
    assert isinstance(result, ApplyResult)
    assert (result.enqueued, [row.spec.id for row in result.rejected]) == (1, ["ingest-2026-01-01-us"])


def test_status_refuses_the_lockfile_of_another_database(
    orders: Path, database_url: str, sqlite_template: Path
) -> None:
    submit(orders, "2026-01-01", database_url)
    other = orders.with_name("other.sqlite")
    other.write_bytes(sqlite_template.read_bytes())
    manifests = dbos_manifest.load(orders, variables={"day": "2026-01-01"})
    with pytest.raises(ManifestToolError, match="belongs to a different database"):
        list(dbos_manifest.status(manifests, f"sqlite:///{other}"))


def test_every_public_name_can_be_imported() -> None:
    for name in dbos_manifest.__all__:
        assert getattr(dbos_manifest, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        dbos_manifest.nothing  # noqa: B018 - the access is the test


def test_importing_the_package_loads_no_database_driver() -> None:
    code = "import dbos_manifest, sys; print(sorted({'sqlalchemy', 'psycopg', 'click'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
