"""The library's face: settings, connections, plans and statuses; `apply_operations` has what writes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ..core.columns import read_chunks
from ..core.diagnostic import Diagnostic
from ..core.errors import UsageError
from ..expansion.workflow_source import WorkflowSource
from ..files.journal_file import journal_path, open_journal
from ..files.lockfile_slot import open_lockfile, resolve_lockfile
from ..lockfile.journal import JournalTransaction, ResolveInDoubt, assume_committed, replay_journal
from ..lockfile.lockfile import Lockfile, check_owner, new_lockfile
from ..lockfile.reader import parse_lockfile
from ..manifest.manifest import Manifest
from ..plan.rows import LiveRow
from ..plan.states import Changes, Overrides, State
from ..system_db.connect import open_database
from ..system_db.database import Database
from ..system_db.read import read_live
from ..system_db.retry import Retry, RetryNotice
from ..system_db.transactions import InDoubtTransaction, Outcome, read_outcome
from ..workflows.spec import WorkflowSpec
from .lockfile_checks import find_other_lockfile, find_renamed
from .plan import ManifestPlan, make_manifest_plan
from .plan_against_lock import make_offline_plan
from .validate import LoadedManifest, specs_of

_TARGET = re.compile(r"\w([\w.-]*\w)?")


class DatabaseSettings(NamedTuple):
    url: str
    schema: str = "dbos"
    retry_budget_s: float = 120.0
    on_retry: Callable[[RetryNotice], None] = lambda notice: None
    verify: bool = False  # read stored arguments also where the lockfile vouches for them


class LockfileSettings(NamedTuple):
    path: Path | None = None
    target: str | None = None


ChangeSink = Callable[[WorkflowSource, Changes], None]


def connect(settings: DatabaseSettings) -> Database:
    """Open the system database.

    Raises: DatabaseError with the reason; UsageError for an unusable URL.
    """
    return open_database(
        settings.url, schema=settings.schema, retry=Retry(settings.retry_budget_s, settings.on_retry)
    )


def mark_database(database: Database) -> None:
    """Give the database an identity, before a lockfile records it."""
    database.mark(1 + uuid.uuid4().int % (2**31 - 1))


def lockfile_path(loaded: LoadedManifest, settings: LockfileSettings) -> Path:
    """Where a manifest's lockfile is: `jobs.yaml` → `jobs.lock.jsonl`, or by the manifest's name.

    Raises: UsageError for a manifest from standard input without --lockfile.
    Source: SPEC §5.
    """
    if settings.path is not None:
        return settings.path
    if settings.target is not None and not _TARGET.fullmatch(settings.target):
        raise UsageError(
            f"--target {settings.target}: this is no name for a part of a file's name",
            "use letters, digits, `_`, `-` and dots inside, as --target prod",
        )
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
                "run the command once for each, with its own --lockfile, or rename one of the files",
            )
    return paths


def load_lockfile(
    path: Path, manifest: str | None, database: str | None, resolve: ResolveInDoubt = assume_committed
) -> Lockfile | None:
    """Read the lockfile at a path, and what the journal of an interrupted apply adds; None: there is neither.

    `resolve` decides about a transaction whose outcome the journal does not have.
    Raises: InvalidLockfile when it cannot be read as one, or is another manifest's or database's
            (what is None is not checked); Refused for such a journal.
    """
    with replaying_journal(path, manifest, database, resolve) as replay:
        with open_lockfile(path) as file:  # of a million lines, which would be in memory twice
            lock = None if file is None else parse_lockfile(file, str(path))
        if lock is not None:
            owner = lock.header
            name, fingerprint = manifest or owner.manifest, database or owner.database
            check_owner(lock, manifest=name, database=fingerprint, file=str(path))
        return replay(lock)


@contextmanager
def replaying_journal(
    path: Path, manifest: str | None, database: str | None, resolve: ResolveInDoubt
) -> Iterator[Callable[[Lockfile | None], Lockfile | None]]:
    """Open a lockfile's journal; inside, the function adds its entries to the lockfile.

    The journal is opened before the lockfile is read: an apply that ends meanwhile writes the lockfile
    first and then removes the journal, so that one of the two has each entry.
    """
    journal = journal_path(resolve_lockfile(path))
    with open_journal(journal) as text:

        def replay(lock: Lockfile | None) -> Lockfile | None:
            if text is None:
                return lock
            return replay_journal(
                lock, text, manifest=manifest, database=database, file=str(journal), resolve=resolve
            )

        yield replay


def resolve_by_database(database: Database, manifest: str, *, writing: bool) -> ResolveInDoubt:
    """Ask the database about transactions in doubt.

    An apply waits for one that is still running; who only reads counts it as not committed yet. What the
    database does not know counts as committed: it could be enqueued twice otherwise.
    """

    def resolve(transaction: JournalTransaction, earlier: Sequence[JournalTransaction]) -> bool:
        return database.call(lambda: read(transaction, earlier)) in ("committed", "unknown")

    def read(transaction: JournalTransaction, earlier: Sequence[JournalTransaction]) -> Outcome:
        before = chain.from_iterable(one.created_at_ms() for one in earlier)
        in_doubt = InDoubtTransaction(transaction.transaction_id, transaction.created_at_ms(), before)
        with database.transaction() if writing else database.reading() as connection:
            return read_outcome(connection, database, in_doubt, wait_for=manifest if writing else None)

    return resolve


def plan_files(
    manifests: Sequence[LoadedManifest],
    settings: DatabaseSettings,
    lockfiles: LockfileSettings,
    overrides: Overrides,
    on_changes: ChangeSink,
    on_database: Callable[[Database], None] = lambda database: None,
) -> list[ManifestPlan]:
    """Compare manifests with the database; nothing is written anywhere.

    `on_database` sees the database before anything is compared.
    """
    paths = lockfile_paths(manifests, lockfiles) if lockfiles.path or not _from_stdin(manifests) else None
    with connect(settings) as database:
        on_database(database)
        plans = []
        for position, loaded in enumerate(manifests):
            lock = None
            if paths:
                resolve = resolve_by_database(database, loaded.name, writing=False)
                lock = load_lockfile(paths[position], loaded.name, database.fingerprint, resolve)
            path = paths[position] if paths else None
            plan = make_plan(database, loaded, lock, path, settings, overrides, None, on_changes)
            plan.target = lockfiles.target
            plans.append(plan)
        return plans


def plan_against_lockfiles(
    manifests: Sequence[LoadedManifest],
    lockfiles: LockfileSettings,
    overrides: Overrides,
    on_changes: ChangeSink,
) -> list[ManifestPlan]:
    """Compare manifests with their lockfiles only: no database is asked, and none is needed."""
    plans = []
    for loaded, path in zip(manifests, lockfile_paths(manifests, lockfiles), strict=True):
        lock = load_lockfile(path, loaded.name, None) or new_lockfile(loaded.name, "unknown")
        plan = make_offline_plan(loaded, lock, overrides, partial(on_changes, loaded))
        plan.target = lockfiles.target
        plans.append(plan)
    return plans


def _from_stdin(manifests: Sequence[LoadedManifest]) -> bool:
    return any(loaded.path is None for loaded in manifests)


def make_plan(
    database: Database,
    source: WorkflowSource,
    lock: Lockfile | None,
    path: Path | None,
    settings: DatabaseSettings,
    overrides: Overrides,
    chunk_size: int | None,
    on_changes: ChangeSink,
) -> ManifestPlan:
    """Compare one manifest with the database; `lock` is None where there is no lockfile at `path` yet."""
    plan = make_manifest_plan(
        database,
        source,
        lock or new_lockfile(source.name, database.fingerprint),
        overrides=overrides,
        chunk_size=chunk_size or database.default_transaction_size,
        verify=settings.verify,
        on_changes=partial(on_changes, source),
    )
    found: list[Diagnostic | None] = []
    if lock is None and path is not None:
        found.append(find_other_lockfile(source, path, database.fingerprint))
    others = plan.summary.count(State.ORPHANED) or not source.complete  # entries that these workflows are not
    if others and plan.summary.count(State.CREATE):
        found.append(find_renamed(source, plan.lock))
    plan.findings += [one for one in found if one is not None and one.code not in overrides.allow]
    return plan


def read_live_rows(
    manifests: Sequence[LoadedManifest], settings: DatabaseSettings
) -> Iterator[tuple[Manifest, WorkflowSpec, LiveRow | None]]:
    """Every workflow of the manifests with its live row, in manifest order."""
    with connect(settings) as database:
        for loaded in manifests:
            for specs in read_chunks(specs_of(loaded), database.default_transaction_size):
                rows = database.read(read_live, [spec.id for spec in specs])
                for spec in specs:
                    yield loaded.manifest, spec, rows.get(spec.id)


def read_rows(ids: Sequence[str], settings: DatabaseSettings) -> tuple[dict[str, LiveRow], str]:
    """Read the live rows of some workflows, and the fingerprint of the database."""
    with connect(settings) as database:
        return database.read(read_live, ids), database.fingerprint
