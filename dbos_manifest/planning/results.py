"""What an apply did, as data: progress, results per manifest, and how the workflows ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..core.errors import ManifestToolError
from ..workflows.spec import WorkflowSpec
from .manifest_plan import ManifestPlan
from .rows import FINAL_STATUSES, LiveRow

if TYPE_CHECKING:  # only `status` and --wait load it
    from .status_table import StatusSummary


class Progress(NamedTuple):
    """How many workflows of a manifest have been enqueued, or rejected, so far."""

    manifest: str
    enqueued: int
    total: int


class RetryNotice(NamedTuple):
    """A failed attempt that is about to be repeated."""

    attempt: int  # from 1
    reason: str
    wait_s: float


class RejectedRow(NamedTuple):
    """A workflow that the database, or another writer, kept from being enqueued."""

    spec: WorkflowSpec
    reason: str


class FinalStatus(NamedTuple):
    status: str
    completed_at_ms: int | None  # epoch ms


class WaitProgress(NamedTuple):
    """The workflows of a manifest that are waited for: how many have each status, or have no row any more."""

    manifest: str
    counts: Mapping[str, int]
    disappeared: int
    total: int

    @property
    def ended(self) -> int:
        return self.disappeared + sum(self.counts.get(status, 0) for status in FINAL_STATUSES)


class WaitResult(NamedTuple):
    """How workflows ended, by ID."""

    final: Mapping[str, FinalStatus]
    pending: Mapping[str, str]  # last seen status, when the time was up or the user stopped
    disappeared: Sequence[str]  # rows that were removed before their final status was read


class ApplyResult(NamedTuple):
    """What was done with one manifest."""

    plan: ManifestPlan
    lock_path: Path
    enqueued: int = 0
    existing: int = 0  # enqueued by another writer since the plan was made, equal to the manifest
    held: int = 0  # return-existing: another workflow holds the deduplication ID
    rejected: tuple[RejectedRow, ...] = ()
    lock_written: bool = False
    failure: ManifestToolError | None = None  # what ended the apply of this manifest before its end
    wait: WaitResult | None = None


def count_enqueued(results: Iterable[ApplyResult]) -> int:
    """Count the workflows that were enqueued in several manifests."""
    return sum(result.enqueued for result in results)


class ApplyOutcome(NamedTuple):
    """What one call of apply did with all its manifests."""

    plans: Sequence[ManifestPlan]  # empty when it ended before the comparison
    results: Sequence[ApplyResult]  # of the manifests that it came to
    failure: ManifestToolError | None = None
    failed_rows: Mapping[str, LiveRow] = {}  # some that failed, by workflow ID
    waited: Mapping[str, StatusSummary] = {}  # by manifest: how the workflows ended, where some failed

    @property
    def enqueued(self) -> int:
        return count_enqueued(self.results)
