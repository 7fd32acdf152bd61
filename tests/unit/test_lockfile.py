"""Test the text of lockfiles: normal form, merging, errors and rebuild."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbos_manifest.core.errors import InvalidLockfile
from dbos_manifest.lockfile.entry_line import ENTRY_KEYS, LockEntry, LockHeader, format_entry
from dbos_manifest.lockfile.lockfile import Lockfile, check_owner, find_coverage_problems, new_lockfile
from dbos_manifest.lockfile.reader import parse_lockfile, salvage_lockfile
from dbos_manifest.workflows.batch import Batch
from dbos_manifest.workflows.digest import compute_digests
from dbos_manifest.workflows.spec import WorkflowSpec

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "lockfile.v1.schema.json").read_text())
DIGEST = "A" * 22
HEADER = '{"version":1,"revision":0,"manifest":"m","database":"db"}\n'
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
entries = st.builds(
    LockEntry,
    texts,
    texts,
    st.just(DIGEST),
    st.integers(0, 4_000_000_000_000),
    st.sampled_from([None, "existing"]),
    st.sampled_from([None, "SUCCESS", "ERROR"]),
    st.none() | st.integers(0, 4_000_000_000_000),
    st.none() | st.integers(1, 9),
)


def lock_of(*found: LockEntry) -> Lockfile:
    lock = new_lockfile("m", "db")
    for entry in found:
        lock.record(entry)
    return lock


def text_of(lock: Lockfile) -> str:
    return "".join(lock.render())


@settings(deadline=None)
@given(st.lists(entries, max_size=5))
def test_written_lockfile_is_read_back(found: list[LockEntry]) -> None:
    lock = lock_of(*found)
    text = text_of(lock)
    again = parse_lockfile(text, "f")
    assert {i: again.entry(i) for i in again.ids()} == {entry.id: entry for entry in found}
    assert text_of(again) == text
    assert not again.differs_from_file
    validator = jsonschema_rs.validator_for(SCHEMA)
    assert all(validator.is_valid(json.loads(line)) for line in text.split("\n")[:-1])
    assert "\r" not in text
    assert "\u2028" not in text


def test_lockfile_is_sorted_by_id() -> None:
    lock = lock_of(LockEntry("b", "f", DIGEST, 1), LockEntry("a", "f", DIGEST, 2))
    head, first, second = text_of(lock).splitlines()
    assert parse_lockfile("\n".join([second, head, first, head]), "f").ids() == {"a", "b"}
    assert [json.loads(line)["id"] for line in (first, second)] == ["a", "b"]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (LockEntry("a", "f", DIGEST, 5, retries=2), LockEntry("a", "f", DIGEST, 1, None, "SUCCESS", 9, 1)),
        (LockEntry("a", "f", DIGEST, 5, None, "SUCCESS", 9), LockEntry("a", "f", DIGEST, 1)),
        (
            LockEntry("a", "f", DIGEST, 5, None, "ERROR", 9),
            LockEntry("a", "f", DIGEST, 1, None, "SUCCESS", 8),
        ),
        (LockEntry("a", "f", DIGEST, 1, None, "CANCELLED"), LockEntry("a", "f", DIGEST, 1)),
        (LockEntry("a", "f", DIGEST, 1), LockEntry("a", "f", DIGEST, 2)),
        (LockEntry("a", "f", DIGEST, 1), LockEntry("a", "f", DIGEST, 1, "existing")),
    ],
)
def test_one_of_two_lines_for_a_workflow_is_kept_unchanged(better: LockEntry, worse: LockEntry) -> None:
    for pair in ((better, worse), (worse, better)):
        lock = parse_lockfile(HEADER + "".join(format_entry(entry, {}) + "\n" for entry in pair), "f")
        assert lock.entry("a") == better
        assert lock.differs_from_file


@settings(deadline=None)
@given(st.lists(entries.map(lambda entry: entry._replace(id="a")), min_size=1, max_size=4), st.randoms())
def test_order_of_lines_does_not_change_the_merged_entry(found: list[LockEntry], chance: Random) -> None:
    lines = [format_entry(entry, {}) + "\n" for entry in found]
    first = text_of(parse_lockfile(HEADER + "".join(lines), "f"))
    chance.shuffle(lines)
    assert text_of(parse_lockfile(HEADER + "".join(lines), "f")) == first


def test_fields_of_a_newer_revision_are_kept() -> None:
    text = text_of(lock_of(LockEntry("a", "f", DIGEST, 1))).replace('"revision":0', '"revision":7,"x":1')
    lock = parse_lockfile(text.replace('"digest"', '"new":[2],"digest"'), "f")
    lock.record_status("a", "SUCCESS", 3)
    assert '"x":1' in text_of(lock)
    assert '"new":[2]' in text_of(lock)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("garbage\n", "not JSON"),
        ('{"version":2,"revision":0,"manifest":"m","database":"d"}\n', "reads only up to 1"),
        ("<<<<<<< HEAD\n", "conflict markers"),
        ('{"id":"a","workflow":"f","digest":"short","enqueued_at":"2026-01-01T00:00:00.000Z"}\n', "digest"),
        ("[1]\n", "not a JSON object"),
    ],
)
def test_invalid_lockfile_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidLockfile, match=message):
        parse_lockfile(text, "f")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        parse_lockfile(content, "f")
    except InvalidLockfile as error:
        assert "f" in error.message


def test_lockfile_of_another_manifest_or_database_is_refused() -> None:
    lock = new_lockfile("m", "db")
    check_owner(lock, manifest="m", database="db", file="f")
    for manifest, database in (("other", "db"), ("m", "other")):
        with pytest.raises(InvalidLockfile, match="belongs to"):
            check_owner(lock, manifest=manifest, database=database, file="f")


def test_workflows_missing_in_the_lockfile_are_reported() -> None:
    spec = WorkflowSpec("a", "f", "q", [], {})
    lock = lock_of(LockEntry("a", "f", compute_digests(Batch.of([spec]))[0], 1))
    assert [*find_coverage_problems(lock, [Batch.of([spec])])] == []
    assert [*find_coverage_problems(lock, [Batch.of([spec, spec._replace(id="b")])])] == [
        "b: in the manifest, but not in the lockfile"
    ]
    assert [*find_coverage_problems(lock, [Batch.of([spec._replace(priority=3)])])] == [
        "a: the manifest has changed since the lockfile was written"
    ]
    assert [*find_coverage_problems(lock, [])] == ["a: in the lockfile, but not in the manifest"]


ONE, TWO = (format_entry(LockEntry(name, "f", DIGEST, 1_769_900_000_000), {}) + "\n" for name in "ab")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEADER + TWO + ONE, "line 3: not in order"),
        (ONE + HEADER + TWO, "line 2: the header is not the first line"),
        (HEADER + ONE + HEADER + TWO, "line 3: a duplicate header line"),
        (HEADER + ONE + ONE + TWO, "line 3: a duplicate line of one workflow"),
        (HEADER + ONE + "\n" + TWO, "line 3: a blank line"),
        (HEADER + ONE + TWO + "\n", "line 4: a blank line"),
        (HEADER + ONE + TWO.rstrip("\n"), "line 3: the last line has no line end"),
        ((HEADER + ONE + TWO).replace("\n", "\r\n"), "line 1: lines end with a carriage return"),
        ("\ufeff" + HEADER + ONE + TWO, "line 1: a byte order mark"),
        (HEADER.replace(":", ": ") + ONE + TWO, "line 1: not in the format"),
        (HEADER + ONE.replace(":", ": ", 1) + TWO, "line 2: not in the format"),
        (HEADER + ONE.replace("a", "\\u0061", 1) + TWO, "line 2: not in the format"),
        (HEADER + ONE.replace(".000Z", "Z") + TWO, "line 2: not in the format"),
        (HEADER + ONE.replace(".000Z", ".000+00:00") + TWO, "line 2: not in the format"),
        (HEADER + ONE.replace("}", ',"retries":0}') + TWO, "line 2: not in the format"),
    ],
)
def test_other_form_is_noted_and_rewritten_in_normal_form(text: str, problem: str) -> None:
    lock = parse_lockfile(text.encode(), "f")
    assert lock.irregularities
    assert lock.irregularities[0].startswith(problem)
    assert not lock.changed
    assert lock.differs_from_file
    assert text_of(lock) == HEADER + ONE + TWO
    again = parse_lockfile(text_of(lock), "f")
    assert not again.differs_from_file


@settings(deadline=None)
@given(st.lists(entries, max_size=5, unique_by=lambda entry: entry.id), st.randoms())
def test_normal_form_does_not_depend_on_the_order(found: list[LockEntry], chance: Random) -> None:
    text = text_of(lock_of(*found))
    header, *lines = text.split("\n")[:-1]
    shuffled = lines[:]
    chance.shuffle(shuffled)
    lock = parse_lockfile("".join(f"{line}\n" for line in (header, *shuffled)), "f")
    assert lock.differs_from_file == (shuffled != lines)
    assert text_of(lock) == text


def test_order_is_checked_across_blocks_of_lines() -> None:
    lines = [format_entry(LockEntry(f"w{number:05}", "f", DIGEST, 1), {}) + "\n" for number in range(10_000)]
    assert not parse_lockfile(HEADER + "".join(lines), "f").differs_from_file
    for swapped in (lines[4096:] + lines[:4096], [lines[-1], *lines[:-1]], [*lines, lines[0]]):
        lock = parse_lockfile(HEADER + "".join(swapped), "f")
        assert lock.differs_from_file
        assert text_of(lock) == HEADER + "".join(lines)


def test_lockfile_of_a_newer_revision_is_not_rewritten() -> None:
    newer = HEADER.replace('"revision":0', '"revision":1')
    text = newer + ONE.replace('"digest"', '"new":[2],"digest"') + TWO
    lock = parse_lockfile(text, "f")
    assert not lock.differs_from_file
    assert text_of(lock) == text


BAD_LINES = {
    '{"id":"z","workf': "it is not JSON",
    ONE.replace('"workflow"', '"id":"z","workflow"').rstrip("\n"): "occurs twice",
    "\0\0\0": "it is not JSON",
    "[" * 100_000: "nested more than",
    '{"id":' + "[" * 200 + "]" * 200 + "}": "nested more than",
    '{"id":"z","n":NaN}': "JSON has no `NaN`",
    '{"id":"z","n":' + "9" * 5000 + "}": "out of range",
    ONE.replace("a", "\\ud800", 1).rstrip("\n"): "lone surrogate",
    ONE.replace("a", "\\u0000", 1).rstrip("\n"): "NUL",
    ONE.replace('"id":"a"', '"id":""').rstrip("\n"): "`id` must be a string",
    ONE.replace('"id":"a"', '"id":5').rstrip("\n"): "`id` must be a string",
    ONE.replace("2026", "0000").rstrip("\n"): "not a valid date",
    ONE.replace("2026-01-31", "2026-02-29").rstrip("\n"): "not a valid date",
    ONE.replace("2026-01-31", "2026-04-31").rstrip("\n"): "not a valid date",
    ONE.replace("2026-01-31", "0001-01-01").replace("Z", "+23:00").rstrip("\n"): "outside the years",
    ONE.replace("}", ',"retries":-1}').rstrip("\n"): "`retries` must be",
    ONE.replace("}", ',"retries":true}').rstrip("\n"): "`retries` must be",
    "x" * 2_000_000: "it is not JSON",
    '{"version":0,"manifest":"m","database":"db"}': "neither a header nor a lock entry",
    "{}": "neither a header nor a lock entry",
    "42": "not a JSON object",
    "\udcff": "not UTF-8",  # a byte 0xFF
}


@pytest.mark.parametrize("line", BAD_LINES, ids=range(len(BAD_LINES)))
def test_invalid_line_is_refused_and_rebuild_keeps_the_others(line: str) -> None:
    text = (HEADER + ONE + line + "\n" + TWO).encode("utf-8", "surrogateescape")
    with pytest.raises(InvalidLockfile, match=r"f:3: .*" + re.escape(BAD_LINES[line])):
        parse_lockfile(text, "f")
    lock, rejected, has_header = salvage_lockfile(text, "f", LockHeader("m", "db"))
    assert [rejection.number for rejection in rejected] == [3]
    assert has_header
    assert text_of(lock) == HEADER + ONE + TWO
    assert lock.differs_from_file


def test_rebuild_reads_both_sides_of_a_conflict() -> None:
    text = HEADER + "<<<<<<< HEAD\n" + ONE + "||||||| base\n=======\n" + TWO + ">>>>>>> theirs\n"
    lock, rejected, _ = salvage_lockfile(text, "f", LockHeader("m", "db"))
    assert text_of(lock) == HEADER + ONE + TWO
    assert all(rejection.is_marker for rejection in rejected)


def test_rebuild_refuses_a_second_header_of_another_owner_or_version() -> None:
    for other in (HEADER.replace('"m"', '"x"'), HEADER.replace('"db"', '"x"'), HEADER.replace(":1", ":2", 1)):
        with pytest.raises(InvalidLockfile):
            salvage_lockfile(HEADER + ONE + other, "f", LockHeader("m", "db"))


def test_rebuild_keeps_entries_without_a_header() -> None:
    lock, _, has_header = salvage_lockfile("garbage\n" + ONE, "f", LockHeader("m", "db"))
    assert not has_header
    assert text_of(lock) == HEADER + ONE


@settings(deadline=None)
@given(st.lists(entries, max_size=9, unique_by=lambda entry: entry.id))
def test_totals_by_column_equal_totals_by_entry(found: list[LockEntry]) -> None:
    lock = lock_of(*found)
    ids, digests = [entry.id for entry in found], [entry.digest for entry in found]
    total = sum(entry.enqueued_at for entry in found)
    assert lock.sum_enqueued_at(ids) == total
    assert lock.find_recorded(ids, digests) == (frozenset(ids), total)
    if found:
        assert lock.find_recorded(ids, ["B" * 22, *digests[1:]]).ids == frozenset(ids[1:])
        assert lock.find_recorded([*ids, "none of these"], [*digests, DIGEST]) == (frozenset(ids), total)


def test_completion_time_is_never_before_the_enqueue_time() -> None:
    lock = lock_of(LockEntry("a", "f", DIGEST, 5_000))
    lock.record_status("a", "SUCCESS", 4_000)
    entry = lock.entry("a")
    assert entry is not None
    assert entry.completed_at == 5_000


@given(
    st.text(min_size=1), st.text(alphabet="ab -_:", min_size=1), st.integers(-(10**12), 2 * 10**14),
    st.sampled_from([None, "existing"]), st.sampled_from([None, "SUCCESS"]),
    st.none() | st.integers(0, 10**13),
)  # fmt: skip
def test_fast_serialization_equals_the_json_module(
    text: str, name: str, at: int, outcome: str | None, status: str | None, ended: int | None
) -> None:
    for workflow_id in (text, name):
        entry = LockEntry(workflow_id, name, "d" * 22, at, outcome, status, ended)
        line = format_entry(entry, {})
        fields = {key: value for key, value in entry._asdict().items() if value is not None}
        decoded = json.loads(line)
        assert list(decoded) == [key for key in ENTRY_KEYS if key in fields]
        assert line == format_entry(entry, {"x": 1}).replace(',"x":1', "")
