"""What applies enqueued before: one record for each run of a manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class BatchKey(NamedTuple):
    """The provenance that apply stored with the rows of a batch; what is not stored is None."""

    manifest: str | None
    commit: str | None
    run_id: str | None
    reason: str | None


class StatusCount(NamedTuple):
    """The rows of a batch in one status."""

    key: BatchKey
    status: str
    rows: int
    first_created_ms: int
    last_created_ms: int


class EnqueuedBatch(NamedTuple):
    """The rows that one run of apply enqueued for a manifest, as far as the database still has them."""

    key: BatchKey
    first_created_ms: int
    last_created_ms: int
    statuses: Mapping[str, int]

    @property
    def workflows(self) -> int:
        return sum(self.statuses.values())


def join_counts(counts: Iterable[StatusCount]) -> list[EnqueuedBatch]:
    """Join the counts by status of each batch; the newest batch comes first."""
    batches: dict[BatchKey, EnqueuedBatch] = {}
    for key, status, rows, first, last in counts:
        before = batches.get(key, EnqueuedBatch(key, first, last, {}))
        batches[key] = EnqueuedBatch(
            key,
            min(first, before.first_created_ms),
            max(last, before.last_created_ms),
            {**before.statuses, status: before.statuses.get(status, 0) + rows},
        )
    return sorted(batches.values(), key=lambda batch: (-batch.first_created_ms, str(batch.key)))
