"""Read and write one line of a lockfile: there is one way to write it, and each field is checked."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from ..core.portable_json import read_json
from ..core.units import MAX_TIMESTAMP, MIN_TIMESTAMP, format_timestamp, parse_timestamp

VERSION, REVISION = 1, 0
HEADER_KEYS = ("version", "revision", "manifest", "database")
ENTRY_KEYS = ("id", "workflow", "digest", "enqueued_at", "outcome", "retries", "status", "completed_at")
_DIGEST = re.compile(r"[A-Za-z0-9_-]{22}")
_MAX_RETRIES = 10**9 - 1

# Characters that could break or disguise a line: controls, separators, marks of direction, surrogates.
_UNSAFE_RANGES = "\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
_UNSAFE = re.compile(f"[{_UNSAFE_RANGES}]")

# A line that matches is written exactly as this program writes it, so it is accepted without decoding.
# The 29th of February is left to the calendar, and texts with escapes to JSON.
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
_FACTS = re.compile(r'"digest":"([^"]{22}","enqueued_at":"[^"]{24})"')  # of a line as apply writes it
_DIGEST_LENGTH, _TIME_FROM, _FACTS_LENGTH, _DAY_LENGTH = 22, 39, 63, 10
_BLOCK = 4096  # lines that are decoded together
RESTORE = "restore the file from Git, or run `lock rebuild`, which keeps every line that can be read"
CONFLICT_MARKERS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")

Text = str | bytes | Iterable[bytes]
"""A lockfile's text, or its lines with their ends."""


class NewerVersionError(ValueError):
    """The header of a lockfile that a newer version of this program wrote."""


class LockHeader(NamedTuple):
    manifest: str  # name of the manifest
    database: str  # fingerprint of the system database
    version: int = VERSION
    revision: int = REVISION


class LockEntry(NamedTuple):
    """A workflow that was seen in the database. Times are epoch ms here, RFC 3339 in the text."""

    id: str
    workflow: str
    digest: str  # see `compute_digests`
    enqueued_at: int  # the row's created_at
    outcome: str | None = None  # "existing": the row was there before any apply
    status: str | None = None  # final, noted by apply --wait
    completed_at: int | None = None
    retries: int | None = None  # how often the workflow was retried after it had failed


def _spell(fields: dict[str, Any]) -> str:
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def spell_time(epoch_ms: int) -> str:
    second, ms = divmod(epoch_ms, 1000)
    return _spell_second(second) + _MILLISECONDS[ms]


_MILLISECONDS = [f".{ms:03}Z" for ms in range(1000)]


