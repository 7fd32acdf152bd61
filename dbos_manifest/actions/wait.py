"""Wait until applied workflows have ended, and record their final statuses in the lockfiles."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from ..core.errors import DatabaseError, Interrupted, ManifestToolError, WaitFailed, WaitTimedOut
from ..core.plural import count_of
from ..files.lockfile_writer import LockfileWriter
from ..lockfile.lockfile import new_lockfile
from ..planning.results import ApplyResult, FinalStatus, WaitProgress, WaitResult, count_enqueued
from ..planning.rows import FINAL_STATUSES, LiveRow
from ..system_db.database import Database
from ..system_db.read import read_statuses
from .apply import as_partly_applied, find_failure
from .lockfiles import load_lockfile
from .plan import Target
from .session import connect, read_rows
from .settings import DatabaseSettings, WaitSettings

READ_AT_ONCE = 10_000


def make_pause(timeout_s: float | None, poll_s: float, stopped: Callable[[], bool]) -> Callable[[], bool]:
    """Return a function that sleeps between two polls, and returns False once waiting must end."""
    give_up = None if timeout_s is None else time.monotonic() + timeout_s

    def pause() -> bool:
        if stopped() or (give_up is not None and time.monotonic() >= give_up):
            return False
        time.sleep(poll_s)
        return not stopped()

    return pause


def wait_for_result(
    database: Database,
    result: ApplyResult,
    *,
    ids: Iterable[str],
    pause: Callable[[], bool],
    on_progress: Callable[[WaitProgress], None],
) -> ApplyResult:
    """Wait for the workflows of an applied manifest, and record in its lockfile how they ended.

    `ids` are all workflows of the manifest.
    """
    skipped_ids = result.plan.skipped_ids
    wanted = (workflow_id for workflow_id in ids if workflow_id not in skipped_ids)
    name = result.plan.name
    wait = wait_for_workflows(database, wanted, name=name, pause=pause, on_progress=on_progress)
    written = _record_final(result, wait, database)
    return result._replace(wait=wait, lock_written=result.lock_written or written)


def wait_for_results(
    settings: DatabaseSettings,
    targets: Sequence[Target],
    results: Sequence[ApplyResult],
    waiting: WaitSettings,
    on_progress: Callable[[WaitProgress], None],
    stopped: Callable[[], bool],
) -> list[ApplyResult]:
    """Wait until the workflows of each manifest have ended; a failure is in the result that it ended."""
    pause = make_pause(waiting.timeout_s, waiting.poll_s, stopped)
    ended = [*results]
    place = 0
    try:
        with connect(settings) as database:
            for place, target in enumerate(targets):
                ended[place] = wait_for_result(
                    database,
                    ended[place],
                    ids=(spec.id for spec in target.source.specs()),
                    pause=pause,
                    on_progress=on_progress,
                )
    except (ManifestToolError, OSError) as error:
        failure = as_partly_applied(error, count_enqueued(results))
        ended[place] = ended[place]._replace(failure=failure)
    return ended


def wait_for_workflows(
    database: Database,
    ids: Iterable[str],
    *,
    name: str,
    pause: Callable[[], bool],
    on_progress: Callable[[WaitProgress], None],
) -> WaitResult:
    """Poll until every workflow of the manifest `name` has ended, or `pause` returns False."""
    pending = dict.fromkeys(ids, "")
    total = len(pending)
    final: dict[str, FinalStatus] = {}
    ended: Counter[str] = Counter()
    disappeared: list[str] = []
    while True:
        waiting = list(pending)
        for start in range(0, len(waiting), READ_AT_ONCE):
            batch = waiting[start : start + READ_AT_ONCE]
            statuses = database.read(read_statuses, batch)
            for workflow_id in batch:
                seen = statuses.get(workflow_id)
                if seen is None:
                    del pending[workflow_id]
                    disappeared.append(workflow_id)
                elif seen[0] in FINAL_STATUSES:
                    del pending[workflow_id]
                    final[workflow_id] = FinalStatus(*seen)
                    ended[seen[0]] += 1
                else:
                    pending[workflow_id] = seen[0]
        counts = {**ended, **Counter(pending.values())}
        on_progress(WaitProgress(name, counts, len(disappeared), total))
        if not pending or not pause():
            return WaitResult(final, pending, disappeared)


def _record_final(result: ApplyResult, wait: WaitResult, database: Database) -> bool:
    name = result.plan.name
    with LockfileWriter.locked(result.lock_path, database.lock_timeout_s) as slot:
        # read again: no lock was held while waiting, and another apply may have added to it
        lock = load_lockfile(result.lock_path, name, None) or new_lockfile(name, database.fingerprint)
        for workflow_id, final in wait.final.items():
            if workflow_id in lock:
                lock.record_status(workflow_id, final.status, final.completed_at_ms)
        if lock.differs_from_file:
            slot.replace(lock.render())
            return True
    return False


def find_wait_failure(results: Sequence[ApplyResult], *, interrupted: bool) -> ManifestToolError | None:
    """Return an error unless every workflow that was waited for succeeded."""
    if (failure := find_failure(results)) is not None:
        return failure
    if interrupted:
        return Interrupted("interrupted while waiting; all workflows were enqueued")
    waits = [result.wait for result in results if result.wait is not None]
    failed = sum(final.status != "SUCCESS" for wait in waits for final in wait.final.values())
    disappeared = sum(len(wait.disappeared) for wait in waits)
    pending = sum(len(wait.pending) for wait in waits)
    counts = {"failed": failed, "disappeared": disappeared, "did not finish in time": pending}
    if not any(counts.values()):
        return None
    total = pending + disappeared + sum(len(wait.final) for wait in waits)
    found = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    number, _, rest = found.partition(" ")
    # waiting longer would not change a failure
    kind = WaitFailed if failed or disappeared else WaitTimedOut
    message = f"{number} of {count_of(total, 'workflow')} {rest}"
    return kind(message, "run `dbos-manifest status --list` to see each workflow")


def read_failed_rows(
    results: Sequence[ApplyResult], settings: DatabaseSettings, limit: int
) -> dict[str, LiveRow]:
    """Read the rows of the first workflows that were waited for and failed, for their error messages.

    Shape:  by workflow ID; empty where the database cannot be read: only messages are lost.
    """
    waits = [result.wait for result in results if result.wait is not None]
    ids = [key for wait in waits for key, final in wait.final.items() if final.status != "SUCCESS"]
    with suppress(DatabaseError):
        return read_rows(ids[:limit], settings)[0] if ids else {}
    return {}
