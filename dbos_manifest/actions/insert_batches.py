"""Insert batches in one transaction, and account for every row that was not inserted."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ..planning.comparison import compare_workflows
from ..planning.results import RejectedRow
from ..planning.rows import SnapshotRow
from ..planning.states import State
from ..system_db.database import Database
from ..system_db.insert import RowsRejected, insert_rows
from ..system_db.new_rows import NewRows
from ..system_db.read import read_deduplication_holders, read_snapshot
from ..system_db.retry import describe_error
from ..workflows.spec import WorkflowSpec
from .prepared_batches import BatchPreparer, PreparedBatch

DROPPED = "the database accepted its row but did not store it: check the DBOS tables for triggers"
UNSEEN = "its ID exists in a row that this role cannot see, or that another process has removed since"


@dataclass(slots=True)
class TransactionResult:
    """What one transaction did with its rows; every row of it is in exactly one of the four."""

    transaction_id: str | None = None  # see `WriteTransaction`
    has_triggers: bool = False
    inserted: set[str] = field(default_factory=set)
    present: dict[str, SnapshotRow] = field(default_factory=dict)  # equal rows that existed already
    rejected: list[RejectedRow] = field(default_factory=list)
    held: int = 0


class Inserter:
    """Inserts batches within one open transaction."""

    def __init__(
        self,
        connection: Connection,
        database: Database,
        preparer: BatchPreparer,
        run_id: str,
        result: TransactionResult,
    ) -> None:
        self._connection = connection
        self._database = database
        self._preparer = preparer
        self._run_id = run_id
        self._result = result

    def insert(self, prepared: PreparedBatch) -> None:
        """Insert a batch; on a data error halve it until the invalid rows are alone."""
        count, result = len(prepared.batch), self._result
        try:
            with self._connection.begin_nested():
                inserted = insert_rows(
                    self._connection, self._database, prepared.prepared, has_triggers=result.has_triggers
                )
        except RowsRejected as error:
            self._insert_others(prepared, error)
            return
        except DBAPIError as error:
            if not self._database.rejects_row(self._connection, error):
                raise
            if count == 1:
                self._reject(prepared.batch[0], error)
            else:
                for start, stop in ((0, count // 2), (count // 2, count)):
                    self.insert(self._preparer.slice(prepared, start, stop))
            return
        result.inserted |= inserted
        if len(inserted) < count:
            self._look_at_present(prepared, inserted)

    def _insert_others(self, prepared: PreparedBatch, error: RowsRejected) -> None:
        """Name the rows that cannot be kept, and insert the others."""
        self._result.rejected += [
            RejectedRow(spec, error.reason) for spec in prepared.batch if spec.id in error.ids
        ]
        mask = bytes(workflow_id not in error.ids for workflow_id in prepared.batch.ids)
        if 1 in mask:
            self.insert(self._preparer.filter(prepared, mask))

    def _reject(self, spec: WorkflowSpec, error: DBAPIError) -> None:
        reason = describe_error(error)
        if spec.deduplication_id is not None:
            pair = (spec.queue, spec.deduplication_id)
            holder = read_deduplication_holders(self._connection, self._database, [pair]).get(pair)
            if holder is not None and spec.duplication_policy == "return-existing":
                self._result.held += 1
                return
            if holder is not None:
                reason = f"its deduplication ID `{spec.deduplication_id}` is held by `{holder}`"
        self._result.rejected.append(RejectedRow(spec, reason))

    def _look_at_present(self, prepared: PreparedBatch, inserted: set[str]) -> None:
        """Compare rows that existed before: of an attempt whose COMMIT was in doubt, or of another writer."""
        result, ids = self._result, prepared.batch.ids
        places = [place for place, workflow_id in enumerate(ids) if workflow_id not in inserted]
        rows = read_snapshot(self._connection, self._database, [ids[place] for place in places])
        present = prepared.batch.take(places)
        changes = compare_workflows(present, rows, {}, {}).shared
        for place, spec, change in zip(places, present, changes, strict=True):
            row = rows.get(spec.id)
            if row is None:
                result.rejected.append(RejectedRow(spec, UNSEEN))
            elif self._is_ours(row, prepared.prepared.rows, place):
                result.inserted.add(spec.id)
            elif change.state is State.UNCHANGED:
                result.present[spec.id] = row
            else:
                reason = "another client enqueued a different workflow under its ID"
                result.rejected.append(RejectedRow(spec, reason))

    def _is_ours(self, row: SnapshotRow, ours: NewRows, place: int) -> bool:
        if self._database.layout.has_creator_xid:
            return row.creator_xid == self._run_id
        stored = (row.created_at_ms, row.inputs)
        return stored == (ours.columns["created_at"][place], ours.columns["inputs"][place])
