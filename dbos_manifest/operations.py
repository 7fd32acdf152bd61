"""The library's face: one function for each thing that the program does with manifests and a database."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .apply import ApplyOptions, Progress, Run, SendOutcome, send_manifest
from .errors import (
    DatabaseError,
    DatabaseUnreachable,
    LockfileNotWritable,
    ManifestToolError,
    PartlyApplied,
    Refused,
    UsageError,
)
from .files import LockfileSlot, read_git_commit, read_lockfile
from .lockfile import Lockfile, check_owner, new_lockfile, parse_lockfile
from .manifest import Manifest
from .plan import Change, State
from .planning import ManifestPlan, Overrides, make_manifest_plan, read_chunks
from .snapshot import LiveRow
from .spec import WorkflowSpec
from .system_db.connect import Database, check_writable, open_database
from .system_db.lock import session_lock
from .system_db.read import read_live
from .system_db.retry import Retry, RetryNotice
from .validation import LoadedManifest, specs_of
from .wait import Following, WaitResult, wait_for_workflows

FIRST_CONNECTION_BUDGET_S = 10.0
CHUNK_SIZES = {"postgresql": 10_000, "sqlite": 1_000}


class DatabaseSettings(NamedTuple):
    url: str
    schema: str = "dbos"
    retry_budget_s: float = 120.0
    on_retry: Callable[[RetryNotice], None] = lambda notice: None

    def retry(self) -> Retry:
        return Retry(self.retry_budget_s, self.on_retry)


class LockfileSettings(NamedTuple):
    path: Path | None = None
    target: str | None = None


class ApplySettings(NamedTuple):
    overrides: Overrides = Overrides()
    chunk_size: int | None = None  # None: by database
    atomic: bool = False
    fail_fast: bool = False
    locked: bool = False
    provenance: bool = True
    commit: str | None = None  # None: from the .git files around the manifest
    legacy_inputs: bool = False
    lock_timeout_s: float = 60.0


@dataclass(slots=True)
class Applied:
    """What became of one manifest."""

    plan: ManifestPlan
    lock_path: Path
    outcome: SendOutcome = field(default_factory=SendOutcome)
    lock_written: bool = False
    wait: WaitResult | None = None


ChangeSink = Callable[[Manifest, Change], None]


def connect(settings: DatabaseSettings) -> Database:
    """Open the system database.

    Raises: DatabaseError with the reason; UsageError for an unusable URL.
    """
    budget_s = min(FIRST_CONNECTION_BUDGET_S, settings.retry_budget_s)
    return open_database(settings.url, schema=settings.schema, retry=Retry(budget_s, settings.on_retry))


def lockfile_path(loaded: LoadedManifest, settings: LockfileSettings) -> Path:
    """Where a manifest's lockfile is: `jobs.yaml` → `jobs.lock.jsonl`, or by the manifest's name.

    Raises: UsageError for a manifest from standard input without --lockfile.
    Source: SPEC §5.
    """
    if settings.path is not None:
        return settings.path
    if loaded.path is None:
        raise UsageError(
            "a manifest from standard input has no lockfile of its own", "name one: --lockfile FILE"
        )
    stem = loaded.path.stem if loaded.alone else loaded.manifest.name
    target = f".{settings.target}" if settings.target else ""
    return loaded.path.with_name(f"{stem}{target}.lock.jsonl")


def lockfile_paths(manifests: Sequence[LoadedManifest], settings: LockfileSettings) -> list[Path]:
    """The lockfile of each manifest.

    Raises: UsageError when two manifests would share one.
    """
    paths = [lockfile_path(loaded, settings) for loaded in manifests]
    for position, path in enumerate(paths):
        if path in paths[:position]:
            first, second = manifests[paths.index(path)].manifest.name, manifests[position].manifest.name
            raise UsageError(
                f"the manifests `{first}` and `{second}` would share the lockfile {path}",
                "give each file its own name, or run the command once per manifest",
            )
    return paths


def load_lockfile(path: Path, manifest: str, database: str | None) -> Lockfile | None:
    """The lockfile at a path, None where there is none yet.

    Raises: InvalidLockfile when it cannot be read as one, or is another manifest's or database's
            (the latter is not checked when `database` is None).
    """
    content = read_lockfile(path)
    if content is None:
        return None
    lock = parse_lockfile(content, str(path))
    check_owner(lock, manifest=manifest, database=database or lock.header.database, file=str(path))
    return lock


def plan_files(
    manifests: Sequence[LoadedManifest],
    settings: DatabaseSettings,
    lockfiles: LockfileSettings,
    overrides: Overrides,
    on_change: ChangeSink,
) -> list[ManifestPlan]:
    """Compare manifests with the database; nothing is written anywhere."""
    paths = lockfile_paths(manifests, lockfiles) if lockfiles.path or not _from_stdin(manifests) else None
    with connect(settings) as database:
        plans = []
        for position, loaded in enumerate(manifests):
            name = loaded.manifest.name
            lock = load_lockfile(paths[position], name, database.fingerprint) if paths else None
            lock = lock or new_lockfile(name, database.fingerprint)
            plans.append(_plan(database, loaded, lock, settings, overrides, None, on_change))
        return plans


def _from_stdin(manifests: Sequence[LoadedManifest]) -> bool:
    return any(loaded.path is None for loaded in manifests)


def _plan(
    database: Database,
    loaded: LoadedManifest,
    lock: Lockfile,
    settings: DatabaseSettings,
    overrides: Overrides,
    chunk_size: int | None,
    on_change: ChangeSink,
) -> ManifestPlan:
    return make_manifest_plan(
        database,
        loaded,
        lock,
        retry=settings.retry(),
        overrides=overrides,
        chunk_size=chunk_size or CHUNK_SIZES[database.dialect],
        on_change=lambda change: on_change(loaded.manifest, change),
    )


def apply_files(
    manifests: Sequence[LoadedManifest],
    settings: DatabaseSettings,
    lockfiles: LockfileSettings,
    options: ApplySettings,
    *,
    on_change: ChangeSink,
    on_plans: Callable[[list[ManifestPlan]], None],
    on_progress: Callable[[Progress], None],
    stopped: Callable[[], bool],
    results: list[Applied],
) -> None:
    """Decide over all manifests, then send what is missing, and write the lockfiles.

    `results` is filled as it goes, so that the caller can tell what was done when this raises.
    Raises: Refused (nothing was sent), PartlyApplied (safe to run again), Interrupted, DatabaseError,
            LockfileNotWritable, InvalidLockfile.
    """
    paths = lockfile_paths(manifests, lockfiles)
    with ExitStack() as held:
        database = held.enter_context(connect(settings))
        if not options.locked:
            settings.retry().call(partial(check_writable, database))
            for loaded in sorted(manifests, key=lambda loaded: loaded.manifest.name):
                lock = session_lock(database, loaded.manifest.name, options.lock_timeout_s)
                held.enter_context(lock)
        slots = [_Slot(path, options, held) for path in paths]
        plans = []
        for loaded, path in zip(manifests, paths, strict=True):
            name = loaded.manifest.name
            lockfile = load_lockfile(path, name, database.fingerprint) or new_lockfile(
                name, database.fingerprint
            )
            plans.append(
                _plan(
                    database,
                    loaded,
                    lockfile,
                    settings,
                    options.overrides,
                    options.chunk_size,
                    on_change,
                )
            )
        on_plans(plans)
        _refuse_or_go_on(plans, options)
        for slot, plan in zip(slots, plans, strict=True):
            if plan.to_send or plan.lock.changed:
                slot.require()
        run_id = str(uuid.uuid4())
        for loaded, plan, slot in zip(manifests, plans, slots, strict=True):
            applied = Applied(plan, slot.path)
            results.append(applied)
            run = Run(run_id, _provenance(loaded, options, run_id), options.legacy_inputs)
            _send(database, applied, slot, run, settings, options, on_progress, stopped)
    _raise_for_faults(results)


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

    def require(self) -> LockfileSlot:
        if self._error is not None:
            raise self._error
        assert self._slot is not None
        return self._slot


def _refuse_or_go_on(plans: Sequence[ManifestPlan], options: ApplySettings) -> None:
    refusing = [plan for plan in plans if plan.refuses(options.overrides.strict)]
    if refusing:
        raise Refused(
            f"nothing was sent: {', '.join(_why(plan) for plan in refusing)}",
            "see each workflow above; --allow-drift, --skip-conflicts and --allow CODE go on without them",
        )
    if options.locked:
        behind = [plan.manifest.name for plan in plans if plan.to_send or plan.lock.changed]
        if behind:
            raise Refused(
                f"--locked: there is something to send or to write for {', '.join(behind)}",
                "run apply without --locked and commit the lockfile",
            )


def _why(plan: ManifestPlan) -> str:
    counts = plan.summary
    parts = [
        f"{count} {word}"
        for count, word in (
            (counts.count(State.DRIFTED), "drifted"),
            (counts.count(State.CONFLICT), "in conflict"),
            (len(plan.findings), "preflight findings"),
        )
        if count
    ]
    return f"`{plan.manifest.name}` has {', '.join(parts)}"


def _provenance(loaded: LoadedManifest, options: ApplySettings, run_id: str) -> dict[str, str] | None:
    if not options.provenance:
        return None
    folder = (loaded.path or Path("manifest")).resolve().parent
    commit = options.commit or read_git_commit(folder)
    return {"run_id": run_id, **({"commit": commit} if commit else {})}


def _send(
    database: Database,
    applied: Applied,
    slot: _Slot,
    run: Run,
    settings: DatabaseSettings,
    options: ApplySettings,
    on_progress: Callable[[Progress], None],
    stopped: Callable[[], bool],
) -> None:
    """Send one manifest, and write its lockfile also when that fails half way."""
    plan, outcome = applied.plan, applied.outcome
    chunk_size = options.chunk_size or CHUNK_SIZES[database.dialect]
    try:
        if plan.to_send:
            send_manifest(
                database,
                plan,
                run=run,
                options=ApplyOptions(chunk_size, options.atomic, options.fail_fast),
                retry=settings.retry(),
                outcome=outcome,
                on_progress=on_progress,
                stopped=stopped,
            )
    except DatabaseError as error:
        if not outcome.enqueued and not isinstance(error, DatabaseUnreachable):
            raise
        raise PartlyApplied(
            f"{error.message}: {outcome.enqueued} of {plan.to_send} workflows are known to be enqueued",
            "the lockfile has them; run the same command again to go on",
        ) from error
    finally:
        if plan.lock.changed:
            slot.require().replace(plan.lock.render())
            applied.lock_written = True


def _raise_for_faults(results: Sequence[Applied]) -> None:
    faults = [fault for applied in results for fault in applied.outcome.faults]
    if faults:
        enqueued = sum(applied.outcome.enqueued for applied in results)
        raise PartlyApplied(
            f"{len(faults)} workflows could not be enqueued, {enqueued} were",
            "mend the ones named above and run the same command again",
        )


def wait_for_results(
    results: Sequence[Applied],
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

    with connect(settings) as database:
        for applied in results:
            left_alone = applied.plan.left_alone
            ids = (spec.id for spec in specs_of(applied.plan.loaded) if spec.id not in left_alone)
            applied.wait = wait_for_workflows(
                database, ids, retry=settings.retry(), pause=pause, on_progress=on_progress
            )
            _record_final(applied, applied.wait, lock_timeout_s)


def _record_final(applied: Applied, wait: WaitResult, lock_timeout_s: float) -> None:
    with LockfileSlot(applied.lock_path, lock_timeout_s) as slot:
        # read again: nothing was held while waiting, and another apply may have added to it
        lock = load_lockfile(applied.lock_path, applied.plan.manifest.name, None) or applied.plan.lock
        for workflow_id, final in wait.final.items():
            if workflow_id in lock:
                lock.finish(workflow_id, final.status, final.completed_at_ms)
        if lock.changed:
            slot.replace(lock.render())
            applied.lock_written = True


def read_live_rows(
    manifests: Sequence[LoadedManifest], settings: DatabaseSettings
) -> Iterator[tuple[Manifest, WorkflowSpec, LiveRow | None]]:
    """Every workflow of the manifests with its live row, in manifest order."""
    with connect(settings) as database:
        retry = settings.retry()
        for loaded in manifests:
            for specs in read_chunks(specs_of(loaded), CHUNK_SIZES[database.dialect]):
                rows = retry.call(partial(_read_live, database, [spec.id for spec in specs]))
                for spec in specs:
                    yield loaded.manifest, spec, rows.get(spec.id)


def read_rows(ids: Sequence[str], settings: DatabaseSettings) -> dict[str, LiveRow]:
    """The live rows of some workflows."""
    with connect(settings) as database:
        return settings.retry().call(partial(_read_live, database, ids))


def _read_live(database: Database, ids: Sequence[str]) -> dict[str, LiveRow]:
    with database.reading() as connection:
        return read_live(connection, database, ids)


__all__ = [
    "Applied",
    "ApplySettings",
    "DatabaseSettings",
    "LockfileSettings",
    "ManifestToolError",
    "apply_files",
    "connect",
    "plan_files",
    "read_live_rows",
    "wait_for_results",
]
