"""Read the text of a lockfile: lines may be in any order, and duplicates of a merge of two branches."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..core.errors import InvalidLockfile
from .entry_line import (
    CONFLICT_MARKERS,
    ENTRY_KEYS,
    HEADER_KEYS,
    PLAIN_ENTRY,
    RESTORE,
    REVISION,
    Fields,
    LockHeader,
    NewerVersionError,
    Text,
    decode_line,
    format_entry,
    format_header,
    merge_lines,
    parse_entry,
    parse_header,
    read_blocks,
)
from .fingerprint import may_be_same
from .lockfile import Lockfile

_NOT_UTF8 = re.compile("[\ud800-\udfff]")  # how `read_blocks` decodes such bytes


class ConflictMarkerError(ValueError):
    """The line is one of Git's conflict markers."""


class RejectedLine(NamedTuple):
    """A line that cannot be read."""

    number: int
    text: str
    reason: str
    is_marker: bool  # one of Git's conflict markers: nothing is lost with it


def parse_lockfile(text: Text, file: str) -> Lockfile:
    """Read a lockfile, also one that a merge of two branches left unsorted or with duplicate lines.

    Raises: InvalidLockfile with file and line for what is not a lockfile, is of a newer version, has
            conflict markers, or headers that disagree.
    """
    reader = _Reader(file, _refuse_line)
    reader.read(text)
    if reader.header is None:
        problem = "has no header line" if reader.lines else "is empty"
        raise InvalidLockfile(f"the lockfile {file} {problem}", RESTORE)
    return reader.make_lockfile(reader.header)


def salvage_lockfile(text: Text, file: str, header: LockHeader) -> tuple[Lockfile, list[RejectedLine], bool]:
    """Read every line that can be read, and list the others.

    Shape:  the last value is whether a header was found; without one the lockfile gets `header`.
    Raises: InvalidLockfile for a newer version, and for headers that disagree: this program cannot decide
            whose lines these are.
    """
    rejected: list[RejectedLine] = []

    def reject(file: str, number: int, line: str, error: ValueError) -> None:
        if isinstance(error, NewerVersionError):
            _refuse_line(file, number, line, error)
        rejected.append(RejectedLine(number, line, _reason(error), isinstance(error, ConflictMarkerError)))

    reader = _Reader(file, reject)
    reader.read(text)
    return reader.make_lockfile(reader.header or header), rejected, reader.header is not None


def _refuse_line(file: str, number: int, line: str, error: ValueError) -> None:
    if isinstance(error, ConflictMarkerError):
        raise InvalidLockfile(
            f"{file}:{number}: the lockfile contains Git conflict markers",
            "run `lock rebuild`, which keeps the lines of both sides; "
            "`*.lock.jsonl merge=union` in .gitattributes prevents such conflicts",
        )
    if isinstance(error, NewerVersionError):
        raise InvalidLockfile(
            f"{file}:{number}: the lockfile cannot be read: {error}", "upgrade dbos-manifest"
        )
    raise InvalidLockfile(f"{file}:{number}: the line cannot be read: {_reason(error)}", RESTORE)


def _reason(error: ValueError) -> str:
    return "it is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)


