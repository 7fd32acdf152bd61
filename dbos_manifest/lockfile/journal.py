"""The journal of an apply: what each transaction enqueues, written before its COMMIT, and how it is read.

One JSON object per line: a header as the lockfile's, then for each transaction
`{"transaction": number}`, its lock entries, `{"entries": count}` (only now the COMMIT is called), and
`{"outcome": "committed" | "aborted"}` once that is known.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import InvalidLockfile, LockfileNotWritable, Refused
from ..files.journal_file import JournalFile
from .entry import (
    PLAIN_ENTRY,
    LockHeader,
    NewerVersionError,
    Text,
    check_entry,
    check_header,
    decode_line,
    read_blocks,
    read_entry,
    spell_header,
)
from .lockfile import Lockfile, check_owner

_NUMBER = re.compile(r"\d{1,20}(@[\d.]{1,30})?", re.ASCII)
_MARK = {"journal": 1}
_KEEP = (
    "it holds what an interrupted apply enqueued: restore it, or move it away and run `lock rebuild`, which "
    "finds what still has a row"
)


@dataclass(slots=True)
class Transaction:
    """What one transaction of an earlier apply enqueued, by its lock lines."""

    number: str | None  # see `system_db.transactions.Writing`
    lines: dict[str, str] = field(default_factory=dict)
    ready: bool = False  # everything was written, so its COMMIT may have been called
    outcome: str | None = None  # None: not known

    def created_at_ms(self) -> Iterator[tuple[str, int]]:
        for workflow_id, line in self.lines.items():
            yield workflow_id, read_entry(line).enqueued_at


Settle = Callable[[Transaction, Sequence[Transaction]], bool]
"""Whether a transaction in doubt counts as committed, given those that surely were before it."""


def trust(transaction: Transaction, earlier: Sequence[Transaction]) -> bool:
    """Count a transaction as committed, where there is no database to ask: never enqueue twice."""
    return True


class Journal:
    """The journal that one apply writes for one manifest.

    The transactions run in another thread than the one that ends an apply, so what belongs together is
    done under a lock.
    """

    def __init__(self, open_file: Callable[[], JournalFile], header: LockHeader) -> None:
        self._open_file = open_file
        self._header = header
        self._file: JournalFile | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._entries = 0
        self.exists = False  # this apply has opened it
        self.in_doubt = False  # a COMMIT was called and is not answered

    def begin(self, number: str | None) -> None:
        """Start a transaction. Raises: LockfileNotWritable."""
        with self._lock:
            self._entries = 0
            self._append(_spell({"transaction": number}))

    def add(self, lines: Sequence[str]) -> None:
        """Add entries to the transaction. Raises: LockfileNotWritable."""
        with self._lock:
            if lines:
                self._entries += len(lines)
                self._append("\n".join(lines))

    def make_ready(self) -> None:
        """Put the transaction on the disk: its COMMIT may be called after this.

        Raises: LockfileNotWritable, also when the apply was ended meanwhile.
        """
        with self._lock:
            if self._entries:
                self._append(_spell({"entries": self._entries}))
                assert self._file is not None
                self._file.sync()
                self.in_doubt = True

    def settle(self, *, committed: bool) -> None:
        """Note the outcome of the transaction in doubt. It is known now, whether it can be written or not."""
        with self._lock:
            if self.in_doubt:
                self.in_doubt = False
                with suppress(LockfileNotWritable):  # the database knows it too
                    self._append(_spell({"outcome": "committed" if committed else "aborted"}))

    def close(self) -> bool:
        """Write no more, and return whether the journal is still needed: a transaction is in doubt."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()
                self._file = None
            return self.in_doubt

    def _append(self, text: str) -> None:
        if self._closed:
            raise LockfileNotWritable("the journal is closed: the apply was ended")
        if self._file is None:
            self._file = self._open_file()
            self.exists = True
            if self._file.is_empty:
                self._file.append((spell_header(self._header, _MARK) + "\n").encode())
        self._file.append((text + "\n").encode())


