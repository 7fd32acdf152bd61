"""The colours of statuses, and the letters that represent them in a calendar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..planning.rows import FAILED_STATUSES, NOT_ENQUEUED, QUEUED_STATUSES

_STYLES = {"SUCCESS": "green", "CANCELLED": "yellow", "PENDING": "cyan"}


def status_style(status: str) -> str:
    """Return the style of a status: red for failures, green for success, dim for what has not begun."""
    return "red" if status in FAILED_STATUSES - {"CANCELLED"} else _STYLES.get(status, "dim")


class Mark(NamedTuple):
    """How workflows with similar statuses are shown."""

    letter: str
    style: str
    meaning: str


FAILED = Mark("X", "red", "failed")
MARKS = (
    FAILED,
    Mark("c", "yellow", "cancelled"),
    Mark("-", "dim", "not enqueued"),
    Mark(">", "cyan", "running"),
    Mark("o", "dim", "waiting"),
    Mark("░", "green", "succeeded"),
)
"""The worst first."""


def mark_of_status(status: str) -> Mark:
    """Return the mark of a status."""
    return MARKS[_rank(status)]


def mark_of(statuses: Mapping[str, int]) -> Mark:
    """Return the mark of the worst of some statuses."""
    return MARKS[min(map(_rank, statuses))]


def _rank(status: str) -> int:
    if status == "CANCELLED":
        return 1
    if status in FAILED_STATUSES:
        return 0
    if status == NOT_ENQUEUED:
        return 2
    return 4 if status in QUEUED_STATUSES else 5 if status == "SUCCESS" else 3
