"""Judge workflows that the lockfile records and the database no longer holds: vanished or missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from ..lockfile.lockfile import Lockfile
from .rows import FINAL_STATUSES
from .states import State

SAME_AGE_MS = 100
"""Rows of one apply are created 1 ms apart, so rows this close together count as equally old."""
APPLY_MS = 10_000
"""How far the first and the last row of one apply lie apart, at most."""


class OldestRows(NamedTuple):
    """When the oldest rows of a database were created, epoch ms; None where it has none."""

    any_ms: int | None
    completed_ms: int | None


class Absence(NamedTuple):
    """The state of a workflow without a row."""

    state: State  # VANISHED or MISSING
    status: str | None  # the final one that its lock entry records


_LOST = Absence(State.MISSING, None)
_REMOVED = Absence(State.VANISHED, None)


def is_explained(enqueued_at_ms: int, oldest: OldestRows) -> bool:
    """Decide whether retention may have removed a workflow that is not recorded as finished.

    Retention removes completed rows, oldest first. So it explains nothing in a database without any row, and
    nothing while a completed row is left that is as old as the workflow. Rows that still wait or run are
    never removed: an old one only counts where no completed row shows that retention has come further.
    """
    if oldest.any_ms is None:
        return False
    if oldest.any_ms > enqueued_at_ms + SAME_AGE_MS:
        return True
    return oldest.completed_ms is not None and oldest.completed_ms > enqueued_at_ms + APPLY_MS


def find_absent(
    lock: Lockfile,
    ids: Collection[str],
    rows: Mapping[str, object],
    read_oldest: Callable[[], OldestRows],
) -> dict[str, Absence]:
    """Find the workflows that have an entry and no row; the oldest rows are read only where they matter."""
    if len(rows) == len(ids) or not lock.ids():
        return {}
    found = {}
    for workflow_id in lock.ids() & set(ids).difference(rows):
        entry = lock.entry(workflow_id)
        assert entry is not None
        if entry.status in FINAL_STATUSES:
            found[workflow_id] = Absence(State.VANISHED, entry.status)
        else:
            found[workflow_id] = _REMOVED if is_explained(entry.enqueued_at, read_oldest()) else _LOST
    return found
