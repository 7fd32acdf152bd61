"""List the batches that applies enqueued before."""

from __future__ import annotations

from ..planning.history import EnqueuedBatch, join_counts
from ..system_db.history import read_batch_counts
from .session import connect
from .settings import DatabaseSettings


def read_history(settings: DatabaseSettings, manifest: str | None = None) -> list[EnqueuedBatch]:
    """Read the batches of a manifest, or of all; the newest comes first.

    Shape:  only rows with provenance are counted, and none that retention removed.
    Raises: DatabaseError, UsageError.
    """
    with connect(settings) as database:
        return join_counts(database.read(read_batch_counts, manifest))
