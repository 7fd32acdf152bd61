"""Apply plans: enqueue the workflows of each manifest and write its lockfile."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..core.errors import (
    DatabaseError,
    LockfileNotWritable,
    ManifestToolError,
    PartlyApplied,
    Refused,
)
from ..core.exit_codes import ExitCode, decide_exit_code
from ..expansion.workflow_source import WorkflowSource
from ..files.git_commit import read_git_commit
from ..files.lockfile_slot import LockfileSlot
from ..lockfile.journal import Journal
from ..plan.preflight import WORKER_BEHIND_SCHEMA
from ..plan.states import Overrides, State
from ..system_db.database import Database
from .enqueue import ApplyOptions, EnqueueResult, Progress, Run, enqueue_manifest
from .plan import ManifestPlan
from .session import (
    ChangeSink,
    DatabaseSettings,
    LockfileSettings,
    connect,
    load_lockfile,
    lockfile_paths,
    make_plan,
    mark_database,
    resolve_by_database,
)
from .validate import LoadedManifest
from .wait import WaitResult


class ApplySettings(NamedTuple):
    overrides: Overrides = Overrides()
    chunk_size: int | None = None  # None: by database
    atomic: bool = False
    fail_fast: bool = False
    locked: bool = False
    provenance: bool = True
    legacy_inputs: bool = False
    lock_timeout_s: float = 60.0


@dataclass(slots=True)
class ApplyResult:
    """What became of one manifest."""

    plan: ManifestPlan
    lock_path: Path
    outcome: EnqueueResult = field(default_factory=EnqueueResult)
    lock_written: bool = False
    wait: WaitResult | None = None


class ApplyTarget(NamedTuple):
    """A manifest to apply, with what its files say."""

    source: WorkflowSource
    lock_path: Path
    commit: str | None  # of Git, for provenance


def find_targets(
    manifests: Sequence[LoadedManifest], lockfiles: LockfileSettings, commit: str | None
) -> list[ApplyTarget]:
    """Manifests with their lockfiles and the Git commit they are from, unless one is given.

    Raises: UsageError when two manifests would share a lockfile.
    """
    paths = lockfile_paths(manifests, lockfiles)
    return [
        ApplyTarget(loaded, path, commit or read_git_commit(folder_of(loaded)))
        for loaded, path in zip(manifests, paths, strict=True)
    ]


def folder_of(loaded: LoadedManifest) -> Path:
    """The folder of a manifest's file; the current one for standard input."""
    return (loaded.path or Path("manifest")).resolve().parent


def apply_targets(
    targets: Sequence[ApplyTarget],
    settings: DatabaseSettings,
    options: ApplySettings,
    *,
    on_database: Callable[[Database], None] = lambda database: None,
    on_changes: ChangeSink,
    on_plans: Callable[[list[ManifestPlan]], None],
    on_progress: Callable[[Progress], None],
    stopped: Callable[[], bool],
    results: list[ApplyResult],
) -> None:
    """Decide over all manifests, then send what is missing, and write the lockfiles.

    `on_database` may refuse the database before anything is compared.
    `results` is filled as it goes, so that the caller can tell what was done when this raises.
    Raises: Refused (nothing was enqueued), PartlyApplied (safe to run again), Interrupted, DatabaseError,
            LockfileNotWritable, InvalidLockfile.
    """
    with ExitStack() as held:
        database = held.enter_context(connect(settings))
        on_database(database)
        if not options.locked:
            database.check_writable()
            for name in sorted(target.source.name for target in targets):
                held.enter_context(database.apply_lock(name, options.lock_timeout_s))
        slots = [_Slot(target.lock_path, options, held) for target in targets]
        plans = []
        for source, path, _ in targets:
            resolve = resolve_by_database(database, source.name, writing=not options.locked)
            lockfile = load_lockfile(path, source.name, database.fingerprint, resolve)
            overrides, size = options.overrides, options.chunk_size
            if options.legacy_inputs:
                overrides = overrides._replace(allow=overrides.allow | {WORKER_BEHIND_SCHEMA})
            plans.append(make_plan(database, source, lockfile, path, settings, overrides, size, on_changes))
        on_plans(plans)
        _refuse_or_go_on(plans, options)
        writing = [plan for plan in plans if plan.to_enqueue or plan.lock.changed]
        for slot, plan in zip(slots, plans, strict=True):
            if plan in writing:
                slot.check()
        if writing:
            mark_database(database)
            for plan in writing:
                plan.lock.complete_fingerprint(database.fingerprint)
        run_id = str(uuid.uuid4())
        with blame_partly(results):
            for target, plan, slot in zip(targets, plans, slots, strict=True):
                applied = ApplyResult(plan, slot.path)
                results.append(applied)
                run = Run(run_id, _provenance(target.commit, options, run_id), options.legacy_inputs)
                _send(database, applied, slot, run, settings, options, on_progress, stopped)
    _raise_for_rejected(results)


