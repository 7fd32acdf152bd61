"""Prepare batches for the database: rows, lock lines and creation times, before a transaction needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import compress
from typing import Any, NamedTuple

from ..checks.rules import PROVENANCE_KEY
from ..core.canonical_json import encode_json
from ..core.columns import convert
from ..expansion.workflow_source import WorkflowSource
from ..lockfile.lockfile import Lockfile
from ..planning.manifest_plan import ManifestPlan
from ..system_db.database import Database
from ..system_db.insert import prepare_rows
from ..system_db.new_rows import NewRows, PreparedRows, make_rows
from ..system_db.preflight_facts import read_clock_ms
from ..workflows.batch import Batch, resize_batches, split_by_bytes
from ..workflows.digest import compute_digests

BATCH_SPREAD_MS = 10_000


class EnqueueSettings(NamedTuple):
    """How one manifest is enqueued, and what is the same in all its rows."""

    run_id: str  # a UUID; creator_xid of the rows
    provenance: Mapping[str, str] | None  # run ID and commit, for attributes; None: leave it out
    batch_size: int
    legacy_inputs: bool = False
    atomic: bool = False
    fail_fast: bool = False


class PreparedBatch(NamedTuple):
    """Workflows that are enqueued together, with everything done that needs no database."""

    batch: Batch
    prepared: PreparedRows
    lines: list[str]  # for the lockfile, once the rows are there

    def created_at(self) -> Iterator[tuple[str, int]]:
        return zip(self.batch.ids, self.prepared.rows.columns["created_at"], strict=True)


class CreationTimes:
    """The created_at of each row to enqueue: increasing, and after this manifest's queued rows.

    Units:  epoch ms; 1 ms a row, or less so that the last is at most 10 s ahead of the clock.
    Source: SPEC §4, Order; DBOS workers take equal priorities by created_at.
    """

    def __init__(self, now_ms: int, newest_queued_ms: int, count: int) -> None:
        self._start = max(now_ms, newest_queued_ms)
        self._room = max(0, now_ms + BATCH_SPREAD_MS - self._start)
        self._count = count

    def of(self, first: int, end: int) -> list[int]:
        """Return those of the rows from `first` to before `end`."""
        start, room, count = self._start, self._room, self._count
        if count <= room:
            return [*range(start + first, start + end)]
        return [start + position * room // count for position in range(first, end)]


class BatchPreparer:
    """Prepares the workflows that a plan enqueues, batch by batch, each time the same."""

    def __init__(
        self,
        database: Database,
        source: WorkflowSource,
        plan: ManifestPlan,
        lock: Lockfile,
        settings: EnqueueSettings,
    ) -> None:
        self._database = database
        self._source = source
        self._plan = plan
        self._lock = lock
        self._settings = settings
        # once, so that a retried batch is the same batch
        self._now_ms = database.read(read_clock_ms)
        self._provenance = {"manifest": plan.name, **(settings.provenance or {})}
        marks = settings.provenance is not None and database.layout.has_attributes
        self._mark = encode_json({PROVENANCE_KEY: self._provenance}).decode() if marks else None

    def batches(self) -> Iterator[PreparedBatch]:
        times = CreationTimes(self._now_ms, self._plan.newest_queued_ms, self._plan.to_enqueue)
        done = 0
        for batch in split_by_bytes(resize_batches(self._wanted(), self._settings.batch_size)):
            yield self._prepare(batch, times.of(done, done + len(batch)))
            done += len(batch)

    def _wanted(self) -> Iterator[Batch]:
        decisions, done = self._plan.decisions, 0
        for batch in self._source.batches(self._settings.batch_size):
            mask = decisions[done : done + len(batch)]
            done += len(batch)
            assert len(mask) == len(batch), "a manifest always has the same workflows"
            if 0 not in mask:
                yield batch
            elif 1 in mask:
                yield batch.filter(mask)

    def _prepare(self, batch: Batch, created_at_ms: list[int]) -> PreparedBatch:
        rows = make_rows(
            batch,
            created_at_ms=created_at_ms,
            now_ms=self._now_ms,
            attributes=convert(batch.columns["attributes"], self._attributes),
            creator_xid=self._settings.run_id,
        )
        lines = self._lock.format_new(
            batch.ids, batch.columns["workflow"], compute_digests(batch), created_at_ms
        )
        return PreparedBatch(batch, self._encode(rows), lines)

    def _encode(self, rows: NewRows) -> PreparedRows:
        return prepare_rows(self._database, rows, legacy_inputs=self._settings.legacy_inputs)

    def _attributes(self, attributes: dict[str, Any] | None) -> str | None:
        """Encode the attributes as JSON, with where they come from."""
        if attributes is None:
            return self._mark
        marked = {**attributes, PROVENANCE_KEY: self._provenance} if self._mark else attributes
        return encode_json(marked).decode()

    def slice(self, prepared: PreparedBatch, start: int, stop: int) -> PreparedBatch:
        """Take the workflows from `start` to before `stop`."""
        rows = prepared.prepared.rows.slice(start, stop)
        return PreparedBatch(
            prepared.batch.slice(start, stop), self._encode(rows), prepared.lines[start:stop]
        )

    def filter(self, prepared: PreparedBatch, mask: bytes) -> PreparedBatch:
        """Take the workflows where the mask is not 0."""
        rows, lines = prepared.prepared.rows.filter(mask), [*compress(prepared.lines, mask)]
        return PreparedBatch(prepared.batch.filter(mask), self._encode(rows), lines)
