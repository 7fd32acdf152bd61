"""Read and write one line of a lockfile: its fields, their checks, and the one normal form."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple, cast

from ..core.portable_json import read_json
from ..core.units import MAX_TIMESTAMP, MIN_TIMESTAMP, format_timestamp, parse_timestamp

VERSION, REVISION = 1, 0
HEADER_KEYS = ("version", "revision", "manifest", "database")
ENTRY_KEYS = ("id", "workflow", "digest", "enqueued_at", "outcome", "retries", "status", "completed_at")
_DIGEST = re.compile(r"[A-Za-z0-9_-]{22}")
_MAX_RETRIES = 10**9 - 1

# Characters that could break or disguise a line: controls, separators, direction marks, surrogates.
_UNSAFE_RANGES = "\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
_UNSAFE = re.compile(f"[{_UNSAFE_RANGES}]")

# A line that matches is in normal form, so it is accepted without decoding. Not matched, and decoded, are
# the 29th of February and texts with escapes.
_TEXT = rf'"([^"\\\x00-\x1f{_UNSAFE_RANGES}]+)"'
_DAY = (
    r"(?!0000)\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_TIME = rf'"({_DAY}T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{{3}}Z)"'
PLAIN_ENTRY = re.compile(
    rf'\{{"id":{_TEXT},"workflow":{_TEXT},"digest":"([A-Za-z0-9_-]{{22}})","enqueued_at":{_TIME}'
    r'(?:,"outcome":"(existing)")?(?:,"retries":([1-9]\d{0,8}))?'
    rf'(?:,"status":"([A-Z_]+)"(?:,"completed_at":{_TIME})?)?\}}',
    re.ASCII,
)
_BLOCK = 4096  # lines that are decoded together
RESTORE = "restore the file from Git, or run `lock rebuild`, which keeps every line that can be read"
CONFLICT_MARKERS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")

Fields = dict[str, object]
Text = str | bytes | Iterable[bytes]
"""A lockfile's text, or its lines with their line ends."""


class NewerVersionError(ValueError):
    """The header of a lockfile that a newer version of this program wrote."""


class LockHeader(NamedTuple):
    """The first line of a lockfile: whose it is."""

    manifest: str  # name of the manifest
    database: str  # fingerprint of the system database
    version: int = VERSION
    revision: int = REVISION


class LockEntry(NamedTuple):
    """A workflow that has had a row. Times are epoch ms here, RFC 3339 in the text."""

    id: str
    workflow: str
    digest: str  # see `compute_digests`
    enqueued_at: int  # the row's created_at
    outcome: str | None = None  # "existing": the row existed before any apply
    status: str | None = None  # final, recorded by apply --wait
    completed_at: int | None = None
    retries: int | None = None  # how often the workflow was retried after it had failed


def _encode(fields: Fields) -> str:
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def format_time(epoch_ms: int) -> str:
    """Format a time as RFC 3339 in UTC with milliseconds."""
    second, ms = divmod(epoch_ms, 1000)
    return _format_second(second) + _MILLISECONDS[ms]


_MILLISECONDS = [f".{ms:03}Z" for ms in range(1000)]


