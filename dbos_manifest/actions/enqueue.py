"""Pass two: a manifest's missing workflows into the database, chunk by chunk, and into its lockfile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ..checks.rules import PROVENANCE_KEY
from ..core.canonical_json import encode_json
from ..core.columns import convert
from ..core.errors import DatabaseError, Interrupted, Refused
from ..lockfile.entry import LockEntry
from ..lockfile.journal import Journal
from ..plan.comparison import compare_workflows
from ..plan.rows import SnapshotRow
from ..plan.states import State
from ..system_db.database import Database
from ..system_db.insert import RowsRejected, insert_rows, prepare_rows
from ..system_db.new_rows import NewRows, PreparedRows, make_rows
from ..system_db.read import read_deduplication_holders, read_snapshot
from ..system_db.retry import classify, describe_error
from ..system_db.surroundings import read_clock_ms
from ..system_db.transactions import InDoubtTransaction, read_outcome
from ..workflows.batch import Batch, resize_batches, split_by_bytes
from ..workflows.digest import compute_digests
from ..workflows.spec import WorkflowSpec
from .plan import ManifestPlan, record_existing
from .prefetch import work_ahead

BATCH_SPREAD_MS = 10_000
DROPPED = "the database accepted its row and did not keep it: look for a trigger on the DBOS tables"


class Run(NamedTuple):
    """What is the same for every row of one call: who writes, with what marks."""

    run_id: str  # a uuid; creator_xid of the rows
    provenance: dict[str, Any] | None  # run id and commit, for attributes; None: leave it out
    legacy_inputs: bool = False


class ApplyOptions(NamedTuple):
    chunk_size: int
    atomic: bool = False
    fail_fast: bool = False


class RejectedRow(NamedTuple):
    """A workflow that the database, or another writer, kept from being enqueued."""

    spec: WorkflowSpec
    reason: str


class Progress(NamedTuple):
    manifest: str
    enqueued: int
    total: int


@dataclass(slots=True)
class EnqueueResult:
    """What pass two did. `held` counts return-existing workflows that another one stands in for."""

    enqueued: int = 0
    existing: int = 0  # appeared between the passes, equal to ours
    held: int = 0
    rejected: list[RejectedRow] = field(default_factory=list)


class PreparedBatch(NamedTuple):
    """Workflows that go to the database together, all that takes no database being done."""

    batch: Batch
    prepared: PreparedRows
    lines: list[str]  # for the lockfile, once the rows are there


@dataclass(slots=True)
class _TransactionResult:
    """What one transaction did with its rows; every row of it is in exactly one of the three."""

    transaction_id: str | None = None  # see `WriteTransaction`
    has_triggers: bool = False
    inserted: set[str] = field(default_factory=set)
    present: dict[str, SnapshotRow] = field(default_factory=dict)  # equal rows, there already
    rejected: list[RejectedRow] = field(default_factory=list)
    held: int = 0


class CreationTimes:
    """The created_at of each row to send: never falling, behind this manifest's queued rows.

    Units:  epoch ms; 1 ms a row, or less so that the last is at most 10 s ahead of the clock.
    Source: SPEC §4, Order; DBOS workers take equal priorities by created_at.
    """

    def __init__(self, now_ms: int, newest_queued_ms: int, count: int) -> None:
        self._start = max(now_ms, newest_queued_ms)
        self._room = max(0, now_ms + BATCH_SPREAD_MS - self._start)
        self._count = count

    def of(self, first: int, end: int) -> list[int]:
        """Those of the rows from `first` to before `end`."""
        start, room, count = self._start, self._room, self._count
        if count <= room:
            return [*range(start + first, start + end)]
        return [start + position * room // count for position in range(first, end)]


def enqueue_manifest(
    database: Database,
    plan: ManifestPlan,
    *,
    run: Run,
    options: ApplyOptions,
    journal: Journal,
    outcome: EnqueueResult,
    on_progress: Callable[[Progress], None],
    stopped: Callable[[], bool],
) -> None:
    """Enqueue what the plan decided to send; count it in `outcome` and note it in the plan's lockfile.

    What was committed is in `outcome` and `plan.lock` (in memory) whatever is raised; the journal also has
    what may have been.
    Raises: Interrupted between two chunks once `stopped()`; DatabaseUnreachable when the retry budget
            ends; Refused when an atomic manifest has a row at fault; LockfileNotWritable when the journal
            cannot be written.
    """
    sender = _Sender(database, plan, run, options, journal, outcome)
    if options.atomic:
        sender.send_all()
        on_progress(Progress(plan.name, plan.to_enqueue, plan.to_enqueue))
        return

    def enqueue(chunk: PreparedBatch) -> bool:
        if stopped():
            raise Interrupted(f"stopped after {outcome.enqueued} of {plan.to_enqueue} workflows")
        if options.fail_fast and outcome.rejected:
            return False
        sender.send_chunk(chunk)
        return True

    done = 0
    with work_ahead(enqueue, sender.chunks(), database.cancel) as chunks:
        for chunk, continues in chunks:
            if not continues:
                break
            done += len(chunk.batch)
            on_progress(Progress(plan.name, done, plan.to_enqueue))


class _Sender:
    def __init__(
        self,
        database: Database,
        plan: ManifestPlan,
        run: Run,
        options: ApplyOptions,
        journal: Journal,
        outcome: EnqueueResult,
    ) -> None:
        self.database = database
        self.plan = plan
        self.run = run
        self.options = options
        self.journal = journal
        self.outcome = outcome
        self.now_ms = database.read(read_clock_ms)  # once, so that a retried chunk is the same chunk
        self.provenance = {"manifest": plan.name, **(run.provenance or {})}
        marks = run.provenance is not None and database.layout.has_attributes
        self.mark = encode_json({PROVENANCE_KEY: self.provenance}).decode() if marks else None

    def chunks(self) -> Iterator[PreparedBatch]:
        times = CreationTimes(self.now_ms, self.plan.newest_queued_ms, self.plan.to_enqueue)
        done = 0
        for batch in split_by_bytes(resize_batches(self._wanted(), self.options.chunk_size)):
            yield self._make_chunk(batch, times.of(done, done + len(batch)))
            done += len(batch)

    def _wanted(self) -> Iterator[Batch]:
        decisions, done = self.plan.decisions, 0
        for batch in self.plan.source.batches(self.options.chunk_size):
            mask = decisions[done : done + len(batch)]
            done += len(batch)
            assert len(mask) == len(batch), "a manifest always has the same workflows"
            if 0 not in mask:
                yield batch
            elif 1 in mask:
                yield batch.filter(mask)

    def _make_chunk(self, batch: Batch, created_at_ms: list[int]) -> PreparedBatch:
        rows = make_rows(
            batch,
            created_at_ms=created_at_ms,
            now_ms=self.now_ms,
            attributes=convert(batch.columns["attributes"], self._mark),
            creator_xid=self.run.run_id,
        )
        lines = self.plan.lock.format_new(
            batch.ids, batch.columns["workflow"], compute_digests(batch), created_at_ms
        )
        return PreparedBatch(batch, self._prepare(rows), lines)

    def _prepare(self, rows: NewRows) -> PreparedRows:
        return prepare_rows(self.database, rows, legacy_inputs=self.run.legacy_inputs)

    def _mark(self, attributes: dict[str, Any] | None) -> str | None:
        """The attributes as JSON, with where they come from."""
        if attributes is None:
            return self.mark
        marked = {**attributes, PROVENANCE_KEY: self.provenance} if self.mark else attributes
        return encode_json(marked).decode()

    def send_chunk(self, chunk: PreparedBatch) -> None:
        self._settle(chunk, self._commit_once(lambda: [chunk]))

    def send_all(self) -> None:
        """The whole manifest in one transaction: every row, or none and the rows at fault named."""
        result = self._commit_once(self.chunks)
        for chunk in self.chunks():
            self._settle(chunk, result)
        self.outcome.held = result.held

    def _commit_once(self, chunks: Callable[[], Iterable[PreparedBatch]]) -> _TransactionResult:
        """Insert chunks in one transaction, trying again until it is committed.

        When the answer to a COMMIT was lost, the rows are inserted again only once it is certain that it
        did not commit: the rows may have run and been removed meanwhile.
        """
        tried: list[_TransactionResult] = []

        def attempt() -> _TransactionResult:
            if self.journal.in_doubt and self._was_committed(tried[-1], chunks()):
                return tried[-1]
            tried[:] = [_TransactionResult()]
            self._transact(chunks(), tried[-1])
            return tried[-1]

        try:
            return self.database.call(attempt)
        except DBAPIError as error:  # a row's fault that shows only at the COMMIT, so no row can be named
            raise DatabaseError(
                f"the system database refuses the COMMIT: {describe_error(error)}",
                "look for a deferred constraint on the DBOS tables",
            ) from error

    def _was_committed(self, result: _TransactionResult, chunks: Iterable[PreparedBatch]) -> bool:
        written = (pair for chunk in chunks for pair in _created_at(chunk) if pair[0] in result.inserted)
        in_doubt = InDoubtTransaction(result.transaction_id, written)
        with self.database.transaction() as connection:
            outcome = read_outcome(connection, self.database, in_doubt, wait_for=self.plan.name)
        if outcome not in ("committed", "aborted"):
            raise DatabaseError(
                "the connection was lost during a COMMIT, and the database cannot tell whether it was done",
                "run the same command again: workflows of that transaction that have no row are reported",
            )
        self.journal.record_outcome(committed=outcome == "committed")
        return outcome == "committed"

    def _transact(self, chunks: Iterable[PreparedBatch], result: _TransactionResult) -> None:
        try:
            with self.database.transaction() as connection:
                begun = self.database.begin_write(connection, self.plan.name)
                result.transaction_id, result.has_triggers = begun
                self.journal.begin(begun.transaction_id)
                for chunk in chunks:
                    self._insert(connection, chunk, result)
                    self.journal.add(self._journal_lines(chunk, result))
                if self.options.atomic and result.rejected:
                    raise _refuse_atomic(self.plan, result.rejected)
                self.journal.prepare_commit()
        except DBAPIError as error:
            if self.database.proves_rollback(error):
                self.journal.record_outcome(committed=False)
            raise
        self.journal.record_outcome(committed=True)

    def _insert(self, connection: Connection, chunk: PreparedBatch, result: _TransactionResult) -> None:
        """Insert a chunk; on a data error halve it until the rows at fault stand alone."""
        count = len(chunk.batch)
        try:
            with connection.begin_nested():
                inserted = insert_rows(
                    connection, self.database, chunk.prepared, has_triggers=result.has_triggers
                )
        except RowsRejected as error:
            self._reject(connection, chunk, error.ids, result)
            return
        except DBAPIError as error:
            if classify(error) != "data":
                raise
            if count == 1:
                self._note_rejected(connection, chunk.batch[0], error, result)
            else:
                for start, stop in ((0, count // 2), (count // 2, count)):
                    self._insert(connection, self._cut(chunk, start, stop), result)
            return
        result.inserted |= inserted
        if len(inserted) < count:
            self._look_at_present(connection, chunk, inserted, result)

    def _reject(
        self, connection: Connection, chunk: PreparedBatch, rejected: set[str], result: _TransactionResult
    ) -> None:
        """Name the rows that the database did not keep, and insert the others."""
        for spec in chunk.batch:
            if spec.id in rejected:
                result.rejected.append(RejectedRow(spec, DROPPED))
        mask = bytes(workflow_id not in rejected for workflow_id in chunk.batch.ids)
        if 1 in mask:
            rows, lines = chunk.prepared.rows.filter(mask), [*compress(chunk.lines, mask)]
            self._insert(
                connection, PreparedBatch(chunk.batch.filter(mask), self._prepare(rows), lines), result
            )

    def _cut(self, chunk: PreparedBatch, start: int, stop: int) -> PreparedBatch:
        rows = chunk.prepared.rows.slice(start, stop)
        return PreparedBatch(chunk.batch.slice(start, stop), self._prepare(rows), chunk.lines[start:stop])

    def _note_rejected(
        self, connection: Connection, spec: WorkflowSpec, error: DBAPIError, result: _TransactionResult
    ) -> None:
        reason = describe_error(error)
        if spec.deduplication_id is not None:
            pair = (spec.queue, spec.deduplication_id)
            holder = read_deduplication_holders(connection, self.database, [pair]).get(pair)
            if holder is not None and spec.duplication_policy == "return-existing":
                result.held += 1
                return
            if holder is not None:
                reason = f"its deduplication id `{spec.deduplication_id}` is held by `{holder}`"
        result.rejected.append(RejectedRow(spec, reason))

    def _look_at_present(
        self, connection: Connection, chunk: PreparedBatch, inserted: set[str], result: _TransactionResult
    ) -> None:
        """Rows that were there before ours: of an attempt whose answer was lost, or of another writer."""
        ids = chunk.batch.ids
        places = [place for place, workflow_id in enumerate(ids) if workflow_id not in inserted]
        rows = read_snapshot(connection, self.database, [ids[place] for place in places])
        present = chunk.batch.take(places)
        changes = compare_workflows(present, rows, {}, {}).shared
        for place, spec, change in zip(places, present, changes, strict=True):
            row = rows.get(spec.id)
            if row is None:
                result.rejected.append(RejectedRow(spec, "another process removed its row meanwhile"))
            elif self._is_ours(row, chunk.prepared.rows, place):
                result.inserted.add(spec.id)
            elif change.state is State.UNCHANGED:
                result.present[spec.id] = row
            else:
                result.rejected.append(
                    RejectedRow(spec, "another writer enqueued something else under its id")
                )

    def _is_ours(self, row: SnapshotRow, ours: NewRows, place: int) -> bool:
        if self.database.layout.has_creator_xid:
            return row.creator_xid == self.run.run_id
        stored = (row.created_at_ms, row.inputs)
        return stored == (ours.columns["created_at"][place], ours.columns["inputs"][place])

    def _lines(self, chunk: PreparedBatch, result: _TransactionResult) -> dict[str, str]:
        """The lock entries of the rows that were inserted, by ID."""
        ids, inserted = chunk.batch.ids, result.inserted
        lines = dict(zip(ids, chunk.lines, strict=True))
        if inserted.issuperset(ids):
            return lines
        return {key: line for key, line in lines.items() if key in inserted}

    def _journal_lines(self, chunk: PreparedBatch, result: _TransactionResult) -> list[str]:
        """Those, and the lock entries of equal rows of another writer that have none yet."""
        if result.inserted.issuperset(chunk.batch.ids):
            return chunk.lines
        lines = [*self._lines(chunk, result).values()]
        for spec, digest in zip(chunk.batch, compute_digests(chunk.batch), strict=True):
            row = result.present.get(spec.id)
            if row is not None and spec.id not in self.plan.lock:
                entry = LockEntry(
                    spec.id,
                    spec.workflow,
                    digest,
                    row.created_at_ms,
                    "existing",
                )
                lines.append(self.plan.lock.format_entry(entry))
        return lines

    def _settle(self, chunk: PreparedBatch, result: _TransactionResult) -> None:
        """After the commit: count, and note in the lockfile what is in the database now."""
        lines = self._lines(chunk, result)
        if lines:
            self.plan.lock.update(lines)
            self.outcome.enqueued += len(lines)
        if result.present:
            for spec, digest in zip(chunk.batch, compute_digests(chunk.batch), strict=True):
                if spec.id in result.present:
                    created_at_ms = result.present[spec.id].created_at_ms
                    record_existing(self.plan.lock, spec, digest, created_at_ms)
                    self.outcome.existing += 1
        if not self.options.atomic:
            self.outcome.rejected += result.rejected
            self.outcome.held += result.held


def _created_at(chunk: PreparedBatch) -> Iterator[tuple[str, int]]:
    return zip(chunk.batch.ids, chunk.prepared.rows.columns["created_at"], strict=True)


def _refuse_atomic(plan: ManifestPlan, rejected: list[RejectedRow]) -> Refused:
    shown = "; ".join(f"{row.spec.id}: {row.reason}" for row in rejected[:3])
    more = f" and {len(rejected) - 3} more" if len(rejected) > 3 else ""
    return Refused(
        f"`{plan.name}` is atomic and nothing of it was enqueued: {shown}{more}",
        "fix those workflows, or apply without --atomic",
    )
