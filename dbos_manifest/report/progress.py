"""Describe progress: counts by status, a rate, and the time that is left. Nothing here reads a clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ..core.units import describe_duration
from ..planning.results import Progress, WaitProgress
from ..planning.rows import FAILED_STATUSES, QUEUED_STATUSES
from .text import printable

_LEAST_SECONDS = 1  # a rate measured in less time is not meaningful
_MOST_SECONDS = 99 * 86_400
_RATE_UNITS = (("s", 1), ("min", 60), ("h", 3600))


class Count(NamedTuple):
    """How many workflows are in one condition, in words, and the style of it."""

    number: int
    text: str
    style: str


class Snapshot(NamedTuple):
    """How far one manifest is."""

    manifest: str
    counts: Sequence[Count]
    ended: int
    total: int


def enqueue_snapshot(progress: Progress) -> Snapshot:
    """Describe how many workflows are enqueued: `enqueued: 30,000 of 100,000`."""
    text = f"enqueued: {progress.enqueued:,} of {progress.total:,}"
    count = Count(progress.enqueued, text, "green")
    return Snapshot(progress.manifest, (count,), progress.enqueued, progress.total)


def wait_snapshot(progress: WaitProgress) -> Snapshot:
    """Describe the workflows that are waited for: `3 done`, `1 failed`, `2 running`, `5 waiting`."""
    counts = tuple(_counts(progress.counts, progress.disappeared, "done"))
    nothing = Count(0, "no workflows", "")
    return Snapshot(progress.manifest, counts or (nothing,), progress.ended, progress.total)


def describe_statuses(statuses: Mapping[str, int], disappeared: int) -> str:
    """Return `1,175 succeeded, 13 failed`; a status that the word does not imply follows in parentheses."""
    return ", ".join(count.text for count in _counts(statuses, disappeared, "succeeded", exact=True))


def _counts(
    statuses: Mapping[str, int], disappeared: int, success: str, *, exact: bool = False
) -> Iterator[Count]:
    kinds: list[tuple[str, Sequence[str], str]] = [
        (success, ["SUCCESS"], "green"),
        ("failed", ["ERROR", *sorted(FAILED_STATUSES - {"ERROR"})], "red"),
        ("running", ["PENDING"], "cyan"),
        ("waiting", QUEUED_STATUSES, "dim"),
    ]
    known = {status for _, group, _ in kinds for status in group}
    kinds += [(status, [status], "dim") for status in sorted(statuses.keys() - known)]
    for word, group, style in kinds:
        found = {status: statuses[status] for status in group if statuses.get(status)}
        if not found:
            continue
        text = f"{sum(found.values()):,} {printable(word)}"
        if exact and found.keys() - {group[0]}:
            text += f" ({', '.join(f'{count:,} {status}' for status, count in found.items())})"
        yield Count(sum(found.values()), text, style)
    if disappeared:
        yield Count(disappeared, f"{disappeared:,} disappeared", "red")


def describe_pace(ended: int, left: int, seconds: float) -> list[str]:
    """Return `41/min` and `about 7 min left` for what ended within these seconds; nothing if none did."""
    if ended <= 0 or seconds < _LEAST_SECONDS:
        return []
    rates = ((unit, ended * length / seconds) for unit, length in _RATE_UNITS)
    unit, rate = next(((unit, rate) for unit, rate in rates if rate >= 1), ("", 0.0))
    if not unit:
        return []
    number = f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}".removesuffix(".0")
    pace = [f"{number}/{unit}"]
    if left > 0:
        pace.append(f"about {_describe_left(left * seconds / ended)} left")
    return pace


def _describe_left(seconds: float) -> str:
    if seconds > _MOST_SECONDS:
        return f"{_MOST_SECONDS // 86_400} d or more"
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else describe_duration(minutes * 60_000)


def progress_line(snapshot: Snapshot, pace: Sequence[str]) -> str:
    """Return one plain line: `enqueued: 30,000 of 100,000, 25,000/s, about 3 s left`."""
    return ", ".join([*(count.text for count in snapshot.counts), *pace])


def bar_parts(snapshot: Snapshot, width: int) -> list[tuple[int, str]]:
    """Return how a bar is divided by the counts of a snapshot.

    Shape: (cells, style), together `width` cells.
    """
    parts: list[tuple[int, str]] = []
    number = end = 0
    for count in snapshot.counts:
        number += count.number
        begin, end = end, number * width // snapshot.total if snapshot.total else 0
        parts.append((end - begin, count.style))
    return [*parts, (width - end, "dim")]
