"""An open system database, and what commands read from it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..lockfile.lockfile import Lockfile
from ..planning.manifest_plan import ManifestPlan
from ..planning.rows import LiveRow
from ..system_db.connect import open_database
from ..system_db.database import Database
from ..system_db.read import read_live
from ..system_db.retry import Retry
from .lockfile_checks import FolderLockfiles
from .lockfiles import load_lockfile, resolve_by_database
from .plan import ChangeSink, Target, plan_manifest
from .settings import DatabaseSettings, PlanSettings


def connect(settings: DatabaseSettings) -> Database:
    """Open the system database.

    Raises: DatabaseError with the reason; UsageError for an unusable URL.
    """
    retry = Retry(settings.retry_budget_s, settings.on_retry)
    timeout_s = settings.lock_timeout_s
    return open_database(settings.url, schema=settings.schema, retry=retry, lock_timeout_s=timeout_s)


class Session:
    """An open system database, and plans made with it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._lockfiles = FolderLockfiles()

    @classmethod
    @contextmanager
    def connect(cls, settings: DatabaseSettings) -> Iterator[Session]:
        """Connect, and disconnect at the end. Raises: see `connect`."""
        with connect(settings) as database:
            yield cls(database)

    def load_lockfile(self, target: Target, *, writing: bool = False) -> Lockfile | None:
        """Read a target's lockfile, and what the journal of an interrupted apply adds."""
        if target.lock_path is None:
            return None
        name = target.source.name
        resolve = resolve_by_database(self.database, name, writing=writing)
        return load_lockfile(target.lock_path, name, self.database.fingerprint, resolve)

    def plan(self, target: Target, settings: PlanSettings, on_changes: ChangeSink) -> ManifestPlan:
        """Compare a manifest with the database and its lockfile; nothing is written anywhere."""
        return self.plan_with(target, self.load_lockfile(target), settings, on_changes)

    def plan_with(
        self, target: Target, lock: Lockfile | None, settings: PlanSettings, on_changes: ChangeSink
    ) -> ManifestPlan:
        """Compare a manifest with the database and a lockfile that was read already."""
        return plan_manifest(self.database, target, lock, settings, on_changes, self._lockfiles)


def mark_database(database: Database) -> None:
    """Make sure that the database can be distinguished from others, before a lockfile records it."""
    number = 1 + uuid.uuid4().int % (2**31 - 1)
    database.mark(number)


def read_rows(ids: Sequence[str], settings: DatabaseSettings) -> tuple[dict[str, LiveRow], str]:
    """Read the live rows of some workflows, and the fingerprint of the database."""
    with connect(settings) as database:
        return database.read(read_live, ids), database.fingerprint
