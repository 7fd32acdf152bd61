"""Compare the workflows of a manifest with their rows, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import NamedTuple

from sqlalchemy import Connection

from ..expansion.workflow_source import WorkflowSource
from ..lockfile.lockfile import Lockfile, Recorded
from ..planning.comparison import compare_workflows
from ..planning.missing_rows import find_absent
from ..planning.rows import SnapshotRow
from ..planning.states import Changes
from ..system_db.database import Database
from ..system_db.read import (
    read_deduplication_holders,
    read_oldest_rows,
    read_rows_of_other_times,
    read_shared_rows,
    read_snapshot,
)
from ..workflows.batch import Batch, split_by_bytes
from ..workflows.digest import compute_digests
from .prefetch import read_ahead

_HELD_BY = ("id", "queue", "deduplication_id")


class ComparedBatch(NamedTuple):
    """The changes of the workflows of a batch, and the rows that they were compared with."""

    changes: Changes
    rows: Mapping[str, SnapshotRow]  # by workflow ID
    has_own: bool  # whether some rows were read one by one: the lockfile does not describe them


@contextmanager
def compare_batches(
    database: Database, source: WorkflowSource, lock: Lockfile, *, batch_size: int, verify: bool
) -> Iterator[Iterator[ComparedBatch]]:
    """Yield an iterator of the compared batches of a manifest; the next rows are read in the background.

    Where the lockfile describes a workflow as it is, its stored arguments are read only to `verify`: DBOS
    never changes them.
    """
    batches = split_by_bytes(source.batches(batch_size))
    queries = (_BatchQuery.of(batch, None if verify else lock) for batch in batches)
    known = bool(lock.ids())
    read_oldest = cache(partial(database.read, read_oldest_rows))

    def compare(batch: Batch, found: _BatchRows) -> ComparedBatch:
        absent = find_absent(lock, batch.ids, found.rows, read_oldest) if known else {}
        return ComparedBatch(
            compare_workflows(batch, found.rows, absent, found.holders), found.rows, found.has_own
        )

    def read(query: _BatchQuery) -> _BatchRows:
        return database.read(_read_rows, query)

    with read_ahead(database, read, queries) as pairs:
        yield (compare(query.batch, found) for query, found in pairs)


class _BatchQuery(NamedTuple):
    """A batch, and those of its workflows that the lockfile describes as they are."""

    batch: Batch
    lock: Lockfile | None
    recorded: Recorded

    @classmethod
    def of(cls, batch: Batch, lock: Lockfile | None) -> _BatchQuery:
        if lock is None or lock.ids().isdisjoint(batch.ids):
            return cls(batch, None, Recorded(frozenset(), 0))
        return cls(batch, lock, lock.find_recorded(batch.ids, compute_digests(batch)))


class _BatchRows(NamedTuple):
    rows: dict[str, SnapshotRow]  # by workflow ID
    has_own: bool  # whether some of them are not shared
    holders: dict[tuple[str, str], str]  # by queue and deduplication ID


def _read_rows(connection: Connection, database: Database, query: _BatchQuery) -> _BatchRows:
    batch, recorded = query.batch, query.recorded.ids
    ids = [workflow_id for workflow_id in batch.ids if workflow_id not in recorded]
    rows = read_snapshot(connection, database, ids) if ids else {}
    has_own = bool(rows)
    if query.lock is not None and recorded:
        shared, created_at = read_shared_rows(connection, database, [*recorded])
        rows |= shared
        complete = len(shared) == len(recorded)
        if created_at != (query.recorded.enqueued_at if complete else query.lock.sum_enqueued_at(shared)):
            # of another run than the one that the lockfile records
            others = read_rows_of_other_times(connection, database, query.lock.enqueued_at(shared))
            rows |= others
            has_own = has_own or bool(others)
    if not batch.sets("deduplication_id"):
        return _BatchRows(rows, has_own, {})
    pairs = [
        (queue, key)
        for workflow_id, queue, key in zip(*map(batch.columns.__getitem__, _HELD_BY), strict=True)
        if key is not None and workflow_id not in rows
    ]
    holders = read_deduplication_holders(connection, database, pairs) if pairs else {}
    return _BatchRows(rows, has_own, holders)
