"""One line of a lockfile: spelled in one way, read in any, checked field by field."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from .errors import InvalidLockfile
from .units import format_timestamp, parse_timestamp

VERSION, REVISION = 1, 0
_OLDEST_MS, _NEWEST_MS = -62_135_596_800_000, 253_402_300_799_999  # years 1 and 9999
HEADER_KEYS = ("version", "revision", "manifest", "database")
ENTRY_KEYS = ("id", "workflow", "digest", "enqueued_at", "outcome", "status", "completed_at")
_DIGEST = re.compile(r"[A-Za-z0-9_-]{22}")

# What a line could be broken or disguised by: controls, separators, marks of direction, surrogates.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")

# Lines as this program writes them are accepted without decoding. The last days of a month are left to
# the calendar, and texts with escapes to JSON.
_TEXT = r'"([^"\\\x00-\x1f]+)"'
_TIME = r'"(\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z)"'
PLAIN_ENTRY = re.compile(
    rf'\{{"id":{_TEXT},"workflow":{_TEXT},"digest":"([A-Za-z0-9_-]{{22}})","enqueued_at":{_TIME}'
    rf'(?:,"outcome":"(existing)")?(?:,"status":"([A-Z_]+)"(?:,"completed_at":{_TIME})?)?\}}',
    re.ASCII,
)
_BLOCK = 4096  # lines that are decoded together
RESTORE = "restore the file from Git, or make it anew from the database with `lock rebuild`"


Text = str | bytes | Iterable[bytes]
"""A lockfile's text, or its lines with their ends."""


class LockHeader(NamedTuple):
    manifest: str  # name of the manifest
    database: str  # fingerprint of the system database
    version: int = VERSION
    revision: int = REVISION


class LockEntry(NamedTuple):
    """A workflow that was seen in the database. Times are epoch ms here, RFC 3339 in the text."""

    id: str
    workflow: str
    digest: str  # of the spec, see `digest_spec`
    enqueued_at: int  # the row's created_at
    outcome: str | None = None  # "existing": the row was there before any apply
    status: str | None = None  # final, noted by apply --wait
    completed_at: int | None = None


def _spell(fields: dict[str, Any]) -> str:
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _spell_time(epoch_ms: int) -> str:
    second, ms = divmod(epoch_ms, 1000)
    return _spell_second(second) + _MILLISECONDS[ms]


_MILLISECONDS = [f".{ms:03}Z" for ms in range(1000)]


@lru_cache(4096)
def _spell_second(epoch_s: int) -> str:
    return format_timestamp(epoch_s * 1000)[:-1]


def spell_header(header: LockHeader, unknown: dict[str, Any]) -> str:
    """The header's line; `unknown` are fields of a newer revision, kept as they are."""
    fields = {key: getattr(header, key) for key in HEADER_KEYS}
    return _spell({**fields, **unknown})


def spell_entry(entry: LockEntry, unknown: dict[str, Any]) -> str:
    """The entry's line; what is unset is left out."""
    if not unknown and _is_clean(entry.id + entry.workflow):
        return _spell_clean(entry)
    fields = {key: value for key in ENTRY_KEYS if (value := getattr(entry, key)) is not None}
    for key in ("enqueued_at", "completed_at"):
        if key in fields:
            fields[key] = _spell_time(fields[key])
    return _spell({**fields, **unknown})


