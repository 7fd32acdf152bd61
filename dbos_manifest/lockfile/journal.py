"""The journal of an apply: what each transaction enqueues, written before its COMMIT.

One JSON object per line: a header like the lockfile's, then for each transaction
`{"transaction": id}`, its lock entries, `{"entries": count}` (the COMMIT is called after it), and
`{"outcome": "committed" | "aborted"}` once that is known.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ..core.errors import InvalidLockfile, LockfileNotWritable, Refused
from ..files.journal_file import JournalFile
from .entry_line import (
    PLAIN_ENTRY,
    Fields,
    LockHeader,
    NewerVersionError,
    Text,
    decode_line,
    format_header,
    parse_entry,
    parse_header,
    read_blocks,
    read_entry,
)
from .lockfile import Lockfile, check_owner

_TRANSACTION_ID = re.compile(r"\d{1,20}(@[\d.]{1,30})?", re.ASCII)
_MARK: Fields = {"journal": 1}
_KEEP = (
    "restore the journal, or move it away and run `lock rebuild`, which finds the workflows that still "
    "have a row"
)


@dataclass(slots=True)
class JournalTransaction:
    """What one transaction of an earlier apply enqueued, as lock lines by ID."""

    transaction_id: str | None  # see `system_db.database.WriteTransaction`
    lines: dict[str, str] = field(default_factory=dict)
    is_complete: bool = False  # every entry was written, so its COMMIT may have been called
    outcome: str | None = None  # None: in doubt

    def created_at_ms(self) -> Iterator[tuple[str, int]]:
        """Yield the IDs with the time of their rows."""
        for workflow_id, line in self.lines.items():
            yield workflow_id, read_entry(line).enqueued_at


ResolveInDoubt = Callable[[JournalTransaction, Sequence[JournalTransaction]], bool]
"""Returns whether an in-doubt transaction counts as committed; earlier ones are known to be committed."""


def assume_committed(transaction: JournalTransaction, earlier: Sequence[JournalTransaction]) -> bool:
    """Count a transaction as committed, where no database can be queried: never enqueue twice."""
    return True


class Journal:
    """The journal that one apply writes for one manifest.

    The transactions run in another thread than the one that ends an apply, so each method holds a lock.
    """

    def __init__(self, open_file: Callable[[], JournalFile], header: LockHeader) -> None:
        self._open_file = open_file
        self._header = header
        self._file: JournalFile | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._entries = 0
        self.exists = False  # this apply has opened it
        self.in_doubt = False  # a COMMIT was called and has not returned

    def begin(self, transaction_id: str | None) -> None:
        """Start a transaction. Raises: LockfileNotWritable."""
        with self._lock:
            self._entries = 0
            self._append(_encode({"transaction": transaction_id}))

    def add(self, lines: Sequence[str]) -> None:
        """Add entries to the transaction. Raises: LockfileNotWritable."""
        with self._lock:
            if lines:
                self._entries += len(lines)
                self._append("\n".join(lines))

    def prepare_commit(self) -> None:
        """Write the transaction to the disk, after which its COMMIT may be called.

        Raises: LockfileNotWritable, also when the apply was stopped meanwhile.
        """
        with self._lock:
            if self._entries:
                self._append(_encode({"entries": self._entries}))
                assert self._file is not None
                self._file.sync()
                self.in_doubt = True

    def record_outcome(self, *, committed: bool) -> None:
        """Record the outcome of the in-doubt transaction. It is known now, even if it cannot be written."""
        with self._lock:
            if self.in_doubt:
                self.in_doubt = False
                with suppress(LockfileNotWritable):  # the database can be queried again
                    self._append(_encode({"outcome": "committed" if committed else "aborted"}))

    def close(self) -> bool:
        """Close the file, and return whether the journal is still needed: a transaction is in doubt."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()
                self._file = None
            return self.in_doubt

    def _append(self, text: str) -> None:
        if self._closed:
            raise LockfileNotWritable("the journal is closed: the apply was stopped")
        if self._file is None:
            self._file = self._open_file()
            self.exists = True
            if self._file.is_empty:
                self._file.append((format_header(self._header, _MARK) + "\n").encode())
        self._file.append((text + "\n").encode())


