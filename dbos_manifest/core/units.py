"""Parse and format durations, sizes and timestamps: text in manifests, integers in the database."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache

_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(
    "".join(rf"(?:(\d{{1,16}}){unit})?" for unit in ("w", "d", "h", "m", "s", "ms")), re.ASCII
)
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB|kB|MB|GB)", re.ASCII)
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ]"
    r"((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(\.\d+)?"
    r"([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MAX_MILLISECONDS = 2**53 - 1
MIN_TIMESTAMP, MAX_TIMESTAMP = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999, epoch ms


def parse_duration(text: object) -> int:
    """Parse a duration such as `"1h30m"` to milliseconds.

    Units:  w d h m s ms, each at most once, largest first.
    Raises: ValueError with the expected form in its message.
    """
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise ValueError("a duration must be text with a unit, such as `90s` or `1h30m`")
    text = str(text)
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        if re.fullmatch(r"\d+", text, re.ASCII):
            raise ValueError(
                f"a duration needs a unit: write `{text}s` for seconds, `{text}ms` for milliseconds"
            )
        if re.fullmatch(r"\d+\.\d+(ms|s|m|h|d|w)?", text, re.ASCII):
            raise ValueError(f"`{text}` has a fraction: use whole numbers, such as `1h30m` or `1500ms`")
        raise ValueError(f"`{text}` is not a duration: write `500ms`, `90s`, `5m`, `1h30m` or `2d`")
    total = sum(
        int(number) * _MILLISECONDS[unit]
        for number, unit in zip(match.groups(), ("w", "d", "h", "m", "s", "ms"), strict=True)
        if number is not None
    )
    if total > MAX_MILLISECONDS:
        raise ValueError(f"`{text}` is longer than a database timestamp can hold")
    return total


@lru_cache(1024)
def format_duration(milliseconds: int) -> str:
    """Format milliseconds as the shortest text that `parse_duration` reads: 5400000 as `1h30m`."""
    out = ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, milliseconds = divmod(milliseconds, _MILLISECONDS[unit])
        out += f"{count}{unit}" if count else ""
    return out or "0s"


def describe_duration(milliseconds: int) -> str:
    """Describe a measured duration with about three digits: `450 ms`, `2.1 s`, `12 min 4 s`, `3 d 5 h`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1000:.1f} s"
    seconds = round(milliseconds / 1000)
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86_400:,} d {seconds % 86_400 // 3600} h"


def parse_size(text: object) -> int:
    """Parse a size such as `"1MiB"` to bytes.

    Raises: ValueError with the expected form in its message.
    """
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"`{text}` is not a size: write it with a unit, such as `500kB` or `1MiB`")
    return int(match[1]) * _BYTES[match[2]]


def parse_timestamp(text: object) -> int:
    """Parse an RFC 3339 date-time to epoch milliseconds; fractions of a millisecond are cut off.

    Raises: ValueError with the expected form in its message.
    """
    if not isinstance(text, str):
        raise ValueError("write a date-time as text: `2026-01-31T09:00:00Z`")
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            raise ValueError(f"`{text}` has no time of day: write `{text}T00:00:00Z`")
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?", text, re.ASCII):
            raise ValueError(
                f"`{text}` has no UTC offset: write `{text}Z` for UTC, or an offset such as `+02:00`"
            )
        raise ValueError(f"`{text}` is not an RFC 3339 date-time: write it as `2026-01-31T09:00:00Z`")
    day, clock, fraction, offset = match.groups()
    zone = "+00:00" if offset in "Zz" else offset
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}")
    except ValueError:
        raise ValueError(f"`{text}` is not a valid date") from None
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    milliseconds += int(fraction[1:4].ljust(3, "0")) if fraction else 0
    if not MIN_TIMESTAMP <= milliseconds <= MAX_TIMESTAMP:  # because of the offset
        raise ValueError(f"`{text}` is outside the years 1 to 9999 in UTC")
    return milliseconds


def format_timestamp(epoch_ms: object) -> str:
    """Format epoch milliseconds as RFC 3339 in UTC, with milliseconds only if they are not 0.

    Shape:  another value, which another program may have stored, is printed with a note instead.
    """
    if type(epoch_ms) is not int or not MIN_TIMESTAMP <= epoch_ms <= MAX_TIMESTAMP:
        return f"{epoch_ms!r:.60} (not a time in epoch milliseconds)"
    moment = _EPOCH + timedelta(milliseconds=epoch_ms)
    text = moment.isoformat(timespec="milliseconds" if epoch_ms % 1000 else "seconds")
    return text.replace("+00:00", "Z")
