"""Follows enqueued workflows to their end: ids in, final statuses out, nothing held meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..plan.rows import FINAL_STATUSES
from ..system_db.database import Database
from ..system_db.read import read_statuses

READ_AT_ONCE = 10_000


class Final(NamedTuple):
    status: str
    completed_at_ms: int | None


class Following(NamedTuple):
    """How far it is: counts of workflows by their last seen status, and how many have ended."""

    ended: int
    total: int


class WaitResult(NamedTuple):
    final: dict[str, Final]
    pending: dict[str, str]  # id -> last seen status, when the time was up or the user stopped
    gone: list[str]  # rows that disappeared before they were seen at their end


def wait_for_workflows(
    database: Database,
    ids: Iterable[str],
    *,
    pause: Callable[[], bool],
    on_progress: Callable[[Following], None],
) -> WaitResult:
    """Poll until every workflow has ended, or `pause` (which sleeps) answers that it is enough."""
    pending = dict.fromkeys(ids, "")
    total = len(pending)
    result = WaitResult({}, pending, [])
    while True:
        waiting = list(pending)
        for start in range(0, len(waiting), READ_AT_ONCE):
            chunk = waiting[start : start + READ_AT_ONCE]
            statuses = database.read(read_statuses, chunk)
            for workflow_id in chunk:
                _note(result, workflow_id, statuses.get(workflow_id))
        on_progress(Following(total - len(pending), total))
        if not pending or not pause():
            return result


def _note(result: WaitResult, workflow_id: str, seen: tuple[str, int | None] | None) -> None:
    if seen is None:
        del result.pending[workflow_id]
        result.gone.append(workflow_id)
    elif seen[0] in FINAL_STATUSES:
        del result.pending[workflow_id]
        result.final[workflow_id] = Final(*seen)
    else:
        result.pending[workflow_id] = seen[0]
