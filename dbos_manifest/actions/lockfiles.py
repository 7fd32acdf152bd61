"""Find the lockfile of a manifest, and read it with what the journal of an interrupted apply adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from ..core.errors import UsageError
from ..files.git_commit import read_git_commit
from ..files.journal_file import journal_path, open_journal
from ..files.lockfile_writer import LOCKFILE_SUFFIX, TARGET_NAME, open_lockfile, resolve_lockfile
from ..lockfile.journal import JournalTransaction, ResolveInDoubt, assume_committed, replay_journal
from ..lockfile.lockfile import Lockfile, check_owner
from ..lockfile.reader import parse_lockfile
from ..system_db.database import Database
from ..system_db.transactions import InDoubtTransaction, Outcome, read_outcome
from .plan import Target
from .settings import LockfileSettings
from .validate import LoadedManifest


def lockfile_path(loaded: LoadedManifest, settings: LockfileSettings) -> Path:
    """Find where a manifest's lockfile is: `jobs.yaml` → `jobs.lock.jsonl`, or by the manifest's name.

    Raises: UsageError for a manifest from standard input without --lockfile.
    Source: SPEC §5.
    """
    if settings.path is not None:
        return settings.path
    if settings.target is not None and not TARGET_NAME.fullmatch(settings.target):
        raise UsageError(
            f"--target {settings.target}: expected a name that can be used in a file name",
            "use letters, digits, `_` and `-`; a dot is allowed except at the start or end "
            "(example: --target prod)",
        )
    if loaded.path is None:
        raise UsageError("a manifest from standard input has no lockfile of its own", "add --lockfile FILE")
    stem = loaded.path.stem if loaded.alone else loaded.manifest.name
    target = f".{settings.target}" if settings.target else ""
    return loaded.path.with_name(f"{stem}{target}{LOCKFILE_SUFFIX}")


def is_derived_path(path: Path, file: Path, manifest: str) -> bool:
    """Return whether `lockfile_path` finds this path for a manifest in a file, with any --target."""
    if path.parent != file.parent or not path.name.endswith(LOCKFILE_SUFFIX):
        return False
    name = path.name.removesuffix(LOCKFILE_SUFFIX)
    starts = [stem for stem in (file.stem, manifest) if name == stem or name.startswith(f"{stem}.")]
    return any(name == stem or TARGET_NAME.fullmatch(name[len(stem) + 1 :]) for stem in starts)


def lockfile_paths(manifests: Sequence[LoadedManifest], settings: LockfileSettings) -> list[Path]:
    """Find the lockfile of each manifest.

    Raises: UsageError when two manifests would share one.
    """
    paths = [lockfile_path(loaded, settings) for loaded in manifests]
    owners: dict[Path, str] = {}
    for loaded, path in zip(manifests, paths, strict=True):
        if path in owners:
            raise UsageError(
                f"`{owners[path]}` and `{loaded.manifest.name}` would share the lockfile {path}",
                "run the command once for each manifest with its own --lockfile, or rename one of the files",
            )
        owners[path] = loaded.manifest.name
    return paths


def find_targets(
    manifests: Sequence[LoadedManifest], lockfiles: LockfileSettings, *, lockfile_optional: bool = False
) -> list[Target]:
    """Find the lockfiles of manifests.

    `lockfile_optional`: a manifest from standard input may have none.
    Raises: UsageError when two manifests would share a lockfile.
    """
    paths: Sequence[Path | None] = [None] * len(manifests)
    from_stdin = lockfiles.path is None and any(loaded.path is None for loaded in manifests)
    if not (lockfile_optional and from_stdin):
        paths = lockfile_paths(manifests, lockfiles)
    return [Target(*pair, lockfiles.target) for pair in zip(manifests, paths, strict=True)]


def add_commits(targets: Sequence[Target], commit: str | None) -> list[Target]:
    """Add the Git commit that each manifest is from, unless one is given for all."""
    return [
        target._replace(commit=commit or read_git_commit(Path(target.source.file).resolve().parent))
        for target in targets
    ]


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
    """Return a function that asks the database about transactions in doubt.

    An apply waits for one that is still running; a command that only reads counts it as not committed yet.
    What the database does not know counts as committed: it could be enqueued twice otherwise.
    """

    def resolve(transaction: JournalTransaction, earlier: Sequence[JournalTransaction]) -> bool:
        return database.call(lambda: read(transaction, earlier)) in ("committed", "unknown")

    def read(transaction: JournalTransaction, earlier: Sequence[JournalTransaction]) -> Outcome:
        before = chain.from_iterable(one.created_at_ms() for one in earlier)
        in_doubt = InDoubtTransaction(transaction.transaction_id, transaction.created_at_ms(), before)
        with database.transaction() if writing else database.reading() as connection:
            return read_outcome(connection, database, in_doubt, wait_for=manifest if writing else None)

    return resolve