def _is_clean(text: str) -> bool:
    """Whether JSON writes a text as it is, in ASCII."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def _spell_clean(entry: LockEntry) -> str:
    """The same for texts that JSON writes as they are: most lines, and quickly."""
    workflow_id, workflow, digest, enqueued_at, outcome, status, completed_at = entry
    more = ""
    if outcome is not None:
        more = f',"outcome":"{outcome}"'
    if status is not None:
        more += f',"status":"{status}"'
    if completed_at is not None:
        more += f',"completed_at":"{_spell_time(completed_at)}"'
    return (
        f'{{"id":"{workflow_id}","workflow":"{workflow}","digest":"{digest}",'
        f'"enqueued_at":"{_spell_time(enqueued_at)}"{more}}}'
    )


def spell_entries(
    ids: Sequence[str], workflows: Sequence[str], digests: Sequence[str], enqueued_at: Sequence[int]
) -> list[str]:
    """The lines of entries that have no more than these fields, by columns."""
    names = set(workflows)
    if len(names) > 1 or not _is_clean("".join([*names, *ids])):
        entries = map(LockEntry, ids, workflows, digests, enqueued_at)
        return [spell_entry(entry, {}) for entry in entries]
    times = {epoch_ms: _spell_time(epoch_ms) for epoch_ms in {*enqueued_at}}
    between = f'","workflow":"{names.pop()}","digest":"'
    return [
        f'{{"id":"{workflow_id}{between}{digest}","enqueued_at":"{times[epoch_ms]}"}}'
        for workflow_id, digest, epoch_ms in zip(ids, digests, enqueued_at, strict=True)
    ]


def decode_line(line: str) -> dict[str, Any]:
    """The fields of a line. Raises: ValueError saying why it is none."""
    try:
        fields = json.loads(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(fields, dict):
        raise ValueError("it is not a JSON object")
    return fields


def read_entry(line: str) -> LockEntry:
    """The entry of a line that was checked when the lockfile was read."""
    match = PLAIN_ENTRY.fullmatch(line)
    if match is None:
        return check_entry(decode_line(line))
    workflow_id, workflow, digest, enqueued_at, outcome, status, completed_at = match.groups()
    return LockEntry(
        workflow_id,
        workflow,
        digest,
        parse_timestamp(enqueued_at),
        outcome,
        status,
        None if completed_at is None else parse_timestamp(completed_at),
    )


def unknown_fields(line: str, known: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in decode_line(line).items() if key not in known}


def check_header(fields: dict[str, Any]) -> LockHeader:
    """The header. Raises: ValueError for what a header cannot be."""
    version = fields.get("version")
    if type(version) is not int:
        raise ValueError("it is neither a header nor an entry")
    if version > VERSION:
        raise ValueError(f"its version is {version}, and this program reads up to {VERSION}: upgrade it")
    revision = fields.get("revision", 0)
    if type(revision) is not int:
        raise ValueError("its `revision` is not a whole number")
    return LockHeader(_text(fields, "manifest"), _text(fields, "database"), version, revision)


def check_entry(fields: dict[str, Any]) -> LockEntry:
    """The entry. Raises: ValueError for what an entry cannot be."""
    digest = _text(fields, "digest")
    if not _DIGEST.fullmatch(digest):
        raise ValueError("its `digest` is not one")
    outcome = fields.get("outcome")
    if outcome not in (None, "existing"):
        raise ValueError("its `outcome` is not `existing`")
    return LockEntry(
        _text(fields, "id"),
        _text(fields, "workflow"),
        digest,
        parse_timestamp(_text(fields, "enqueued_at")),
        outcome,
        _text(fields, "status") if "status" in fields else None,
        parse_timestamp(_text(fields, "completed_at")) if "completed_at" in fields else None,
    )


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"its `{key}` is missing or not a text")
    return value


def number_lines(text: Text, file: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1; only a newline ends a line.

    Raises: InvalidLockfile for what is not UTF-8 and for Git's conflict markers.
    """
    for first, lines in number_blocks(text, file):
        yield from check_lines(first, lines, file)


def number_blocks(text: Text, file: str) -> Iterator[tuple[int, list[str]]]:
    """All lines as they are, some thousand at a time, each time with the number of the first.

    Raises: InvalidLockfile for what is not UTF-8.
    """
    if isinstance(text, str):
        yield 1, text.removeprefix("\ufeff").split("\n")
        return
    source, number = iter(io.BytesIO(text) if isinstance(text, bytes) else text), 1
    try:
        while block := b"".join(islice(source, _BLOCK)):
            lines = block.removesuffix(b"\n").decode("utf-8" if number > 1 else "utf-8-sig").split("\n")
            yield number, lines
            number += len(lines)
    except UnicodeDecodeError as error:
        raise InvalidLockfile(f"the lockfile {file} is not UTF-8 text: {error.reason}", RESTORE) from None


def check_lines(first: int, lines: Iterable[str], file: str) -> Iterator[tuple[int, str]]:
    """Those of a block that are not blank. Raises: InvalidLockfile for Git's conflict markers."""
    for number, line in enumerate(lines, first):
        line = line.removesuffix("\r")
        if line.startswith(("<<<<<<<", "=======", ">>>>>>>", "|||||||")):
            raise InvalidLockfile(
                f"{file}:{number}: the lockfile has Git's conflict markers",
                "keep the lines of both sides and delete the markers; "
                "`*.lock.jsonl merge=union` in .gitattributes does it by itself",
            )
        if line.strip():
            yield number, line


def invalid_line(file: str, number: int, error: ValueError) -> InvalidLockfile:
    reason = "it is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
    return InvalidLockfile(f"{file}:{number}: the line cannot be read: {reason}", RESTORE)


def agree_headers(known: LockHeader | None, found: LockHeader, file: str, number: int) -> LockHeader:
    """The header that counts of two that a merge left. Raises: InvalidLockfile when they disagree."""
    if known is not None and (known.manifest, known.database) != (found.manifest, found.database):
        raise InvalidLockfile(f"{file}:{number}: a second header names another manifest or database", RESTORE)
    return found


def merge_lines(first: str, second: str) -> str:
    """Of two lines for one workflow the earlier enqueued, with a final status that only the other has."""
    entries = sorted(((read_entry(line), line) for line in (first, second)), key=lambda e: e[0].enqueued_at)
    (entry, line), (other, other_line) = entries
    if entry.status is not None or other.status is None:
        return line
    unknown = unknown_fields(other_line, ENTRY_KEYS) | unknown_fields(line, ENTRY_KEYS)
    return spell_entry(entry._replace(status=other.status, completed_at=other.completed_at), unknown)