@lru_cache(4096)
def _format_second(epoch_s: int) -> str:
    """Format a time without its milliseconds; one outside of the years 1 to 9999 becomes the nearest one."""
    return format_timestamp(min(max(epoch_s, MIN_TIMESTAMP // 1000), MAX_TIMESTAMP // 1000) * 1000)[:-1]


def format_header(header: LockHeader, unknown: Fields) -> str:
    """Format the header's line; `unknown` are fields of a newer revision."""
    fields = {key: getattr(header, key) for key in HEADER_KEYS}
    return _encode({**fields, **unknown})


def format_entry(entry: LockEntry, unknown: Fields) -> str:
    """Format the entry's line; fields that are None are left out."""
    if not unknown and is_plain(entry.id + entry.workflow):
        return _format_plain(entry)
    fields = {key: value for key in ENTRY_KEYS if (value := getattr(entry, key)) is not None}
    for key in ("enqueued_at", "completed_at"):
        if key in fields:
            fields[key] = format_time(fields[key])
    return _encode({**fields, **unknown})


def is_plain(text: str) -> bool:
    """Return whether a text needs no escape in JSON, and is ASCII."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def _format_plain(entry: LockEntry) -> str:
    """Format the line of an entry whose texts need no escape, as most: faster than JSON."""
    workflow_id, workflow, digest, enqueued_at, outcome, status, completed_at, retries = entry
    more = ""
    if outcome is not None:
        more = f',"outcome":"{outcome}"'
    if retries is not None:
        more += f',"retries":{retries}'
    if status is not None:
        more += f',"status":"{status}"'
    if completed_at is not None:
        more += f',"completed_at":"{format_time(completed_at)}"'
    return (
        f'{{"id":"{workflow_id}","workflow":"{workflow}","digest":"{digest}",'
        f'"enqueued_at":"{format_time(enqueued_at)}"{more}}}'
    )


def decode_line(line: str) -> Fields:
    """Decode the fields of a line.

    Raises: ValueError with the reason.
    """
    fields, problems = read_json(line)
    if problems:
        raise ValueError(problems[0][1])
    if not isinstance(fields, dict):
        raise ValueError("it is not a JSON object")
    return cast("Fields", fields)


def read_entry(line: str) -> LockEntry:
    """Parse a line that was checked when the lockfile was read."""
    match = PLAIN_ENTRY.fullmatch(line)
    if match is None:
        return parse_entry(decode_line(line))
    workflow_id, workflow, digest, enqueued_at, outcome, retries, status, completed_at = match.groups()
    return LockEntry(
        workflow_id,
        workflow,
        digest,
        parse_timestamp(enqueued_at),
        outcome,
        status,
        None if completed_at is None else parse_timestamp(completed_at),
        None if retries is None else int(retries),
    )


def find_unknown_fields(line: str, known: tuple[str, ...]) -> Fields:
    """Find the fields of a line that this program does not know; a line in normal form has none."""
    if PLAIN_ENTRY.fullmatch(line):
        return {}
    return {key: value for key, value in decode_line(line).items() if key not in known}


def parse_header(fields: Fields) -> LockHeader:
    """Check the fields of a header.

    Raises: ValueError for what is not a header, NewerVersionError for a newer version.
    """
    version = fields.get("version")
    if type(version) is not int or version < 1:
        raise ValueError("it is neither a header nor a lock entry")
    if version > VERSION:
        raise NewerVersionError(
            f"its version is {version}, but this dbos-manifest reads only up to {VERSION}"
        )
    revision = fields.get("revision", 0)
    if type(revision) is not int:
        raise ValueError("`revision` must be a whole number")
    return LockHeader(_text(fields, "manifest"), _text(fields, "database"), version, revision)


def parse_entry(fields: Fields) -> LockEntry:
    """Check the fields of an entry.

    Raises: ValueError for what is not an entry.
    """
    digest = _text(fields, "digest")
    if not _DIGEST.fullmatch(digest):
        raise ValueError("`digest` must be 22 base64url characters")
    outcome = fields.get("outcome")
    if outcome not in (None, "existing"):
        raise ValueError("`outcome` must be `existing`")
    retries = fields.get("retries")
    if retries is not None and not (type(retries) is int and 0 <= retries <= _MAX_RETRIES):
        raise ValueError("`retries` must be a whole number")
    return LockEntry(
        _text(fields, "id"),
        _text(fields, "workflow"),
        digest,
        parse_timestamp(_text(fields, "enqueued_at")),
        outcome,
        _text(fields, "status") if "status" in fields else None,
        parse_timestamp(_text(fields, "completed_at")) if "completed_at" in fields else None,
        retries or None,
    )


def _text(fields: Fields, key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"`{key}` must be a string that is not empty")
    return value


def read_blocks(text: Text) -> Iterator[tuple[int, list[str], bool]]:
    """Yield all lines, in blocks of some thousand.

    Shape:  the number of the first line, the lines, and whether the last one has its line end. Only a newline
            ends a line. A byte order mark and carriage returns are kept; a byte that is not UTF-8
            becomes a lone surrogate.
    """
    content = text.encode() if isinstance(text, str) else text
    source, number = iter(io.BytesIO(content) if isinstance(content, bytes) else content), 1
    while block := b"".join(islice(source, _BLOCK)):
        lines = block.removesuffix(b"\n").decode("utf-8", "surrogateescape").split("\n")
        yield number, lines, block.endswith(b"\n")
        number += len(lines)


def merge_lines(first: str, second: str) -> str:
    """Choose between two lines of one workflow, independently of their order.

    More retries win, then the later `completed_at`, then the earlier `enqueued_at`. Lines are never
    combined, since the status of one run is not that of another one.
    Source: SPEC §5.
    """
    worse, better = sorted((first, second), key=_rank)
    lost, kept = read_entry(worse), read_entry(better)
    if lost.enqueued_at != kept.enqueued_at:
        return better
    unknown = find_unknown_fields(worse, ENTRY_KEYS) | find_unknown_fields(better, ENTRY_KEYS)
    return format_entry(kept, unknown) if unknown else better


def _rank(line: str) -> tuple[int, int, bool, int, bool, str]:
    """Order lines by how much they record; the last two values only make the order unambiguous."""
    entry = read_entry(line)
    ended = entry.completed_at
    return (
        entry.retries or 0,
        MIN_TIMESTAMP - 1 if ended is None else ended,
        entry.status is not None,
        -entry.enqueued_at,
        entry.outcome is None,
        line,
    )