def _spell(fields: dict[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"))


def read_journal(text: Text, file: str) -> tuple[LockHeader, list[Transaction]] | None:
    """Read a journal's header and its transactions whose COMMIT may have been called; None: it is empty.

    A last line without its end was being written when the apply was killed, and does not count.
    Raises: Refused for what is not a journal, or is of a newer version.
    """
    header: LockHeader | None = None
    transactions: list[Transaction] = []
    for first, lines, ended in read_blocks(text):
        for number, line in enumerate(lines if ended else lines[:-1], first):
            try:
                if header is None:
                    header = _read_header(line)
                else:
                    _read_line(line, transactions)
            except ValueError as error:
                reason = "it is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
                hint = "upgrade dbos-manifest" if isinstance(error, NewerVersionError) else _KEEP
                raise Refused(f"{file}:{number}: the journal cannot be read: {reason}", hint) from None
    if header is None:
        return None
    return header, [transaction for transaction in transactions if transaction.ready]


def _read_header(line: str) -> LockHeader:
    fields = decode_line(line)
    if "journal" not in fields:
        raise ValueError("it is not a journal's first line")
    return check_header(fields)


def _read_line(line: str, transactions: list[Transaction]) -> None:
    if match := PLAIN_ENTRY.fullmatch(line):
        _last(transactions).lines[match[1]] = line
        return
    fields = decode_line(line)
    if "id" in fields:
        _last(transactions).lines[check_entry(fields).id] = line
    elif "transaction" in fields:
        number = fields["transaction"]
        if not (number is None or (isinstance(number, str) and _NUMBER.fullmatch(number))):
            raise ValueError("its `transaction` is not a number")
        if transactions and not transactions[-1].ready:
            transactions.pop()  # it was rolled back before its COMMIT
        transactions.append(Transaction(number))
    elif "entries" in fields:
        if fields["entries"] != len(_last(transactions).lines):
            raise ValueError("its `entries` is not the number of entries before it")
        _last(transactions).ready = True
    elif fields.get("outcome") in ("committed", "aborted"):
        _last(transactions).outcome = fields["outcome"]
    else:
        raise ValueError("it belongs to no journal")


def _last(transactions: list[Transaction]) -> Transaction:
    if not transactions:
        raise ValueError("it belongs to no transaction")
    return transactions[-1]


def adopt_journal(
    lock: Lockfile | None,
    text: Text,
    *,
    manifest: str | None,
    database: str | None,
    file: str,
    settle: Settle,
) -> Lockfile | None:
    """Add to a lockfile what an interrupted apply enqueued; there may be no lockfile yet.

    The lockfile counts as changed, so that the next command that writes lockfiles writes it and removes
    the journal. An entry that the lockfile has with the same or a later time stays.
    Raises: Refused for the journal of another manifest or database.
    """
    found = read_journal(text, file)
    if found is None:
        return lock
    header, transactions = found
    try:
        check_owner(
            Lockfile(header),
            manifest=manifest or header.manifest,
            database=database or header.database,
            file=f"{file} (a journal)",
        )
    except InvalidLockfile as error:
        raise Refused(error.message, _KEEP) from None
    lock = lock or Lockfile(LockHeader(header.manifest, header.database))
    lock.changed = True
    committed: list[Transaction] = []
    for transaction in transactions:
        if transaction.outcome is None:
            transaction.outcome = "committed" if settle(transaction, committed) else "aborted"
        if transaction.outcome == "committed":
            committed.append(transaction)
            lock.put({key: line for key, line in transaction.lines.items() if _is_news(lock, key, line)})
    return lock


def _is_news(lock: Lockfile, workflow_id: str, line: str) -> bool:
    known = lock.entry(workflow_id) if workflow_id in lock else None
    return known is None or known.enqueued_at < read_entry(line).enqueued_at