def _encode(fields: Fields) -> str:
    return json.dumps(fields, separators=(",", ":"))


def read_journal(text: Text, file: str) -> tuple[LockHeader, list[JournalTransaction]] | None:
    """Read a journal's header and its transactions whose COMMIT may have been called; None: it is empty.

    A last line without a line end was being written when the apply was killed, and is ignored.
    Raises: Refused for what is not a journal, or is of a newer version.
    """
    header: LockHeader | None = None
    transactions: list[JournalTransaction] = []
    for first, lines, ended in read_blocks(text):
        for number, line in enumerate(lines if ended else lines[:-1], first):
            try:
                if header is None:
                    header = _read_header(line)
                else:
                    _read_line(line, transactions)
            except ValueError as error:
                reason = "it is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
                if isinstance(error, NewerVersionError):
                    what, hint = "journal", "upgrade dbos-manifest"
                else:
                    what, hint = "line", _KEEP
                raise Refused(f"{file}:{number}: the {what} cannot be read: {reason}", hint) from None
    if header is None:
        return None
    return header, [transaction for transaction in transactions if transaction.is_complete]


def _read_header(line: str) -> LockHeader:
    fields = decode_line(line)
    if "journal" not in fields:
        raise ValueError("it is not the header of a journal")
    return parse_header(fields)


def _read_line(line: str, transactions: list[JournalTransaction]) -> None:
    if match := PLAIN_ENTRY.fullmatch(line):
        _last(transactions).lines[match[1]] = line
        return
    fields = decode_line(line)
    if "id" in fields:
        _last(transactions).lines[parse_entry(fields).id] = line
    elif "transaction" in fields:
        found = fields["transaction"]
        if not (found is None or (isinstance(found, str) and _TRANSACTION_ID.fullmatch(found))):
            raise ValueError("`transaction` must be a transaction ID or null")
        if transactions and not transactions[-1].is_complete:
            transactions.pop()  # it was rolled back before its COMMIT
        transactions.append(JournalTransaction(found))
    elif "entries" in fields:
        if fields["entries"] != len(_last(transactions).lines):
            raise ValueError("`entries` must be the number of entries before it")
        _last(transactions).is_complete = True
    elif (outcome := fields.get("outcome")) in ("committed", "aborted"):
        _last(transactions).outcome = str(outcome)
    else:
        raise ValueError("it is not a line of a journal")


def _last(transactions: list[JournalTransaction]) -> JournalTransaction:
    if not transactions:
        raise ValueError("no transaction was begun before it")
    return transactions[-1]


def replay_journal(
    lock: Lockfile | None,
    text: Text,
    *,
    manifest: str | None,
    database: str | None,
    file: str,
    resolve: ResolveInDoubt,
) -> Lockfile | None:
    """Add what an interrupted apply enqueued to a lockfile, or to a new one where there is none.

    The lockfile counts as changed, so that the next command that writes lockfiles writes it and removes
    the journal. An entry of the lockfile with the same or a later time is kept.
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
    committed: list[JournalTransaction] = []
    for transaction in transactions:
        if transaction.outcome is None:
            transaction.outcome = "committed" if resolve(transaction, committed) else "aborted"
        if transaction.outcome == "committed":
            committed.append(transaction)
            lock.update({key: line for key, line in transaction.lines.items() if _is_newer(lock, key, line)})
    return lock


def _is_newer(lock: Lockfile, workflow_id: str, line: str) -> bool:
    known = lock.entry(workflow_id) if workflow_id in lock else None
    return known is None or known.enqueued_at < read_entry(line).enqueued_at
