"""Lockfile text: one spelling, any order read, nothing lost, nothing misread silently."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.blocks import digest_spec
from dbos_manifest.errors import InvalidLockfile
from dbos_manifest.lock_lines import LockEntry, spell_entry
from dbos_manifest.lockfile import Lockfile, check_owner, lock_problems, new_lockfile, parse_lockfile
from dbos_manifest.spec import WorkflowSpec

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "lockfile.v1.schema.json").read_text())
DIGEST = "A" * 22
texts = st.text(st.characters(codec="utf-8"), min_size=1)
entries = st.builds(
    LockEntry,
    texts,
    texts,
    st.just(DIGEST),
    st.integers(0, 4_000_000_000_000),
    st.sampled_from([None, "existing"]),
    st.sampled_from([None, "SUCCESS", "ERROR"]),
    st.none() | st.integers(0, 4_000_000_000_000),
)


def lock_of(*found: LockEntry) -> Lockfile:
    lock = new_lockfile("m", "db")
    for entry in found:
        lock.record(entry)
    return lock


def text_of(lock: Lockfile) -> str:
    return "".join(lock.render())


@given(st.lists(entries, max_size=5))
def test_what_is_written_is_read(found: list[LockEntry]) -> None:
    lock = lock_of(*found)
    text = text_of(lock)
    again = parse_lockfile(text, "f")
    assert {i: again.entry(i) for i in again.ids()} == {entry.id: entry for entry in found}
    assert text_of(again) == text
    assert not again.changed
    validator = jsonschema_rs.validator_for(SCHEMA)
    assert all(validator.is_valid(json.loads(line)) for line in text.split("\n")[:-1])
    assert "\r" not in text
    assert "\u2028" not in text


def test_sorted_by_id_whatever_the_order() -> None:
    lock = lock_of(LockEntry("b", "f", DIGEST, 1), LockEntry("a", "f", DIGEST, 2))
    head, first, second = text_of(lock).splitlines()
    assert parse_lockfile("\n".join([second, head, first, head]), "f").ids() == {"a", "b"}
    assert [json.loads(line)["id"] for line in (first, second)] == ["a", "b"]


def test_of_doubled_lines_the_earliest_wins_and_a_final_status_stays() -> None:
    early = text_of(lock_of(LockEntry("a", "f", DIGEST, 1)))
    late = text_of(lock_of(LockEntry("a", "f", DIGEST, 5, None, "SUCCESS", 9))).splitlines()[1]
    assert parse_lockfile(early + late, "f").entry("a") == LockEntry("a", "f", DIGEST, 1, None, "SUCCESS", 9)


def test_fields_of_a_newer_revision_are_kept() -> None:
    text = text_of(lock_of(LockEntry("a", "f", DIGEST, 1))).replace('"revision":0', '"revision":7,"x":1')
    lock = parse_lockfile(text.replace('"digest"', '"new":[2],"digest"'), "f")
    lock.finish("a", "SUCCESS", 3)
    assert '"x":1' in text_of(lock)
    assert '"new":[2]' in text_of(lock)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("garbage\n", "not JSON"),
        ('{"version":2,"revision":0,"manifest":"m","database":"d"}\n', "upgrade it"),
        ("<<<<<<< HEAD\n", "conflict markers"),
        ('{"id":"a","workflow":"f","digest":"short","enqueued_at":"2026-01-01T00:00:00.000Z"}\n', "digest"),
        ("[1]\n", "not a JSON object"),
    ],
)
def test_what_is_no_lockfile_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidLockfile, match=message):
        parse_lockfile(text, "f")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        parse_lockfile(content, "f")
    except InvalidLockfile as error:
        assert "f" in error.message


def test_owner() -> None:
    lock = new_lockfile("m", "db")
    check_owner(lock, manifest="m", database="db", file="f")
    for manifest, database in (("other", "db"), ("m", "other")):
        with pytest.raises(InvalidLockfile, match="belongs to"):
            check_owner(lock, manifest=manifest, database=database, file="f")


def test_problems() -> None:
    spec = WorkflowSpec("a", "f", "q", [], {})
    good = text_of(lock_of(LockEntry("a", "f", digest_spec(spec), 1)))
    assert list(lock_problems(good, "f", [spec])) == []
    assert any("not in the lockfile" in p for p in lock_problems(good, "f", [spec, spec._replace(id="b")]))
    assert any("has changed" in p for p in lock_problems(good, "f", [spec._replace(priority=3)]))
    assert any("not in the manifest" in p for p in lock_problems(good, "f", []))
    assert any("spelled otherwise" in p for p in lock_problems(good.replace(":", ": ", 1), "f", [spec]))


@given(
    st.text(min_size=1), st.text(alphabet="ab -_:", min_size=1), st.integers(-(10**12), 2 * 10**14),
    st.sampled_from([None, "existing"]), st.sampled_from([None, "SUCCESS"]),
    st.none() | st.integers(0, 10**13),
)  # fmt: skip
def test_the_quick_spelling_is_the_slow_one(
    text: str, name: str, at: int, outcome: str | None, status: str | None, ended: int | None
) -> None:
    for workflow_id in (text, name):
        entry = LockEntry(workflow_id, name, "d" * 22, at, outcome, status, ended)
        line = spell_entry(entry, {})
        fields = {key: value for key, value in entry._asdict().items() if value is not None}
        decoded = json.loads(line)
        assert list(decoded) == list(fields)
        assert line == spell_entry(entry, {"x": 1}).replace(',"x":1', "")
