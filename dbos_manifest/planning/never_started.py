"""Decide whether a workflow was never started, and compare the options that matter only until then."""

from __future__ import annotations

from ..core.units import format_duration, format_timestamp
from ..workflows.spec import WorkflowSpec
from .rows import INTERNAL_QUEUE, QUEUED_STATUSES, SnapshotRow
from .states import Difference


def is_never_started(row: SnapshotRow) -> bool:
    """Return whether no worker has claimed a row, so that its options still are what the enqueuer wrote.

    A claim sets version, executor and start time; recovery and resume keep the executor; resume and
    rewind without a queue move the row to DBOS's internal one. A resume onto a named queue leaves only
    ENQUEUED and a later `updated_at`, as a change of attributes does; a delay that elapses does not.
    Source: dbos 3.4.0 `_sys_db.py`: start_queued_workflows, reenqueue_for_recovery, resume_workflows.
    """
    return (
        row.status in QUEUED_STATUSES
        and not row.recovery_attempts
        and not row.executor_id
        and not row.started
        and row.queue != INTERNAL_QUEUE
        and (row.status == "DELAYED" or not row.touched)
    )


def compare_steering_options(spec: WorkflowSpec, row: SnapshotRow, started: bool) -> list[Difference]:
    """Compare the options that only matter until a worker starts the workflow.

    Of a started one, what DBOS itself changed is left out: cancel, resume and the end of a workflow clear its
    queue and deduplication ID, rewind clears the partition key, and a claim sets the version. Timeout and
    priority are never rewritten.
    Source: DBOS.md §8 and §11.
    """
    differences = []
    if spec.timeout_ms != row.timeout_ms:
        differences.append(Difference("timeout", *map(_duration, (spec.timeout_ms, row.timeout_ms))))
    if spec.priority != (row.priority or 0):
        differences.append(Difference("priority", spec.priority, row.priority or 0))
    for field, wanted, stored in (
        ("queue", spec.queue, row.queue),
        ("queue_partition_key", spec.queue_partition_key, row.queue_partition_key),
        ("deduplication_id", spec.deduplication_id, row.deduplication_id),
        ("application_version", spec.application_version, row.application_version),
    ):
        if wanted == stored or (started and (not stored or stored == INTERNAL_QUEUE)):
            continue
        if started and wanted is None and field == "application_version":
            continue
        if wanted != (stored or None):
            differences.append(Difference(field, wanted, stored or None))
    # DBOS fills a deadline in only at a claim, and only next to a timeout; but resume takes it away, even
    # from a row that never started. So a deadline that is there is compared, a missing one is not.
    if row.timeout_ms is None and row.deadline_ms not in (None, spec.deadline_ms):
        differences.append(Difference("deadline", *map(show_time, (spec.deadline_ms, row.deadline_ms))))
    return differences


def _duration(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    if type(milliseconds) is not int or milliseconds < 0:  # another program may have stored any value
        return f"{milliseconds!r:.60} (not a duration in milliseconds)"
    return format_duration(milliseconds)


def show_time(epoch_ms: int | None) -> str | None:
    """Return a time as a manifest states it; None for none."""
    return None if epoch_ms is None else format_timestamp(epoch_ms)
