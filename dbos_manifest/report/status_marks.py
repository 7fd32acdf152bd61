"""The colours of statuses, and the letters that represent them in a calendar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..planning.rows import FAILED_STATUSES, NOT_ENQUEUED, QUEUED_STATUSES
from .text import printable


class Mark(NamedTuple):
    """How workflows with similar statuses are shown."""

    letter: str
    style: str
    meaning: str


FAILED = Mark("X", "red", "failed")
_CANCELLED = Mark("c", "yellow", "cancelled")
_NOT_ENQUEUED = Mark("-", "dim", "not enqueued")
UNKNOWN = Mark("?", "yellow", "unknown status")
_RUNNING = Mark(">", "cyan", "running")
_WAITING = Mark("o", "dim", "waiting")
_SUCCEEDED = Mark("░", "green", "succeeded")
MARKS = (FAILED, _CANCELLED, _NOT_ENQUEUED, UNKNOWN, _RUNNING, _WAITING, _SUCCEEDED)
"""The worst first."""

_MARKS = {
    **dict.fromkeys(FAILED_STATUSES, FAILED),
    "CANCELLED": _CANCELLED,
    NOT_ENQUEUED: _NOT_ENQUEUED,
    "PENDING": _RUNNING,
    **dict.fromkeys(QUEUED_STATUSES, _WAITING),
    "SUCCESS": _SUCCEEDED,
}


def mark_of_status(status: str) -> Mark:
    """Return the mark of a status."""
    return _MARKS.get(status, UNKNOWN)


def mark_of(statuses: Mapping[str, int]) -> Mark:
    """Return the mark of the worst of some statuses."""
    return min(map(mark_of_status, statuses), key=MARKS.index)


def describe_status(status: str) -> str:
    """Return the printable status; `PENDING (running)`, since the name alone sounds like waiting."""
    text = printable(status)
    return f"{text} ({_RUNNING.meaning})" if mark_of_status(status) is _RUNNING else text
