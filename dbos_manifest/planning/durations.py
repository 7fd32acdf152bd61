"""How long workflows waited and ran."""

from __future__ import annotations

from typing import NamedTuple

from .rows import FINAL_STATUSES, LiveRow

_MOST_MS = 2**53
_SECOND_MS = 1000


class Durations(NamedTuple):
    """How long a workflow waited and ran, in ms: so far, if it still does; None if it did not."""

    queued_ms: int | None
    ran_ms: int | None


def measure(row: LiveRow, now_ms: int) -> Durations:
    """Measure a workflow: from its row's creation to its start, and from there to its end.

    Shape:  a stored time may be any value; a duration that depends on one that is no time is None.
    """
    created, started, completed = map(
        time_or_none, (row.created_at_ms, row.started_at_ms, row.completed_at_ms)
    )
    ended = row.status in FINAL_STATUSES
    if started is None:
        waits = created is not None and not ended
        return Durations(_elapsed(created, now_ms) if waits else None, None)
    return Durations(_elapsed(created, started), _elapsed(started, completed if ended else now_ms))


def time_or_none(value: object) -> int | None:
    """Return a stored time in epoch ms; None for a value that cannot be one."""
    return value if type(value) is int and 0 < value < _MOST_MS else None


def _elapsed(begin: int | None, end: int | None) -> int | None:
    """Return the time between two moments; None where it is unknown, or negative: clocks disagree.

    SQLite records starts and ends in whole seconds where DBOS runs on a Python older than 3.12.
    """
    if begin is None or end is None or end - begin <= -_SECOND_MS:
        return None
    return max(0, end - begin)