class _Reader:
    """The lines that were read so far, and where they are not in normal form."""

    def __init__(self, file: str, reject: Callable[[str, int, str, ValueError], None]) -> None:
        self.header: LockHeader | None = None
        self.lines: dict[str, str] = {}
        self._irregular: dict[str, int] = {}  # what is not in normal form -> its first line
        self._file = file
        self._reject = reject
        self._header_line = ""
        self._last_id = ""  # the greatest so far

    def make_lockfile(self, header: LockHeader) -> Lockfile:
        found = sorted(self._irregular.items(), key=lambda item: item[1])
        irregularities = [f"line {number}: {problem}" for problem, number in found]
        return Lockfile(header, self._header_line, self.lines, irregularities=irregularities)

    def read(self, text: Text) -> None:
        for first, lines, ended in read_blocks(text):
            if first == 1:  # take the header alone, so that this block has only entries, like the others
                if lines[0].startswith("\ufeff"):
                    self._note("a byte order mark", 1)
                self._take_lines(1, [lines[0].removeprefix("\ufeff")])
                first, lines = 2, lines[1:]
            if not self._take_block(first, lines):
                self._take_lines(first, lines)
            if not ended:
                self._note("the last line has no line end", first + len(lines) - 1)

    def _take_block(self, first: int, lines: list[str]) -> bool:
        """Take a block of lines in normal form, each of another workflow; return False when they are not."""
        matches = [*map(PLAIN_ENTRY.fullmatch, lines)]
        if None in matches:
            return False
        ids = [match[1] for match in matches if match]
        entries = dict(zip(ids, lines, strict=True))
        if len(entries) < len(ids):
            return False
        if ids and (ids[0] <= self._last_id or ids != sorted(ids)):
            if not self.lines.keys().isdisjoint(entries):
                return False
            for number, workflow_id in enumerate(ids, first):
                self._note_order(number, workflow_id)
        elif ids:
            self._last_id = ids[-1]
        self.lines |= entries
        return True

    def _take_lines(self, first: int, lines: Iterable[str]) -> None:
        for number, line in enumerate(lines, first):
            if line.endswith("\r"):
                self._note("lines end with a carriage return", number)
                line = line[:-1]
            if not line.strip():
                self._note("a blank line", number)
                continue
            try:
                self._take_line(number, line)
            except ValueError as error:
                self._note("a line that cannot be read", number)
                self._reject(self._file, number, line, error)

    def _take_line(self, number: int, line: str) -> None:
        if line.startswith(CONFLICT_MARKERS):
            raise ConflictMarkerError("it is a Git conflict marker")
        if match := PLAIN_ENTRY.fullmatch(line):
            self._take_entry(number, match[1], line)
            return
        if _NOT_UTF8.search(line):
            raise ValueError("it is not UTF-8 text")
        fields = decode_line(line)
        if "id" not in fields:
            self._take_header(number, parse_header(fields), line, fields)
            return
        entry = parse_entry(fields)
        unknown = {key: value for key, value in fields.items() if key not in ENTRY_KEYS}
        self._take_entry(number, entry.id, self._normalize(number, line, format_entry(entry, unknown)))

    def _take_entry(self, number: int, workflow_id: str, line: str) -> None:
        known = self.lines.get(workflow_id)
        if known is not None:
            self._note("a duplicate line of one workflow", number)
            line = merge_lines(known, line)
        else:
            self._note_order(number, workflow_id)
        self.lines[workflow_id] = line

    def _take_header(self, number: int, found: LockHeader, line: str, fields: Fields) -> None:
        known = self.header
        if known is not None:
            self._note("a duplicate header line", number)
            if known.manifest != found.manifest or not may_be_same(known.database, found.database):
                raise InvalidLockfile(
                    f"{self._file}:{number}: a second header names a different manifest or database",
                    "decide which header is right, and delete the other one",
                )
        elif self.lines:
            self._note("the header is not the first line", number)
        if known is None or found.revision > known.revision:
            self.header = found
            unknown = {key: value for key, value in fields.items() if key not in HEADER_KEYS}
            self._header_line = self._normalize(number, line, format_header(found, unknown))

    def _normalize(self, number: int, line: str, normal: str) -> str:
        """Choose the line to keep: a line of a newer revision is kept unchanged."""
        if line == normal or (self.header is not None and self.header.revision > REVISION):
            return line
        self._note("not in the format that apply writes", number)
        return normal

    def _note_order(self, number: int, workflow_id: str) -> None:
        if workflow_id > self._last_id:
            self._last_id = workflow_id
        else:
            self._note("not in order: the header, then the entries by ID", number)

    def _note(self, problem: str, number: int) -> None:
        self._irregular.setdefault(problem, number)