@contextmanager
def blame_partly(results: Sequence[ApplyResult]) -> Iterator[None]:
    """Turn what ends a call in which rows were enqueued into PartlyApplied, where `exit_codes` decides so."""
    try:
        yield
    except (ManifestToolError, OSError) as error:
        enqueued = sum(applied.outcome.enqueued for applied in results)
        code = error.exit_code if isinstance(error, ManifestToolError) else ExitCode.UNUSABLE
        if decide_exit_code(code, enqueued=enqueued) == code:
            raise
        message, hint = _words(error)
        raise PartlyApplied(f"{message} ({enqueued:,} workflows were enqueued by this call)", hint) from error


def _words(error: ManifestToolError | OSError) -> tuple[str, str | None]:
    if isinstance(error, ManifestToolError):
        return error.message, error.hint
    # as where the results are written to: a reader that has gone, a full disk
    return f"the apply was ended: {error.strerror or error}", "run the same command again to continue"


class _Slot:
    """A lockfile's slot, whose failure to open matters only once there is something to write."""

    def __init__(self, path: Path, options: ApplySettings, held: ExitStack) -> None:
        self.path = path
        self._slot: LockfileSlot | None = None
        self._error: LockfileNotWritable | None = None
        if not options.locked:  # a check writes nothing, not even for a moment
            try:
                self._slot = held.enter_context(LockfileSlot(path, options.lock_timeout_s))
            except LockfileNotWritable as error:
                self._error = error

    @property
    def is_open(self) -> bool:
        return self._slot is not None

    def require(self) -> LockfileSlot:
        if self._error is not None:
            raise self._error
        assert self._slot is not None
        return self._slot

    def check(self) -> None:
        """Raises: LockfileNotWritable when the lockfile could not be written at the end."""
        self.require().check_replaceable()


def _refuse_or_go_on(plans: Sequence[ManifestPlan], options: ApplySettings) -> None:
    strict = options.overrides.strict
    refusing = [plan for plan in plans if plan.refuses(strict)]
    if refusing:
        reasons = [f"`{plan.name}` has {', '.join(plan.reasons_to_refuse(strict))}" for plan in refusing]
        raise Refused(f"nothing was enqueued: {'; '.join(reasons)}", _way_out(refusing, strict))
    if options.locked:
        behind = [plan.name for plan in plans if plan.to_enqueue or plan.lock.changed]
        if behind:
            raise Refused(
                f"--locked: something would be enqueued or recorded for {', '.join(behind)}",
                "run apply without --locked and commit the lockfile",
            )


_WAYS_OUT = {
    State.DRIFTED: "--allow-drift skips drifted workflows",
    State.CONFLICT: "--skip-conflicts skips conflicts",
    State.MISSING: "--recreate-missing enqueues missing workflows again, --skip-missing skips them",
}


def _way_out(refusing: Sequence[ManifestPlan], strict: bool) -> str:
    states = [state for state in _WAYS_OUT if any(plan.refused[state] for plan in refusing)]
    ways = [_WAYS_OUT[state] for state in states]
    if any(plan.refusing_diagnostics(strict) for plan in refusing):
        ways.append("--allow CODE enqueues despite a preflight diagnostic")
    return f"see each workflow above; {'; '.join(ways)}" if ways else "see each workflow above"


def _provenance(commit: str | None, options: ApplySettings, run_id: str) -> dict[str, str] | None:
    if not options.provenance:
        return None
    return {"run_id": run_id, **({"commit": commit} if commit else {})}


def _send(
    database: Database,
    applied: ApplyResult,
    slot: _Slot,
    run: Run,
    settings: DatabaseSettings,
    options: ApplySettings,
    on_progress: Callable[[Progress], None],
    stopped: Callable[[], bool],
) -> None:
    """Send one manifest, and write its lockfile also when that fails half way."""
    plan, outcome = applied.plan, applied.outcome
    chunk_size = options.chunk_size or database.default_transaction_size
    journal = Journal(lambda: slot.require().open_journal(), plan.lock.header)
    try:
        if plan.to_enqueue:
            enqueue_manifest(
                database,
                plan,
                run=run,
                options=ApplyOptions(chunk_size, options.atomic, options.fail_fast),
                journal=journal,
                outcome=outcome,
                on_progress=on_progress,
                stopped=stopped,
            )
    except DatabaseError as error:
        if not outcome.enqueued and not journal.in_doubt:
            raise
        raise PartlyApplied(
            f"{error.message}: {outcome.enqueued} of {plan.to_enqueue} workflows are known to be enqueued",
            "the lockfile has them; run the same command again to continue",
        ) from error
    finally:
        in_doubt = journal.close()
        if plan.lock.changed or (plan.lock.differs_from_file and slot.is_open):
            slot.require().replace(plan.lock.render(), keep_journal=in_doubt)
            applied.lock_written = True
        elif journal.exists and not in_doubt:
            slot.require().remove_journal()


def _raise_for_rejected(results: Sequence[ApplyResult]) -> None:
    rejected = sum(len(applied.outcome.rejected) for applied in results)
    if rejected:
        enqueued = sum(applied.outcome.enqueued for applied in results)
        raise PartlyApplied(
            f"{rejected} workflows could not be enqueued, {enqueued} were",
            "fix the workflows named above and run the same command again",
        )
