"""Check that any stored value is shown or refused with a reason; no command ends with exit code 70.

SQLite accepts any value in any column; PostgreSQL accepts any text and any 64-bit number.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from cli_harness import Cli, Run, execute

from dbos_manifest.core.portable_json import MAX_DEPTH
from dbos_manifest.core.units import format_timestamp
from dbos_manifest.report.text import plain_value, show_value, to_json

MANIFEST = """\
version: 1
name: j
defaults: {queue: q, workflow: f, priority: 3, timeout: 5m, authenticated_roles: [r], deduplication_id: null}
workflows:
  - {id: a, args: [1], deduplication_id: d1}
  - {id: b, kwargs: {x: 1}}
  - {id: c, not_before: "2030-01-01T00:00:00Z"}
"""
ONE_MORE = "  - {id: e, deduplication_id: d2}\n"
PREPARE = [
    "UPDATE workflow_status SET status='SUCCESS', completed_at=created_at+5, started_at_epoch_ms=created_at "
    "WHERE workflow_uuid='b'",
    "INSERT INTO workflow_output(workflow_uuid, output, retention_timestamp) VALUES ('b', '{\"x\":1}', 1)",
    "UPDATE workflow_status SET status='ERROR', completed_at=created_at+5 WHERE workflow_uuid='c'",
    "INSERT INTO workflow_output(workflow_uuid, error, retention_timestamp) "
    'VALUES (\'c\', \'{"name":"E","message":"m"}\', 1)',
    "INSERT INTO operation_outputs(workflow_uuid, function_id, function_name, error) "
    "VALUES ('c', 1, 'step', 'e')",
    "INSERT INTO queues(queue_id, name) VALUES ('1', 'q')",
    "INSERT INTO application_versions(version_id, version_name, version_timestamp, created_at) "
    "VALUES ('1', 'v', 1, 1)",
    "INSERT INTO workflow_schedules(schedule_id, schedule_name, workflow_name, schedule, context, status) "
    "VALUES ('1', 's', 'f', '* * * * *', '{}', 'ACTIVE')",
]
TABLES = ("workflow_status", "workflow_output", "workflow_input", "operation_outputs")
NAMES = {
    "queues": ["name", "application_name", "partition_queue", "concurrency"],
    "application_versions": ["version_name", "application_name", "version_timestamp"],
    "workflow_schedules": ["workflow_name", "schedule_name"],
}
DEEP = "[" * 900 + "]" * 900
TEXTS = [
    "''", "'abc'", "'NaN'", "'[NaN]'", "'1e400'", "'{\"name\":{},\"message\":NaN}'", "'\"\\ud800\"'",
    f"'{DEEP}'", f"'{'[' * 100_000}'", f"'{'9' * 5000}'",
]  # fmt: skip
NUMBERS = [
    "9223372036854775807", "-9223372036854775808", "1767225600000000", "1767225600000000000", "-1", "0",
]  # fmt: skip
ANYTHING = ["NULL", "x'fffe41'", "CAST(x'ff41' AS TEXT)", "1e400", "-1e400", "1.5", "'a'||char(0)||'b'"]
SHOW = ["--show-values", "--verify"]
ALLOW = ["--allow-drift", "--skip-conflicts"]
COMMANDS = [
    ["status", "j.yaml"],
    ["status", "j.yaml", "-o", "json"],
    ["status", "j.yaml", "--list", "--show-values", "--by", "queue"],
    ["status", "j.yaml", "--show-values", "-o", "json", "-o", "csv=s.csv", "-o", "markdown=s.md"],
    ["status", "j.yaml", "--show-values", "-o", "html"],
    ["plan", "k.yaml", *SHOW],
    ["plan", "k.yaml", *SHOW, "-o", "json", "-o", "jsonl=p.jsonl", "-o", "markdown=p.md"],
    ["plan", "j.yaml", "-o", "junit", "-o", "sarif=p.sarif", "-o", "github=p.github", "-o", "ids=p.ids"],
    ["plan", "k.yaml", *ALLOW, "--out", "k.plan"],
    ["explain", "j.yaml", "b"],
    ["explain", "j.yaml", "c", "-o", "json"],
    ["lock", "verify", "j.yaml", "-o", "json"],
    ["lock", "rebuild", "j.yaml"],
    ["doctor", "-o", "json"],
    ["apply", "k.yaml", *ALLOW, "--lockfile", "j.lock.jsonl", "--wait", "--wait-timeout", "0s", "-o", "json"],
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "j.yaml").write_text(MANIFEST)
    (tmp_path / "k.yaml").write_text(MANIFEST + ONE_MORE)
    return tmp_path


def read_strictly(text: str) -> Any:
    """Read JSON with a strict parser, which accepts neither NaN nor lone surrogates."""
    return orjson.loads(text)


def check(done: Run, words: list[str], what: str) -> None:
    assert done.code in (0, 2, 3, 5, 6, 7, 8), (what, words, done.err)
    if "json" in words and done.out:
        read_strictly(done.out)
    assert "\x1b" not in done.out, (what, words)


def columns(database: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    for table in TABLES:
        for row in database.execute(f"PRAGMA table_info({table})"):
            yield table, row[1]


def test_commands_handle_any_value_in_any_column(run: Cli, folder: Path, sqlite_url: str) -> None:
    """Test a third of all combinations; the commands take turns, so that each one gets each value."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    assert run("apply", "j.yaml", "--database-url", sqlite_url).code == 0
    with sqlite3.connect(path) as database:
        for statement in PREPARE:
            database.execute(statement)
    shutil.copy(path, folder / "good.sqlite")
    shutil.copy(folder / "j.lock.jsonl", folder / "good.lock")
    with sqlite3.connect(path) as database:
        found = list(columns(database))
    tried = 0
    for position, (table, column) in enumerate(found):
        for number, value in enumerate([*TEXTS, *NUMBERS, *ANYTHING]):
            if (position + number) % 3:
                continue
            shutil.copy(folder / "good.sqlite", path)
            database = sqlite3.connect(path)
            try:
                database.execute(f"UPDATE {table} SET {column} = {value}")
                database.commit()
            except sqlite3.Error:
                continue  # a constraint of the table rejects the value
            finally:
                database.close()
            words = COMMANDS[(position + number * 5) % len(COMMANDS)]
            shutil.copy(folder / "good.lock", folder / "j.lock.jsonl")
            done = run(*words, "--database-url", sqlite_url, "--retry-budget", "1s")
            check(done, words, f"{table}.{column} = {value[:40]}")
            tried += 1
    assert tried > 200


