"""Run `dbos-manifest lock …`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ..actions.lock import (
    LockReport,
    check_lockfiles,
    format_lockfiles,
    prune_lockfiles,
    rebind_lockfiles,
    rename_lockfiles,
    verify_lockfiles,
)
from ..actions.lock_rebuild import rebuild_lockfiles
from ..report.text import printable, to_json
from .database_options import (
    database_options,
    database_settings,
    lockfile_options,
    lockfile_settings,
)
from .inputs import load_manifests, variable_options
from .options import duration, option, output_option, paths_argument
from .output import painter, write_line

lock_timeout_option = option(
    "--lock-timeout", type=duration, default="60s", show_default=True, help="How long to wait for an apply."
)
SHOWN_DETAILS = 20


@click.group()
def lock() -> None:
    """Check and maintain the lockfiles of manifests."""


@lock.command()
@paths_argument
@variable_options
@lockfile_options
@output_option("text", "json")
def check(paths: tuple[str, ...], output: str, **options: Any) -> int:
    """Compare the lockfile with the manifest, without a database.

    Exits 1 when they differ. A file that is not in normal form, as after a merge, is only noted.
    """
    manifests = load_manifests(paths, options).manifests
    reports = check_lockfiles(manifests, lockfile_settings(options))
    _show(reports, output)
    return 1 if any(report.problems for report in reports) else 0


@lock.command()
@paths_argument
@variable_options
@database_options
@lockfile_options
@output_option("text", "json")
def verify(paths: tuple[str, ...], output: str, **options: Any) -> int:
    """Compare the lockfile with the database. Exits 6 when the database contradicts it."""
    manifests = load_manifests(paths, options).manifests
    reports = verify_lockfiles(manifests, database_settings(options), lockfile_settings(options))
    _show(reports, output)
    return 6 if any(report.problems for report in reports) else 0


@lock.command()
@paths_argument
@variable_options
@database_options
@lockfile_options
@lock_timeout_option
@output_option("text", "json")
def rebuild(paths: tuple[str, ...], output: str, lock_timeout: float, **options: Any) -> int:
    """Complete the lockfile from the database.

    Entries whose row is gone are kept, and so is every line that can be read; lines that cannot be read
    are listed. The lockfile of another manifest or database, or of a newer version, is refused.
    """
    manifests = load_manifests(paths, options).manifests
    settings, lockfiles = database_settings(options), lockfile_settings(options)
    _show(rebuild_lockfiles(manifests, settings, lockfiles, lock_timeout), output)
    return 0


@lock.command("format")
@paths_argument
@variable_options
@lockfile_options
@lock_timeout_option
@output_option("text", "json")
def format_(paths: tuple[str, ...], output: str, lock_timeout: float, **options: Any) -> int:
    """Write the lockfile in normal form: sorted by ID, one line per workflow.

    Repairs what a merge left. Needs no database.
    """
    manifests = load_manifests(paths, options).manifests
    _show(format_lockfiles(manifests, lockfile_settings(options), lock_timeout), output)
    return 0


@lock.command()
@paths_argument
@variable_options
@database_options
@lockfile_options
@lock_timeout_option
@output_option("text", "json")
def rebind(paths: tuple[str, ...], output: str, lock_timeout: float, **options: Any) -> int:
    """Accept this database as the lockfile's own, after it was moved or restored."""
    manifests = load_manifests(paths, options).manifests
    settings, lockfiles = database_settings(options), lockfile_settings(options)
    _show(rebind_lockfiles(manifests, settings, lockfiles, lock_timeout), output)
    return 0


@lock.command()
@paths_argument
@variable_options
@lockfile_options
@lock_timeout_option
@output_option("text", "json")
def rename(paths: tuple[str, ...], output: str, lock_timeout: float, **options: Any) -> int:
    """Accept the manifest's new name in its lockfile, after the manifest was renamed.

    Refused (exit 6) when IDs are generated from the name: with another one they would be new workflows.
    """
    manifests = load_manifests(paths, options).manifests
    _show(rename_lockfiles(manifests, lockfile_settings(options), lock_timeout), output)
    return 0


@lock.command()
@paths_argument
@variable_options
@database_options
@lockfile_options
@lock_timeout_option
@option("--yes", is_flag=True, help="Remove the entries; without it they are only listed.")
@output_option("text", "json")
def prune(paths: tuple[str, ...], output: str, lock_timeout: float, yes: bool, **options: Any) -> int:
    """List the entries of workflows that the manifest no longer has, and remove them with --yes.

    An entry whose workflow was not seen to end is never removed: it could be enqueued a second time. Its end
    is in the lockfile, or in the database where one is given.
    """
    manifests = load_manifests(paths, options).manifests
    database = database_settings(options) if options["database_url"] else None
    reports = prune_lockfiles(
        manifests, lockfile_settings(options), lock_timeout, remove=yes, database_settings=database
    )
    _show(reports, output)
    return 0


def _show(reports: Sequence[LockReport], output: str) -> None:
    if output == "json":
        documents = [{**report._asdict(), "path": str(report.path)} for report in reports]
        write_line(to_json({"format_version": 1, "lockfiles": documents}, indent=2))
        return
    paint = painter()
    for report in reports:
        path = printable(str(report.path))
        for problem in report.problems:
            write_line(f"{paint('red', 'problem')}: {path}: {printable(problem)}")
        state = "not ok" if report.problems else "written" if report.changed else "ok"
        notes = printable("; ".join(report.notes))
        write_line(": ".join((f"{path} {state}", notes)).rstrip(": "))
        for detail in report.details[:SHOWN_DETAILS]:
            write_line(f"  {printable(detail)}")
        if len(report.details) > SHOWN_DETAILS:
            write_line(f"  and {len(report.details) - SHOWN_DETAILS:,} more; -o json lists all")