@lru_cache(4096)
def _spell_second(epoch_s: int) -> str:
    """A time that no line can hold, as only a foreign row has, becomes the nearest one that it can."""
    return format_timestamp(min(max(epoch_s, MIN_TIMESTAMP // 1000), MAX_TIMESTAMP // 1000) * 1000)[:-1]


def spell_header(header: LockHeader, unknown: dict[str, Any]) -> str:
    """Write the header's line; `unknown` are fields of a newer revision."""
    fields = {key: getattr(header, key) for key in HEADER_KEYS}
    return _spell({**fields, **unknown})


def spell_entry(entry: LockEntry, unknown: dict[str, Any]) -> str:
    """Write the entry's line; what is unset is left out."""
    if not unknown and _is_clean(entry.id + entry.workflow):
        return _spell_clean(entry)
    fields = {key: value for key in ENTRY_KEYS if (value := getattr(entry, key)) is not None}
    for key in ("enqueued_at", "completed_at"):
        if key in fields:
            fields[key] = spell_time(fields[key])
    return _spell({**fields, **unknown})


def _is_clean(text: str) -> bool:
    """Whether JSON writes a text as it is, in ASCII."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def _spell_clean(entry: LockEntry) -> str:
    """The same for texts that JSON writes as they are: most lines, and quickly."""
    workflow_id, workflow, digest, enqueued_at, outcome, status, completed_at, retries = entry
    more = ""
    if outcome is not None:
        more = f',"outcome":"{outcome}"'
    if retries is not None:
        more += f',"retries":{retries}'
    if status is not None:
        more += f',"status":"{status}"'
    if completed_at is not None:
        more += f',"completed_at":"{spell_time(completed_at)}"'
    return (
        f'{{"id":"{workflow_id}","workflow":"{workflow}","digest":"{digest}",'
        f'"enqueued_at":"{spell_time(enqueued_at)}"{more}}}'
    )


def spell_entries(
    ids: Sequence[str], workflows: Sequence[str], digests: Sequence[str], enqueued_at: Sequence[int]
) -> list[str]:
    """The lines of entries that have no more than these fields, by columns."""
    names = set(workflows)
    if len(names) > 1 or not _is_clean("".join([*names, *ids])):
        entries = map(LockEntry, ids, workflows, digests, enqueued_at)
        return [spell_entry(entry, {}) for entry in entries]
    times = {epoch_ms: spell_time(epoch_ms) for epoch_ms in {*enqueued_at}}
    between = f'","workflow":"{names.pop()}","digest":"'
    return [
        f'{{"id":"{workflow_id}{between}{digest}","enqueued_at":"{times[epoch_ms]}"}}'
        for workflow_id, digest, epoch_ms in zip(ids, digests, enqueued_at, strict=True)
    ]


def find_facts(lines: Sequence[str]) -> list[str]:
    """Find the digest and the `enqueued_at` of many lines; fewer when a newer revision wrote some of them."""
    return _FACTS.findall("\n".join(lines))


def digests_of(facts: Sequence[str]) -> list[str]:
    """Cut the digests out of `find_facts`."""
    return [fact[:_DIGEST_LENGTH] for fact in facts]


def add_times(facts: Sequence[str]) -> int:
    """Add up the times in `find_facts`, in epoch ms: digit by digit over all of them, in a few steps."""
    text, count = "".join(facts).encode(), len(facts)
    if not count:
        return 0

    def digits(*places: int) -> int:
        total = 0
        for place in places:
            total = total * 10 + sum(text[_TIME_FROM + place :: _FACTS_LENGTH]) - 48 * count
        return total

    clock = ((digits(11, 12) * 60 + digits(14, 15)) * 60 + digits(17, 18)) * 1000 + digits(20, 21, 22)
    days = Counter(fact[_TIME_FROM : _TIME_FROM + _DAY_LENGTH] for fact in facts)
    return clock + sum(parse_timestamp(f"{day}T00:00:00Z") * number for day, number in days.items())


def decode_line(line: str) -> dict[str, Any]:
    """Read the fields of a line. Raises: ValueError saying why there are none."""
    fields, problems = read_json(line)
    if problems:
        raise ValueError(problems[0][1])
    if not isinstance(fields, dict):
        raise ValueError("it is not a JSON object")
    return fields


def read_entry(line: str) -> LockEntry:
    """Read the entry of a line that was checked when the lockfile was read."""
    match = PLAIN_ENTRY.fullmatch(line)
    if match is None:
        return check_entry(decode_line(line))
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


def unknown_fields(line: str, known: tuple[str, ...]) -> dict[str, Any]:
    """Find the fields of a line that this program does not know; most lines are not decoded for it."""
    if PLAIN_ENTRY.fullmatch(line):
        return {}
    return {key: value for key, value in decode_line(line).items() if key not in known}


def check_header(fields: dict[str, Any]) -> LockHeader:
    """Read the header. Raises: ValueError for what is not one, NewerVersionError for a newer version."""
    version = fields.get("version")
    if type(version) is not int or version < 1:
        raise ValueError("it is neither a header nor an entry")
    if version > VERSION:
        raise NewerVersionError(f"its version is {version}, and this program reads up to {VERSION}")
    revision = fields.get("revision", 0)
    if type(revision) is not int:
        raise ValueError("its `revision` is not a whole number")
    return LockHeader(_text(fields, "manifest"), _text(fields, "database"), version, revision)


def check_entry(fields: dict[str, Any]) -> LockEntry:
    """Read the entry. Raises: ValueError for what is not one."""
    digest = _text(fields, "digest")
    if not _DIGEST.fullmatch(digest):
        raise ValueError("`digest` must be 22 base64url characters")
    outcome = fields.get("outcome")
    if outcome not in (None, "existing"):
        raise ValueError("its `outcome` is not `existing`")
    retries = fields.get("retries")
    if retries is not None and not (type(retries) is int and 0 <= retries <= _MAX_RETRIES):
        raise ValueError("its `retries` is not a whole number")
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


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"its `{key}` is missing or not a text")
    return value


def read_blocks(text: Text) -> Iterator[tuple[int, list[str], bool]]:
    """Yield all lines, some thousand at a time.

    Shape:  the number of the first, the lines, and whether the last of them has its line end. Only a newline
            ends a line. A byte order mark and carriage returns are left in; a byte that is not UTF-8
            becomes a lone surrogate.
    """
    content = text.encode() if isinstance(text, str) else text
    source, number = iter(io.BytesIO(content) if isinstance(content, bytes) else content), 1
    while block := b"".join(islice(source, _BLOCK)):
        lines = block.removesuffix(b"\n").decode("utf-8", "surrogateescape").split("\n")
        yield number, lines, block.endswith(b"\n")
        number += len(lines)


def merge_lines(first: str, second: str) -> str:
    """Choose between two lines of one workflow, whichever comes first.

    More retries win, then the later `completed_at`, then the earlier `enqueued_at`. Lines are never mixed,
    since the status of one run says nothing about another one.
    Source: SPEC §5.
    """
    worse, better = sorted((first, second), key=_rank)
    lost, kept = read_entry(worse), read_entry(better)
    if lost.enqueued_at != kept.enqueued_at:
        return better
    unknown = unknown_fields(worse, ENTRY_KEYS) | unknown_fields(better, ENTRY_KEYS)
    return spell_entry(kept, unknown) if unknown else better


def _rank(line: str) -> tuple[Any, ...]:
    """Order lines by how much they know; the last two places only make the order independent of the file."""
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
