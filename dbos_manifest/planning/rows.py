"""Rows of the system database, under the names that a workflow spec has."""

from __future__ import annotations

from typing import NamedTuple

INTERNAL_QUEUE = "_dbos_internal_queue"
QUEUED_STATUSES = ("ENQUEUED", "DELAYED")
NOT_ENQUEUED = "NOT_ENQUEUED"  # of this program: a workflow without a row
FINAL_STATUSES = frozenset(
    {"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "RETRIES_EXCEEDED"}
)
FAILED_STATUSES = FINAL_STATUSES - {"SUCCESS"}

STATUSES = (
    "ENQUEUED", "DELAYED", "PENDING", "SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED",
    "RETRIES_EXCEEDED",
)  # fmt: skip
"""Every status that DBOS gives a row; RETRIES_EXCEEDED is the older name of the one before it."""


class SnapshotRow(NamedTuple):
    """A row of workflow_status with its input, as stored. A column that the schema lacks reads as None."""

    id: str  # workflow_uuid
    status: str
    workflow: str | None  # name
    class_name: str | None
    instance_name: str | None  # config_name
    application: str | None  # application_name
    queue: str | None  # queue_name
    queue_partition_key: str | None
    deduplication_id: str | None
    application_version: str | None
    priority: int | None
    timeout_ms: int | None
    deadline_ms: int | None
    delay_until_ms: int | None
    authenticated_user: str | None
    authenticated_roles: str | None  # JSON text
    assumed_role: str | None
    serialization: str | None
    inputs: str | None  # JSON text when serialization is portable_json
    schedule_name: str | None
    executor_id: str | None
    recovery_attempts: int | None
    started: bool  # whether started_at_epoch_ms is set
    touched: bool  # whether updated_at is not created_at
    created_at_ms: int
    completed_at_ms: int | None  # completed_at; updated_at of a final row where that column is missing
    creator_xid: str | None

    @property
    def shared(self) -> bool:
        """Return whether it represents several rows: it has only the values that they have in common."""
        return not self.id


class LiveRow(NamedTuple):
    """The current row of a workflow. Texts are JSON when serialization is portable_json."""

    id: str
    status: str
    workflow: str | None
    queue: str | None
    created_at_ms: int
    started_at_ms: int | None
    completed_at_ms: int | None
    attempts: int | None  # recovery_attempts: how often a worker has taken it
    serialization: str | None
    output: str | None
    error: str | None


class QueueRow(NamedTuple):
    """A registered queue. `partitioned` is None when the database's two signs of it disagree."""

    name: str
    application: str | None
    partitioned: bool | None