@pytest.mark.parametrize("value", ["''", *ANYTHING])
def test_plan_and_doctor_handle_any_name_of_a_queue_version_or_schedule(
    run: Cli, folder: Path, sqlite_url: str, value: str
) -> None:
    """Preflight and doctor compare, sort and list these names."""
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        for statement in PREPARE[-3:]:
            database.execute(statement)
        for table, names in NAMES.items():
            for name in names:
                with suppress(sqlite3.IntegrityError):  # names are NOT NULL
                    database.execute(f"UPDATE {table} SET {name} = {value}")
    for words in (["plan", "k.yaml"], ["plan", "k.yaml", "-o", "json"], ["doctor"], ["doctor", "-o", "json"]):
        check(run(*words, "--database-url", sqlite_url), words, value)


@pytest.mark.parametrize("value", [*TEXTS, "NULL"], ids=lambda value: value[:20])
def test_commands_handle_any_text_written_by_a_worker(
    run_db: Cli, folder: Path, database_url: str, value: str
) -> None:
    """Test outputs, errors, arguments and roles on both databases, with every command."""
    assert run_db("apply", "j.yaml").code == 0
    output = "workflow_output(workflow_uuid, {}, retention_timestamp) VALUES ('{}', {}, 1)"
    execute(
        database_url,
        "UPDATE workflow_status SET status='SUCCESS', completed_at=created_at+5 WHERE workflow_uuid='b'",
        "UPDATE workflow_status SET status='ERROR', completed_at=created_at+5 WHERE workflow_uuid='c'",
        f"INSERT INTO {output.format('output', 'b', value)}",
        f"INSERT INTO {output.format('error', 'c', value)}",
        f"UPDATE workflow_input SET inputs = {value}",
        f"UPDATE workflow_status SET authenticated_roles = {value}",
    )
    check_all(run_db, folder, value)


@pytest.mark.parametrize("value", NUMBERS)
def test_commands_handle_any_number_as_a_time(
    run_db: Cli, folder: Path, database_url: str, value: str
) -> None:
    """Test epochs in microseconds and nanoseconds, and impossible times."""
    assert run_db("apply", "j.yaml").code == 0
    times = ", ".join(
        f"{name} = {value}" for name in ("created_at", "updated_at", "completed_at", "started_at_epoch_ms")
    )
    execute(
        database_url,
        f"UPDATE workflow_status SET {times}, workflow_deadline_epoch_ms = {value}",
        "UPDATE workflow_status SET status = 'SUCCESS' WHERE workflow_uuid = 'b'",
    )
    shown = read_strictly(run_db("status", "j.yaml", "-o", "json").out)["workflows"]
    assert {row["created_at"] for row in shown} == {format_timestamp(int(value))}
    check_all(run_db, folder, value)


def check_all(run_db: Cli, folder: Path, what: str) -> None:
    shutil.copy(folder / "j.lock.jsonl", folder / "good.lock")
    for words in COMMANDS:
        shutil.copy(folder / "good.lock", folder / "j.lock.jsonl")
        check(run_db(*words), words, what[:40])
        if words[0] in ("apply", "lock"):  # the written lockfile must be readable
            assert run_db("lock", "verify", "j.yaml").code in (0, 6)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (float("nan"), "NaN"), (float("inf"), "Infinity"), ([-float("inf")], ["-Infinity"]),
        ("\ud800", "\\ud800"),
        ({"a\udfff": b"\xff\x00a"}, {"a\\udfff": "\\xff\x00a"}), (True, True), ((1, 2), [1, 2]),
        ("é😀", "é😀"), (1.5, 1.5), (None, None),
    ],
)  # fmt: skip
def test_plain_value_is_strict_json(value: Any, plain: Any) -> None:
    assert plain_value(value) == plain
    assert read_strictly(to_json({"x": value})) == {"x": plain}
    assert show_value(value)


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 900, 100_000])
def test_deeply_nested_value_is_cut(depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    assert show_value(value).startswith("[[[")
    text = to_json(plain_value(value))
    assert ("nested too deeply" in text) == (depth > MAX_DEPTH)
    read_strictly(text)
    read_strictly(to_json(plain_value({"x": value})))


@pytest.mark.parametrize(
    "value",
    [253_402_300_800_000, -62_135_596_800_001, 2**63, 1.5, "abc", b"\xff", None, float("nan"), "x" * 999],
)
def test_invalid_time_is_shown_with_a_note(value: object) -> None:
    text = format_timestamp(value)
    assert text.endswith(" (not a time in epoch milliseconds)")
    assert len(text) < 100
