"""Compare rows with those of the official client for the same options, column by column."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import DBOSClient
from dbos._serialization import WorkflowSerializationFormat
from dbos_tables import rows_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbos_manifest.core.canonical_json import encode_json
from dbos_manifest.system_db.connect import open_database
from dbos_manifest.system_db.database import Database
from dbos_manifest.system_db.insert import insert_rows, prepare_rows
from dbos_manifest.system_db.retry import Retry
from dbos_manifest.workflows.spec import WorkflowSpec

# times and IDs of the write itself
IGNORED = {"created_at", "updated_at", "creator_xid", "workflow_uuid", "retention_timestamp"}

OPTIONS: dict[str, tuple[str, Any, Any]] = {
    # option: (name in the client, our value, value for the client)
    "class_name": ("class_name", "Orders", "Orders"),
    "instance_name": ("instance_name", "eu", "eu"),
    "application": ("application_name", "orders", "orders"),
    "queue_partition_key": ("queue_partition_key", "p1", "p1"),
    "priority": ("priority", 7, 7),
    "timeout_ms": ("workflow_timeout", 90_500, 90.5),
    "deduplication_id": ("deduplication_id", "d", "d"),
    "application_version": ("app_version", "v1", "v1"),
    "authenticated_user": ("authenticated_user", "ann", "ann"),
    "authenticated_roles": ("authenticated_roles", ["a", "b"], ["a", "b"]),
    "attributes": ("attributes", {"k": [1, None, "x"]}, {"k": [1, None, "x"]}),
    "delay_ms": ("delay_seconds", 3_600_000, 3600.0),
}
HARD = "a'b\"c\\d\te\nf\\N\\.g,{}é😀\u202eשלום%s:x$1"
texts = st.one_of(
    st.just(HARD), st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def read_row(database: Database, workflow_id: str) -> dict[str, Any]:
    with database.reading() as connection:
        out: dict[str, Any] = {}
        for table in ("workflow_status", "workflow_input"):
            row = connection.execute(
                sa.text(f"SELECT * FROM {database.table(table)} WHERE workflow_uuid = :id"),
                {"id": workflow_id},
            ).mappings()
            for found in row:
                out |= {f"{table}.{key}": value for key, value in found.items() if key not in IGNORED}
    attributes = out["workflow_status.attributes"]
    if isinstance(attributes, str):
        attributes = json.loads(attributes)
    out["workflow_status.attributes"] = attributes  # the client writes JSON null for no attributes
    until = out.pop("workflow_status.delay_until_epoch_ms")
    out["delayed"] = until is not None
    return out


def write_both(url: str, options: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> None:
    ours, theirs = f"ours-{uuid.uuid4()}", f"theirs-{uuid.uuid4()}"
    client_options: dict[str, Any] = {OPTIONS[name][0]: OPTIONS[name][2] for name in options}
    for name in options:
        if isinstance(options[name], str):
            client_options[OPTIONS[name][0]] = options[name]
    if "deduplication_id" in options:
        client_options["deduplication_id"] = options["deduplication_id"] + "-theirs"
    client = DBOSClient(system_database_url=url)
    try:
        client.enqueue(
            {
                "workflow_id": theirs,
                "workflow_name": "f",
                "queue_name": "q",
                "serialization_type": WorkflowSerializationFormat.PORTABLE,
                **client_options,
            },
            *args,
            **kwargs,
        )
    finally:
        client.destroy()
    spec = WorkflowSpec(ours, "f", "q", args, kwargs, **options)
    with open_database(url, retry=Retry(1, lambda notice: None)) as database:
        attributes = None if spec.attributes is None else encode_json(spec.attributes).decode()
        with database.transaction() as connection:
            assert insert_rows(
                connection, database, prepare_rows(database, rows_of(spec, attributes=attributes))
            ) == {ours}
        mine, other = read_row(database, ours), read_row(database, theirs)
        if "deduplication_id" in options:
            assert other.pop("workflow_status.deduplication_id") == f"{options['deduplication_id']}-theirs"
            assert mine.pop("workflow_status.deduplication_id") == options["deduplication_id"]
        with database.transaction() as connection:  # release the deduplication IDs for the next example
            connection.execute(sa.text(f"DELETE FROM {database.table('workflow_status')}"))
        assert mine == other
        assert "workflow_input.inputs" in mine


@pytest.mark.parametrize("name", OPTIONS)
def test_row_with_each_option_matches_the_client(database_url: str, name: str) -> None:
    write_both(database_url, {name: OPTIONS[name][1]}, ["x", 1], {"k": True})


def test_row_without_options_matches_the_client(database_url: str) -> None:
    write_both(database_url, {}, [], {})


def test_row_with_special_characters_matches_the_client(database_url: str) -> None:
    options = {name: HARD for name, (_, value, _) in OPTIONS.items() if isinstance(value, str)}
    write_both(database_url, options, [HARD], {HARD: HARD})


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.sets(st.sampled_from(sorted(OPTIONS))),
    args=st.lists(values, max_size=3),
    kwargs=st.dictionaries(texts, values, max_size=3).filter(lambda d: not d.keys() & {"self", "options"}),
)
def test_rows_with_random_options_match_the_client(
    database_url: str, names: set[str], args: list[Any], kwargs: dict[str, Any]
) -> None:
    write_both(database_url, {name: OPTIONS[name][1] for name in sorted(names)}, args, kwargs)


def test_existing_row_is_not_changed(database_url: str) -> None:
    """A legacy row has its inputs in workflow_status; a row in workflow_input would replace them."""
    with open_database(database_url, retry=Retry(1, lambda notice: None)) as database:
        first = rows_of(WorkflowSpec("a", "f", "q", [1], {}))
        second = rows_of(WorkflowSpec("a", "f", "q", [2], {}), first_ms=9, creator_xid="y")
        with database.transaction() as connection:
            insert_rows(connection, database, prepare_rows(database, first, legacy_inputs=True))
            connection.execute(sa.text(f"DELETE FROM {database.table('workflow_input')}"))
        before = _dump(database)
        with database.transaction() as connection:
            assert insert_rows(connection, database, prepare_rows(database, second)) == set()
        assert _dump(database) == before
        assert len(before[0]) == 1
        assert before[1] == []


def _dump(database: Database) -> tuple[list[Any], list[Any]]:
    with database.reading() as connection:
        status, inputs = (
            [tuple(row) for row in connection.execute(sa.text(f"SELECT * FROM {database.table(table)}"))]
            for table in ("workflow_status", "workflow_input")
        )
    return status, inputs


@pytest.mark.parametrize("one_is_there", [False, True])
def test_rows_inserted_together_equal_rows_inserted_alone(database_url: str, one_is_there: bool) -> None:
    """Insert one batch; an existing row makes the insert check each row."""
    different = [WorkflowSpec("none", "f", "q", [], {}), WorkflowSpec("hard", HARD, HARD, [HARD], {HARD: 1})]
    different += [
        WorkflowSpec(name, "f", "q", [name], {}, **{name: HARD if isinstance(value, str) else value})
        for name, (_, value, _) in OPTIONS.items()
        if name != "attributes"  # are not part of a workflow's options
    ]
    with open_database(database_url, retry=Retry(1, lambda notice: None)) as database:

        def insert(*specs: WorkflowSpec) -> dict[str, dict[str, Any]]:
            prepared = prepare_rows(database, rows_of(*specs, attributes='{"k":"\\\\"}'))
            with database.transaction() as connection:
                assert insert_rows(connection, database, prepared) == {spec.id for spec in specs} - {"there"}
            return {spec.id: read_row(database, spec.id) for spec in specs}

        there = WorkflowSpec("there", "f", "q", [0], {})
        alone = {}
        for spec in different:
            alone |= insert(spec)
        with database.transaction() as connection:
            for table in ("workflow_status", "workflow_input"):
                connection.execute(sa.text(f"DELETE FROM {database.table(table)}"))
            if one_is_there:
                insert_rows(connection, database, prepare_rows(database, rows_of(there)))
        together = insert(*different, *([there._replace(args=[1])] if one_is_there else []))
        if one_is_there:
            assert "[0]" in together.pop("there")["workflow_input.inputs"]
        assert together == alone
