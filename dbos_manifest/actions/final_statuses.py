"""Follow applied workflows to their end, and record their final statuses in the lockfiles."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..files.lockfile_slot import LockfileSlot
from .apply import ApplyResult, blame_partly
from .session import DatabaseSettings, connect, load_lockfile
from .wait import Following, WaitResult, wait_for_workflows


def wait_for_results(
    results: Sequence[ApplyResult],
    settings: DatabaseSettings,
    *,
    timeout_s: float | None,
    poll_s: float,
    lock_timeout_s: float,
    on_progress: Callable[[Following], None],
    stopped: Callable[[], bool],
) -> None:
    """Follow every workflow of the applied manifests to its end, and note that in the lockfiles."""
    give_up = None if timeout_s is None else time.monotonic() + timeout_s

    def pause() -> bool:
        if stopped() or (give_up is not None and time.monotonic() >= give_up):
            return False
        time.sleep(poll_s)
        return not stopped()

    with blame_partly(results), connect(settings) as database:
        for applied in results:
            skipped_ids = applied.plan.skipped_ids
            ids = (spec.id for spec in applied.plan.source.specs() if spec.id not in skipped_ids)
            applied.wait = wait_for_workflows(database, ids, pause=pause, on_progress=on_progress)
            _record_final(applied, applied.wait, lock_timeout_s)


def _record_final(applied: ApplyResult, wait: WaitResult, lock_timeout_s: float) -> None:
    with LockfileSlot(applied.lock_path, lock_timeout_s) as slot:
        # read again: nothing was held while waiting, and another apply may have added to it
        lock = load_lockfile(applied.lock_path, applied.plan.name, None) or applied.plan.lock
        for workflow_id, final in wait.final.items():
            if workflow_id in lock:
                lock.record_status(workflow_id, final.status, final.completed_at_ms)
        if lock.differs_from_file:
            slot.replace(lock.render())
            applied.lock_written = True
