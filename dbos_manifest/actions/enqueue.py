"""Enqueue the workflows that a plan decided on, batch by batch, and record them in the lockfile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from ..core.errors import DatabaseError, Interrupted, Refused
from ..lockfile.journal import Journal
from ..lockfile.lockfile import Lockfile
from ..planning.manifest_plan import ManifestPlan
from ..planning.results import Progress, RejectedRow
from ..system_db.database import Database
from ..system_db.retry import describe_error
from ..system_db.transactions import InDoubtTransaction, read_outcome
from ..workflows.digest import compute_digests
from ..workflows.spec import WorkflowSpec
from .insert_batches import Inserter, TransactionResult
from .prefetch import work_ahead
from .prepared_batches import BatchPreparer, EnqueueSettings, PreparedBatch


@dataclass(slots=True)
class EnqueueCounts:
    """What was committed so far, whatever ends an apply."""

    enqueued: int = 0
    existing: int = 0  # equal rows that another writer enqueued since the plan was made
    held: int = 0  # return-existing: another workflow holds the deduplication ID
    rejected: list[RejectedRow] = field(default_factory=list)


class Enqueuer:
    """Enqueues the workflows of one manifest.

    Whatever is raised, the counts and the lockfile (in memory) have what was committed; the journal also
    has what may have been.
    """

    def __init__(
        self,
        database: Database,
        preparer: BatchPreparer,
        plan: ManifestPlan,
        lock: Lockfile,
        journal: Journal,
        settings: EnqueueSettings,
        counts: EnqueueCounts,
    ) -> None:
        self._database = database
        self._preparer = preparer
        self._plan = plan
        self._lock = lock
        self._journal = journal
        self._settings = settings
        self._counts = counts

    def run(self, on_progress: Callable[[Progress], None], stopped: Callable[[], bool]) -> None:
        """Enqueue everything that the plan decided to.

        Raises: Interrupted between two batches once `stopped()`; DatabaseUnreachable when the retry budget
                ends; Refused when an atomic manifest has an invalid row; LockfileNotWritable when the
                journal cannot be written.
        """
        plan = self._plan
        if self._settings.atomic:
            self._enqueue_all()
            on_progress(Progress(plan.name, plan.to_enqueue, plan.to_enqueue))
            return

        def enqueue(prepared: PreparedBatch) -> bool:
            if stopped():
                raise Interrupted(f"stopped after {self._counts.enqueued} of {plan.to_enqueue} workflows")
            if self._settings.fail_fast and self._counts.rejected:
                return False
            self._record(prepared, self._commit_once(lambda: [prepared]))
            return True

        done = 0
        with work_ahead(enqueue, self._preparer.batches(), self._database.cancel) as batches:
            for prepared, continues in batches:
                if not continues:
                    break
                done += len(prepared.batch)
                on_progress(Progress(plan.name, done, plan.to_enqueue))

    def _enqueue_all(self) -> None:
        """Enqueue the whole manifest in one transaction: every row, or none and the invalid rows named."""
        result = self._commit_once(self._preparer.batches)
        for prepared in self._preparer.batches():
            self._record(prepared, result)
        self._counts.held = result.held

    def _commit_once(self, batches: Callable[[], Iterable[PreparedBatch]]) -> TransactionResult:
        """Insert batches in one transaction, trying again until it is committed.

        When the connection was lost during a COMMIT, the rows are inserted again only once it is certain that
        it did not commit: the rows may have run and been removed meanwhile.
        """
        tried: list[TransactionResult] = []

        def attempt() -> TransactionResult:
            if self._journal.in_doubt and self._was_committed(tried[-1], batches()):
                return tried[-1]
            tried[:] = [TransactionResult()]
            self._transact(batches(), tried[-1])
            return tried[-1]

        try:
            return self._database.call(attempt)
        except DBAPIError as error:  # a row's error that shows only at the COMMIT, so no row can be named
            raise DatabaseError(
                f"the system database rejected the COMMIT: {describe_error(error)}",
                "check the DBOS tables for deferred constraints",
            ) from error

    def _was_committed(self, result: TransactionResult, batches: Iterable[PreparedBatch]) -> bool:
        written = (
            pair for prepared in batches for pair in prepared.created_at() if pair[0] in result.inserted
        )
        in_doubt = InDoubtTransaction(result.transaction_id, written)
        with self._database.transaction() as connection:
            outcome = read_outcome(connection, self._database, in_doubt, wait_for=self._plan.name)
        if outcome not in ("committed", "aborted"):
            raise DatabaseError(
                "the connection was lost during a COMMIT, and the database cannot tell whether it succeeded",
                "run the same command again: it reports the workflows of that transaction that have no row",
            )
        self._journal.record_outcome(committed=outcome == "committed")
        return outcome == "committed"

    def _transact(self, batches: Iterable[PreparedBatch], result: TransactionResult) -> None:
        database, settings = self._database, self._settings
        try:
            with database.transaction() as connection:
                begun = database.begin_write(connection, self._plan.name)
                result.transaction_id, result.has_triggers = begun
                self._journal.begin(begun.transaction_id)
                inserter = Inserter(connection, database, self._preparer, settings.run_id, result)
                for prepared in batches:
                    inserter.insert(prepared)
                    self._journal.add(self._journal_lines(prepared, result))
                if settings.atomic and result.rejected:
                    raise _refuse_atomic(self._plan.name, result.rejected)
                self._journal.prepare_commit()
        except DBAPIError as error:
            if database.proves_rollback(error):
                self._journal.record_outcome(committed=False)
            raise
        self._journal.record_outcome(committed=True)

    def _journal_lines(self, prepared: PreparedBatch, result: TransactionResult) -> list[str]:
        """Write the lock entries of inserted rows, and of other writers' equal rows that have none yet."""
        if result.inserted.issuperset(prepared.batch.ids):
            return prepared.lines
        lines = [*_inserted_lines(prepared, result).values()]
        for spec, digest in _with_digests(prepared):
            if (row := result.present.get(spec.id)) is not None and spec.id not in self._lock:
                line = self._lock.format_existing(spec, digest, row.created_at_ms)
                lines += [line] if line is not None else []
        return lines

    def _record(self, prepared: PreparedBatch, result: TransactionResult) -> None:
        """Count after the COMMIT, and record in the lockfile what is in the database now."""
        lines = _inserted_lines(prepared, result)
        if lines:
            self._lock.update(lines)
            self._counts.enqueued += len(lines)
        for spec, digest in _with_digests(prepared) if result.present else ():
            if (row := result.present.get(spec.id)) is not None:
                line = self._lock.format_existing(spec, digest, row.created_at_ms)
                if line is not None:
                    self._lock.update({spec.id: line})
                self._counts.existing += 1
        if not self._settings.atomic:
            self._counts.rejected += result.rejected
            self._counts.held += result.held


def _with_digests(prepared: PreparedBatch) -> Iterable[tuple[WorkflowSpec, str]]:
    return zip(prepared.batch, compute_digests(prepared.batch), strict=True)


def _inserted_lines(prepared: PreparedBatch, result: TransactionResult) -> dict[str, str]:
    """Return the lock entries of the rows that were inserted, by ID."""
    ids, inserted = prepared.batch.ids, result.inserted
    lines = dict(zip(ids, prepared.lines, strict=True))
    if inserted.issuperset(ids):
        return lines
    return {key: line for key, line in lines.items() if key in inserted}


def _refuse_atomic(name: str, rejected: list[RejectedRow]) -> Refused:
    shown = "; ".join(f"{row.spec.id}: {row.reason}" for row in rejected[:3])
    more = f" and {len(rejected) - 3} more" if len(rejected) > 3 else ""
    return Refused(
        f"`{name}` is applied atomically, so none of its workflows was enqueued: {shown}{more}",
        "fix those workflows, or apply without --atomic",
    )
