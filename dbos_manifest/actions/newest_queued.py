"""Find the newest queued row of a manifest, after which an apply enqueues."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.columns import distinct
from ..planning.preflight import QueuedAhead
from ..planning.rows import QUEUED_STATUSES, SnapshotRow
from ..system_db.database import Database
from ..system_db.read import read_snapshot

MAX_AHEAD_MS = 24 * 60 * 60 * 1000
"""A row that is further ahead of the clock of the database was created by an incorrect clock."""


class NewestQueued:
    """The creation time of the newest queued row, except rows far in the future.

    Cost:   rows that share a record are read one by one only where one of them is in the future.
    """

    def __init__(self, database: Database, now_ms: int) -> None:
        """Start with no row; `now_ms` is the time of the database."""
        self._database = database
        self._latest_ms = now_ms + MAX_AHEAD_MS
        self.created_at_ms = 0  # epoch ms; 0: nothing is queued
        self.ahead: QueuedAhead | None = None  # the first row far in the future

    def add(self, rows: Mapping[str, SnapshotRow]) -> None:
        """Take the rows of a batch, by workflow ID."""
        queued = [row for row in distinct(rows.values()) if row.status in QUEUED_STATUSES]
        newest = max((row.created_at_ms for row in queued), default=0)
        if newest > self._latest_ms:
            newest = self._skip_ahead(rows)
        self.created_at_ms = max(self.created_at_ms, newest)

    def _skip_ahead(self, rows: Mapping[str, SnapshotRow]) -> int:
        """Return the creation time of the newest row that is not too far ahead; 0 where all are."""
        queued = {key: row for key, row in rows.items() if row.status in QUEUED_STATUSES}
        shared = [key for key, row in queued.items() if row.shared and row.created_at_ms > self._latest_ms]
        if shared:
            queued |= self._database.read(read_snapshot, shared)
        times = {key: row.created_at_ms for key, row in queued.items()}
        if self.ahead is None:
            ahead = ((key, time) for key, time in times.items() if time > self._latest_ms)
            self.ahead = next((QueuedAhead(*pair) for pair in ahead), None)
        return max((time for time in times.values() if time <= self._latest_ms), default=0)
