"""Convert the arguments of a command to the settings of the library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..actions.lockfiles import lockfile_path
from ..actions.settings import ApplySettings, DatabaseSettings, LockfileSettings, WaitSettings
from ..actions.validate import Validation
from ..core.errors import UsageError
from ..files.journal_file import journal_path
from ..planning.results import RetryNotice
from ..planning.states import Overrides
from ..report.text import printable
from ..system_db.sqlite import sqlite_path
from .arguments import (
    ApplyArguments,
    DatabaseArguments,
    LockfileArguments,
    LockTimeoutArguments,
    OverrideArguments,
)
from .terminal import preferences, say

MAX_REASON = 200  # characters


def print_retry(notice: RetryNotice) -> None:
    """Print that a step failed and is retried."""
    if not preferences.quiet:
        say(f"retry {notice.attempt} in {notice.wait_s:.1f} s: {printable(notice.reason)}")


def database_settings(
    database: DatabaseArguments,
    on_retry: Callable[[RetryNotice], None] = print_retry,
    *,
    waiting: LockTimeoutArguments | None = None,
) -> DatabaseSettings:
    """Return how to connect to the system database.

    Raises: UsageError when no database is named.
    """
    if not database.database_url:
        raise UsageError(
            "no system database given",
            "set DBOS_SYSTEM_DATABASE_URL, or use --database-url postgresql://… or sqlite:///PATH",
        )
    settings = DatabaseSettings(database.database_url, database.schema, database.retry_budget, on_retry)
    return settings if waiting is None else settings._replace(lock_timeout_s=waiting.lock_timeout)


def lockfile_settings(lockfile: LockfileArguments) -> LockfileSettings:
    """Return how to find the lockfile of a manifest."""
    return LockfileSettings(lockfile.lockfile, lockfile.target)


def make_overrides(override: OverrideArguments) -> Overrides:
    """Return what apply may pass instead of refusing.

    Raises: UsageError for two options that exclude each other.
    """
    if override.recreate_missing and override.skip_missing:
        raise UsageError("--recreate-missing and --skip-missing cannot be used together")
    # a user who recreates workflows that retention removed wants missing ones again as well
    recreate_missing = override.recreate_missing or (override.recreate_vanished and not override.skip_missing)
    return Overrides(
        allow_drift=override.allow_drift,
        skip_conflicts=override.skip_conflicts,
        recreate_vanished=override.recreate_vanished,
        recreate_missing=recreate_missing,
        skip_missing=override.skip_missing,
        strict=override.strict,
        allow=frozenset(override.allow),
    )


def apply_settings(arguments: ApplyArguments, overrides: Overrides, *, verify: bool) -> ApplySettings:
    """Return how apply enqueues."""
    return ApplySettings(
        overrides=overrides,
        verify=verify,
        batch_size=arguments.chunk_size,
        atomic=arguments.atomic,
        fail_fast=arguments.fail_fast,
        locked=arguments.locked,
        provenance=arguments.provenance,
        reason=_read_reason(arguments),
        legacy_inputs=arguments.legacy_inputs,
    )


def _read_reason(arguments: ApplyArguments) -> str | None:
    reason = arguments.reason
    if reason is None:
        return None
    if not arguments.provenance:
        raise UsageError("--reason is recorded as provenance, so --no-provenance cannot be used with it")
    if not reason.isprintable() or len(reason) > MAX_REASON:
        raise UsageError(f"--reason: expected one line of at most {MAX_REASON} characters")
    return reason


def wait_settings(arguments: ApplyArguments) -> WaitSettings:
    """Return how apply waits."""
    return WaitSettings(timeout_s=arguments.wait_timeout)


def used_files(validation: Validation, url: str | None, lockfiles: LockfileSettings) -> list[Path]:
    """List the files that a command reads or maintains: inputs, lockfiles, the files of a database."""
    manifests = validation.manifests
    locks = [lockfile_path(loaded, lockfiles) for loaded in manifests if loaded.path or lockfiles.path]
    return [*validation.inputs, *locks, *map(journal_path, locks), *database_files(url)]


def database_files(url: str | None) -> list[Path]:
    """List the files of an SQLite database; none for a server."""
    path = sqlite_path(url) if url else None
    return [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))] if path else []
