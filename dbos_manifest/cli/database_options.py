"""Options of the commands that talk to the system database or read the lockfile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..actions.session import DatabaseSettings, LockfileSettings, lockfile_path
from ..actions.validate import Validation
from ..core.errors import UsageError
from ..files.journal_file import journal_path
from ..plan.preflight import PREFLIGHT_CODES
from ..plan.states import Overrides
from ..report.text import printable
from ..system_db.connect import sqlite_path
from ..system_db.retry import RetryNotice
from .options import NameChoice, duration, option, override, together
from .output import say

database_options = together(
    option(
        "--database-url",
        metavar="URL",
        envvar=["DBOS_MANIFEST_DATABASE_URL", "DBOS_SYSTEM_DATABASE_URL"],
        help="postgresql://… or sqlite:///path.  [env var: DBOS_MANIFEST_DATABASE_URL, "
        "DBOS_SYSTEM_DATABASE_URL]",
    ),
    option("--schema", default="dbos", show_default=True, help="Schema of the DBOS tables (PostgreSQL)."),
    option(
        "--retry-budget",
        type=duration,
        default="120s",
        show_default=True,
        help="How long a lost connection or a conflict is retried.",
    ),
)

lockfile_options = together(
    option("--lockfile", type=click.Path(path_type=Path, dir_okay=False), help="Lockfile to use."),
    option("--target", metavar="NAME", help="Lockfile per target: jobs.NAME.lock.jsonl."),
)

override_options = together(
    override("--allow-drift", is_flag=True, help="Skip drifted workflows instead of refusing."),
    override("--skip-conflicts", is_flag=True, help="Skip conflicting workflows instead of refusing."),
    override(
        "--recreate-vanished",
        is_flag=True,
        help="Enqueue vanished and missing workflows again, except those seen to end.",
    ),
    override("--recreate-missing", is_flag=True, help="Enqueue missing workflows again."),
    override("--skip-missing", is_flag=True, help="Skip missing workflows instead of refusing."),
    override(
        "--allow",
        type=NameChoice(PREFLIGHT_CODES),
        multiple=True,
        metavar="CODE",
        help="Enqueue despite this preflight diagnostic, such as queue-not-registered; repeatable.",
    ),
    option("--strict", is_flag=True, help="Treat preflight warnings as errors."),
)

verify_option = option(
    "--verify",
    is_flag=True,
    help="Compare stored arguments also where the lockfile has the workflow as it is.",
)

show_values_option = option(
    "--show-values/--hide-values",
    default=None,
    help="Show stored values in differences (default: only in text on a terminal).",
)


def database_settings(options: dict[str, Any]) -> DatabaseSettings:
    """Take the database options out of a command's keyword arguments.

    Raises: UsageError when no database is named.
    """
    url = options.pop("database_url")
    schema, budget_s = options.pop("schema"), options.pop("retry_budget")
    if not url:
        raise UsageError(
            "no database given",
            "set DBOS_SYSTEM_DATABASE_URL, or say --database-url postgresql://… or sqlite:///path",
        )
    return DatabaseSettings(url, schema, budget_s, print_retry, options.pop("verify", False))


def used_files(validation: Validation, url: str | None, lockfiles: LockfileSettings) -> list[Path]:
    """List the files that a call on manifests reads or keeps: inputs, lockfiles, the files of a database."""
    manifests = validation.manifests
    locks = [lockfile_path(loaded, lockfiles) for loaded in manifests if loaded.path or lockfiles.path]
    return [*validation.inputs, *locks, *map(journal_path, locks), *database_files(url)]


def database_files(url: str | None) -> list[Path]:
    """The files of an SQLite database; none for a server."""
    path = sqlite_path(url) if url else None
    return [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))] if path else []


def lockfile_settings(options: dict[str, Any]) -> LockfileSettings:
    return LockfileSettings(options.pop("lockfile"), options.pop("target"))


def overrides(options: dict[str, Any]) -> Overrides:
    """Take the overrides out of a command's keyword arguments.

    Raises: UsageError for two that exclude each other.
    """
    if options["recreate_missing"] and options["skip_missing"]:
        raise UsageError("--recreate-missing and --skip-missing exclude each other")
    vanished = options.pop("recreate_vanished")
    return Overrides(
        allow_drift=options.pop("allow_drift"),
        skip_conflicts=options.pop("skip_conflicts"),
        recreate_vanished=vanished,
        # an ordinary retention explains a vanished workflow, so whoever recreates it wants a lost one as well
        recreate_missing=options.pop("recreate_missing") or (vanished and not options["skip_missing"]),
        skip_missing=options.pop("skip_missing"),
        strict=options.pop("strict"),
        allow=frozenset(options.pop("allow")),
    )


def print_retry(notice: RetryNotice) -> None:
    say(f"retry {notice.attempt}: {printable(notice.reason)}; again in {notice.wait_s:.1f} s")
