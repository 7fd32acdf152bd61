"""Run `dbos-manifest lock …`."""

from __future__ import annotations

from collections.abc import Sequence

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
from .arguments import DatabaseArguments, InputArguments, LockfileArguments, LockTimeoutArguments
from .inputs import load_manifests
from .option_groups import takes_groups
from .options import option, output_option
from .output import painter, write_line
from .settings import database_settings, lockfile_settings

SHOWN_DETAILS = 20


@click.group()
def lock() -> None:
    """Check and maintain the lockfiles of manifests."""


@lock.command()
@takes_groups
@output_option("text", "json")
def check(inputs: InputArguments, lockfile: LockfileArguments, output: str) -> int:
    """Compare the lockfile with the manifest, without a database.

    Exits 1 when they differ. A file that is not in normal form, as after a merge, is only noted.
    """
    manifests = load_manifests(inputs).manifests
    reports = check_lockfiles(manifests, lockfile_settings(lockfile))
    _show(reports, output)
    return 1 if any(report.problems for report in reports) else 0


@lock.command()
@takes_groups
@output_option("text", "json")
def verify(
    inputs: InputArguments, database: DatabaseArguments, lockfile: LockfileArguments, output: str
) -> int:
    """Compare the lockfile with the database. Exits 6 when the database contradicts it."""
    manifests = load_manifests(inputs).manifests
    reports = verify_lockfiles(manifests, database_settings(database), lockfile_settings(lockfile))
    _show(reports, output)
    return 6 if any(report.problems for report in reports) else 0


@lock.command()
@takes_groups
@output_option("text", "json")
def rebuild(
    inputs: InputArguments,
    database: DatabaseArguments,
    lockfile: LockfileArguments,
    timeout: LockTimeoutArguments,
    output: str,
) -> int:
    """Complete the lockfile from the database.

    Entries whose row is gone are kept, and so is every line that can be read; lines that cannot be read
    are listed. The lockfile of another manifest or database, or of a newer version, is refused.
    """
    manifests = load_manifests(inputs).manifests
    settings, lockfiles = database_settings(database), lockfile_settings(lockfile)
    _show(rebuild_lockfiles(manifests, settings, lockfiles, timeout.lock_timeout), output)
    return 0


@lock.command("format")
@takes_groups
@output_option("text", "json")
def format_(
    inputs: InputArguments, lockfile: LockfileArguments, timeout: LockTimeoutArguments, output: str
) -> int:
    """Write the lockfile in normal form: sorted by ID, one line per workflow.

    Repairs what a merge left. Needs no database.
    """
    manifests = load_manifests(inputs).manifests
    _show(format_lockfiles(manifests, lockfile_settings(lockfile), timeout.lock_timeout), output)
    return 0


@lock.command()
@takes_groups
@output_option("text", "json")
def rebind(
    inputs: InputArguments,
    database: DatabaseArguments,
    lockfile: LockfileArguments,
    timeout: LockTimeoutArguments,
    output: str,
) -> int:
    """Accept this database as the lockfile's own, after it was moved or restored."""
    manifests = load_manifests(inputs).manifests
    settings, lockfiles = database_settings(database), lockfile_settings(lockfile)
    _show(rebind_lockfiles(manifests, settings, lockfiles, timeout.lock_timeout), output)
    return 0


@lock.command()
@takes_groups
@output_option("text", "json")
def rename(
    inputs: InputArguments, lockfile: LockfileArguments, timeout: LockTimeoutArguments, output: str
) -> int:
    """Accept the manifest's new name in its lockfile, after the manifest was renamed.

    Refused (exit 6) when IDs are generated from the name: with another one they would be new workflows.
    """
    manifests = load_manifests(inputs).manifests
    _show(rename_lockfiles(manifests, lockfile_settings(lockfile), timeout.lock_timeout), output)
    return 0


@lock.command()
@takes_groups
@option("--yes", is_flag=True, help="Remove the entries; without it they are only listed.")
@output_option("text", "json")
def prune(
    inputs: InputArguments,
    database: DatabaseArguments,
    lockfile: LockfileArguments,
    timeout: LockTimeoutArguments,
    yes: bool,
    output: str,
) -> int:
    """List the entries of workflows that the manifest no longer has, and remove them with --yes.

    An entry whose workflow was not seen to end is never removed: it could be enqueued a second time. Its end
    is in the lockfile, or in the database where one is given.
    """
    manifests = load_manifests(inputs).manifests
    settings = database_settings(database) if database.database_url else None
    reports = prune_lockfiles(
        manifests, lockfile_settings(lockfile), timeout.lock_timeout, remove=yes, database_settings=settings
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
