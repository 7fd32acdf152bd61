"""Apply plans: enqueue the workflows of each manifest and write its lockfile."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..core.errors import (
    DatabaseError,
    ManifestToolError,
    PartlyApplied,
    Refused,
)
from ..core.exit_codes import decide_exit_code
from ..core.plural import count_of
from ..lockfile.journal import Journal
from ..lockfile.lockfile import Lockfile, new_lockfile
from ..planning.manifest_plan import ManifestPlan
from ..planning.refusal import refuse
from ..planning.results import ApplyResult, Progress, count_enqueued
from ..system_db.database import Database
from .enqueue import EnqueueCounts, Enqueuer
from .lockfile_slots import LockfileSlot, lock_targets
from .plan import ChangeSink, Target
from .prepared_batches import BatchPreparer, EnqueueSettings
from .session import Session, mark_database
from .settings import ApplySettings, DatabaseSettings


class ApplySession:
    """The exclusive right to apply some manifests to a database: first plans, then what they enqueue.

    Another apply of the same manifests, or with the same lockfiles, waits until the session ends.
    """

    def __init__(self, session: Session, slots: Mapping[str, LockfileSlot], settings: ApplySettings) -> None:
        self._session = session
        self._slots = slots  # by name of the manifest
        self._settings = settings
        self._opened: dict[str, _Opened] = {}
        self._run_id = str(uuid.uuid4())
        self._enqueued = 0

    @classmethod
    @contextmanager
    def connect(
        cls, database: DatabaseSettings, targets: Sequence[Target], settings: ApplySettings
    ) -> Iterator[ApplySession]:
        """Connect, and take the locks of the manifests; `locked` writes nothing and takes none.

        Raises: DatabaseError, UsageError; Refused when another apply does not end within the lock timeout.
        """
        with (
            Session.connect(database) as session,
            lock_targets(session.database, targets, locked=settings.locked) as slots,
        ):
            yield cls(session, slots, settings)

    @property
    def database(self) -> Database:
        return self._session.database

    def plan(self, target: Target, on_changes: ChangeSink) -> ManifestPlan:
        """Compare a manifest with the database and its lockfile; nothing is written anywhere."""
        lock = self._session.load_lockfile(target, writing=not self._settings.locked)
        plan = self._session.plan_with(target, lock, self._settings.for_plan(), on_changes)
        lock = lock or new_lockfile(plan.name, self.database.fingerprint)
        self._opened[plan.name] = _Opened(target, lock, self._slots[plan.name])
        return plan

    def refuse_or_continue(self, plans: Sequence[ManifestPlan]) -> None:
        """Make sure that the plans may be carried out, and that their results can be recorded.

        Raises: Refused; LockfileNotWritable.
        """
        refuse(plans, self._settings.overrides.strict)
        writing = [plan for plan in plans if plan.to_enqueue or self._records(plan)]
        if writing and self._settings.locked:
            raise Refused(
                "--locked: apply would enqueue workflows or change the lockfile of "
                + ", ".join(plan.name for plan in writing),
                "run `apply` without --locked and commit the lockfile",
            )
        for plan in writing:
            self._slots[plan.name].require().check_replaceable()
        if writing:
            mark_database(self.database)
        for plan in writing:
            self._opened[plan.name].lock.complete_fingerprint(self.database.fingerprint)

    def _records(self, plan: ManifestPlan) -> bool:
        return bool(plan.new_entries.ids) or self._opened[plan.name].lock.changed

    def enqueue_all(
        self,
        plans: Sequence[ManifestPlan],
        on_progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> list[ApplyResult]:
        """Enqueue plan after plan; the first failure is in the last result."""
        results: list[ApplyResult] = []
        for plan in plans:
            results.append(self.enqueue(plan, on_progress, stopped))
            if results[-1].failure is not None:
                break
        return results

    def enqueue(
        self, plan: ManifestPlan, on_progress: Callable[[Progress], None], stopped: Callable[[], bool]
    ) -> ApplyResult:
        """Enqueue what a plan decided on and write its lockfile, also when that fails half way.

        Shape:  `failure` of the result is what ended it early; the lockfile has what was enqueued.
        """
        opened = self._opened[plan.name]
        if plan.new_entries.ids:
            opened.lock.update(dict(zip(plan.new_entries.ids, plan.new_entries.lines, strict=True)))
        journal = Journal(lambda: opened.slot.require().open_journal(), opened.lock.header)
        counts = EnqueueCounts()
        failure: ManifestToolError | None = None
        written = False
        try:
            try:
                if plan.to_enqueue:
                    self._enqueuer(opened, plan, journal, counts).run(on_progress, stopped)
            finally:
                written = opened.slot.save(opened.lock, journal)
        except (ManifestToolError, OSError) as error:
            failure = _describe_stop(error, plan, counts.enqueued, in_doubt=journal.in_doubt)
            failure = failure or as_partly_applied(error, self._enqueued + counts.enqueued)
        self._enqueued += counts.enqueued
        return ApplyResult(
            plan,
            opened.slot.path,
            counts.enqueued,
            counts.existing,
            counts.held,
            tuple(counts.rejected),
            written,
            failure,
        )

    def _enqueuer(
        self, opened: _Opened, plan: ManifestPlan, journal: Journal, counts: EnqueueCounts
    ) -> Enqueuer:
        settings = self._enqueue_settings(opened.target)
        preparer = BatchPreparer(self.database, opened.target.source, plan, opened.lock, settings)
        return Enqueuer(self.database, preparer, plan, opened.lock, journal, settings, counts)

    def _enqueue_settings(self, target: Target) -> EnqueueSettings:
        settings = self._settings
        marks = {"run_id": self._run_id, "commit": target.commit, "reason": settings.reason}
        return EnqueueSettings(
            self._run_id,
            {name: mark for name, mark in marks.items() if mark} if settings.provenance else None,
            settings.batch_size or self.database.default_transaction_size,
            settings.legacy_inputs,
            settings.atomic,
            settings.fail_fast,
        )


@dataclass(frozen=True, slots=True)
class _Opened:
    """A target whose lockfile was read."""

    target: Target
    lock: Lockfile
    slot: LockfileSlot


def _describe_stop(
    error: ManifestToolError | OSError, plan: ManifestPlan, enqueued: int, *, in_doubt: bool
) -> PartlyApplied | None:
    """Describe a failure of the database after which rows are in it or may be; None for any other."""
    if not isinstance(error, ManifestToolError):
        return None
    if not in_doubt and not (enqueued and isinstance(error, DatabaseError)):
        return None
    return PartlyApplied(
        f"{error.message}: {enqueued} of {plan.to_enqueue} workflows are known to have been enqueued",
        "they are recorded in the lockfile; run the same command again to continue",
    )


def as_partly_applied(error: ManifestToolError | OSError, enqueued: int) -> ManifestToolError:
    """Turn what ends a call that enqueued workflows into PartlyApplied, where `exit_codes` decides so."""
    if isinstance(error, ManifestToolError):
        message, hint = error.message, error.hint
        if decide_exit_code(error.exit_code, enqueued=enqueued) == error.exit_code:
            return error
    else:  # such as a full disk where results are written
        message, hint = f"the apply was stopped: {error.strerror or error}", None
        hint = "run the same command again to continue"
        if not enqueued:
            raise error
    return PartlyApplied(f"{message} (this call enqueued {count_of(enqueued, 'workflow')})", hint)


def find_failure(results: Sequence[ApplyResult]) -> ManifestToolError | None:
    """Find what kept an apply from being complete; None when everything is enqueued."""
    for result in results:
        if result.failure is not None:
            return result.failure
    rejected = sum(len(result.rejected) for result in results)
    if not rejected:
        return None
    enqueued = count_enqueued(results)
    return PartlyApplied(
        f"{rejected:,} of {rejected + enqueued:,} workflows could not be enqueued",
        "fix these workflows, then run apply again",
    )
