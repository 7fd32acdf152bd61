"""Test the journal: reading, truncation, and refusal of foreign journals."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from dbos_manifest.actions.lockfiles import load_lockfile
from dbos_manifest.core.errors import LockfileNotWritable, Refused
from dbos_manifest.files.journal_file import JournalFile, journal_path, open_journal
from dbos_manifest.files.lockfile_writer import LockfileWriter
from dbos_manifest.lockfile.entry_line import LockEntry, LockHeader, format_entry
from dbos_manifest.lockfile.journal import (
    Journal,
    JournalTransaction,
    ResolveInDoubt,
    assume_committed,
    read_journal,
    replay_journal,
)
from dbos_manifest.lockfile.lockfile import Lockfile, new_lockfile

HEADER = LockHeader("m", "db")
DIGEST = "A" * 22


def line(workflow_id: str, enqueued_at: int = 1000, status: str | None = None) -> str:
    return format_entry(LockEntry(workflow_id, "f", DIGEST, enqueued_at, None, status), {})


def write_journal(path: Path, *transactions: tuple[str | None, list[str], bool | None]) -> str:
    """Write a journal and return its text; an outcome of None leaves the transaction in doubt."""
    journal = Journal(lambda: JournalFile(path), HEADER)
    for number, ids, outcome in transactions:
        journal.begin(number)
        journal.add([line(workflow_id) for workflow_id in ids])
        journal.prepare_commit()
        if outcome is not None:
            journal.record_outcome(committed=outcome)
    journal.close()
    return path.read_text()


def adopt(
    text: str, lock: Lockfile | None = None, resolve: ResolveInDoubt = assume_committed, **owner: str | None
) -> Lockfile:
    words = {"manifest": "m", "database": "db", **owner}
    found = replay_journal(lock, text, file="j", resolve=resolve, **words)  # type: ignore[arg-type]
    assert found is not None
    return found


def never(transaction: JournalTransaction, earlier: Sequence[JournalTransaction]) -> bool:
    return False


def test_committed_and_unresolved_entries_are_adopted_and_aborted_ones_are_not(tmp_path: Path) -> None:
    text = write_journal(tmp_path / "j", ("7@1.5", ["a", "b"], True), ("8", ["c"], False), ("9", ["d"], None))
    asked: list[str | None] = []

    def resolve(transaction: JournalTransaction, earlier: Sequence[JournalTransaction]) -> bool:
        asked.append(transaction.transaction_id)
        assert [one.transaction_id for one in earlier] == ["7@1.5"]
        assert [*transaction.created_at_ms()] == [("d", 1000)]
        return False

    assert {*adopt(text).ids()} == {"a", "b", "d"}
    lock = adopt(text, resolve=resolve)
    assert {*lock.ids()} == {"a", "b"}
    assert asked == ["9"]
    assert lock.changed
    assert lock.header == HEADER


def test_truncated_journal_has_every_prepared_transaction(tmp_path: Path) -> None:
    path = tmp_path / "j"
    text = write_journal(path, (None, ["ä", 'b"\\'], True), ("8", ["c"], None))
    ready = [text.index('{"entries":2}') + len('{"entries":2}\n'), len(text)]
    for size in range(len(text) + 1):
        found = read_journal(text[:size], "j")
        count = sum(end <= size for end in ready)
        assert [sorted(t.lines) for t in (found[1] if found else [])] == [['b"\\', "ä"], ["c"]][:count]
        path.write_text(text[:size])  # the next apply continues in the same file
        whole = write_journal(path, ("10", ["d"], True))
        assert {"d"} <= {*adopt(whole).ids()}


def test_transaction_that_was_never_prepared_is_ignored(tmp_path: Path) -> None:
    journal = Journal(lambda: JournalFile(tmp_path / "j"), HEADER)
    journal.begin("7")
    journal.add([line("a")])
    journal.begin("8")
    journal.add([line("b")])
    journal.prepare_commit()
    assert journal.in_doubt
    assert journal.close()
    assert {*adopt((tmp_path / "j").read_text()).ids()} == {"b"}


def test_no_transaction_can_be_prepared_after_the_end(tmp_path: Path) -> None:
    journal = Journal(lambda: JournalFile(tmp_path / "j"), HEADER)
    journal.begin("7")
    journal.add([line("a")])
    assert not journal.close()
    with pytest.raises(LockfileNotWritable):
        journal.prepare_commit()


def test_existing_lock_entry_is_kept_unless_it_was_enqueued_again(tmp_path: Path) -> None:
    lock = new_lockfile("m", "db")
    lock.update({"a": line("a", 1000, "SUCCESS"), "b": line("b", 999, "SUCCESS"), "c": line("c", 1001)})
    known = {key: lock.entry(key) for key in ("a", "c")}
    adopt(write_journal(tmp_path / "j", ("7", ["a", "b", "c"], True)), lock)
    assert {key: lock.entry(key) for key in ("a", "c")} == known
    assert lock.entry("b") == LockEntry("b", "f", DIGEST, 1000)


@pytest.mark.parametrize(
    ("change", "owner", "words"),
    [
        ({}, {"manifest": "other"}, "belongs to the manifest `m`"),
        ({}, {"database": "other"}, "belongs to a different database"),
        ({"version": 2}, {}, "its version is 2"),
        ({"version": "x"}, {}, "neither a header"),
        ({"journal": None}, {}, "not the header of a journal"),
    ],
)
def test_journal_of_another_manifest_or_database_is_refused(
    tmp_path: Path, change: dict[str, object], owner: dict[str, str | None], words: str
) -> None:
    first, rest = write_journal(tmp_path / "j", ("7", ["a"], True)).split("\n", 1)
    fields = {key: value for key, value in {**json.loads(first), **change}.items() if value is not None}
    with pytest.raises(Refused, match=words):
        adopt(f"{json.dumps(fields)}\n{rest}", **owner)


def test_without_a_database_only_the_manifest_is_compared(tmp_path: Path) -> None:
    text = write_journal(tmp_path / "j", ("7", ["a"], True))
    assert {*adopt(text, database=None).ids()} == {"a"}


@pytest.mark.parametrize(
    "wrong",
    [
        "\0\0",
        "[]",
        '{"entries":3}',
        '{"transaction":8}',
        '{"transaction":"-8"}',
        '{"outcome":"maybe"}',
        '{"x":1}',
        '{"id":"b"}',
        "<<<<<<< ours",
    ],
)
def test_invalid_line_is_refused_with_its_number(tmp_path: Path, wrong: str) -> None:
    lines = write_journal(tmp_path / "j", ("7", ["a"], True)).splitlines()
    text = "\n".join([*lines[:3], wrong, *lines[3:]]) + "\n"
    with pytest.raises(Refused, match="j:4: "):
        read_journal(text, "j")


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(Refused, match="j:1: the line cannot be read"):
        read_journal(b"\xff\n", "j")


def test_empty_journal_has_no_entries() -> None:
    assert replay_journal(None, b"", manifest="m", database="db", file="j", resolve=never) is None


def test_journal_is_next_to_the_target_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, real = tmp_path / "jobs.lock.jsonl", tmp_path / "real" / "jobs.lock.jsonl"
    link.symlink_to(real)
    write_journal(journal_path(real), ("7", ["a"], True))
    lock = load_lockfile(link, "m", "db")
    assert lock is not None and {*lock.ids()} == {"a"}
    with LockfileWriter.locked(link, 0) as slot:
        slot.replace(lock.render())
    assert [path.name for path in real.parent.iterdir()] == ["jobs.lock.jsonl"]


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_journal_that_is_no_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "j"
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere").write_text("secret\n")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(Refused), open_journal(path):
        pass
    with pytest.raises(LockfileNotWritable):
        JournalFile(path)
    assert kind != "link" or (tmp_path / "elsewhere").read_text() == "secret\n"


def test_journal_is_removed_after_the_lockfile_is_written_unless_in_doubt(tmp_path: Path) -> None:
    path = tmp_path / "jobs.lock.jsonl"
    for keep in (True, False):
        with LockfileWriter.locked(path, 0) as slot:
            slot.open_journal().close()
            slot.replace(["one\n"], keep_journal=keep)
        assert journal_path(path).exists() is keep
