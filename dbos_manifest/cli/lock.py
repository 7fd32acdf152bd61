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
from .help import SuggestingGroup, command
from .manifests import load_manifests
from .option_groups import takes_groups
from .options import option, output_option
from .settings import database_settings, lockfile_settings
from .terminal import painter, write_line

SHOWN_DETAILS = 20


@click.group(cls=SuggestingGroup)
def lock() -> None:
    """Check and maintain the lockfiles of manifests."""


@command("jobs", "jobs --target prod -o json", group=lock)
@takes_groups
@output_option("text", "json")
def check(inputs: InputArguments, lockfile: LockfileArguments, output: str) -> int:
    """Check that the lockfile is valid, sorted and complete.

    Needs no database. Exits with code 1 if the lockfile does not match the manifest. A lockfile that is not
    sorted, as after a merge, is reported only as a note.
    """
    manifests = load_manifests(inputs).manifests
    reports = check_lockfiles(manifests, lockfile_settings(lockfile))
    _show(reports, output)
    return 1 if any(report.problems for report in reports) else 0


@command("jobs", "jobs --target prod -o json", group=lock)
@takes_groups
@output_option("text", "json")
def verify(
    inputs: InputArguments, database: DatabaseArguments, lockfile: LockfileArguments, output: str
) -> int:
    """Compare the lockfile with the database.

    Exits with code 6 if the database contradicts it.
    """
    manifests = load_manifests(inputs).manifests
    reports = verify_lockfiles(manifests, database_settings(database), lockfile_settings(lockfile))
    _show(reports, output)
    return 6 if any(report.problems for report in reports) else 0


@command("jobs --target prod", "jobs/orders.yaml --lockfile restored.lock.jsonl", group=lock)
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

    Keeps every line that can be read, even without a row in the database, and lists the lines that cannot be
    read. Refuses the lockfile of another manifest or database, or of a newer version.
    """
    manifests = load_manifests(inputs).manifests
    settings, lockfiles = database_settings(database, waiting=timeout), lockfile_settings(lockfile)
    _show(rebuild_lockfiles(manifests, settings, lockfiles), output)
    return 0


@command("jobs", "jobs --target prod", name="format", group=lock)
@takes_groups
@output_option("text", "json")
def format_(
    inputs: InputArguments, lockfile: LockfileArguments, timeout: LockTimeoutArguments, output: str
) -> int:
    """Sort the lockfile by ID, one line per workflow.

    Run it after a merge. Needs no database.
    """
    manifests = load_manifests(inputs).manifests
    _show(format_lockfiles(manifests, lockfile_settings(lockfile), timeout.lock_timeout), output)
    return 0


@command("jobs", "jobs --target prod", group=lock)
@takes_groups
@output_option("text", "json")
def rebind(
    inputs: InputArguments,
    database: DatabaseArguments,
    lockfile: LockfileArguments,
    timeout: LockTimeoutArguments,
    output: str,
) -> int:
    """Bind the lockfile to this database.

    Run it after the database was moved or restored.
    """
    manifests = load_manifests(inputs).manifests
    settings, lockfiles = database_settings(database, waiting=timeout), lockfile_settings(lockfile)
    _show(rebind_lockfiles(manifests, settings, lockfiles), output)
    return 0


@command("jobs/orders.yaml", "jobs/orders.yaml --target prod", group=lock)
@takes_groups
@output_option("text", "json")
def rename(
    inputs: InputArguments, lockfile: LockfileArguments, timeout: LockTimeoutArguments, output: str
) -> int:
    """Record the new name of a renamed manifest.

    Refuses (exit code 6) if IDs are generated from the name: a new name would create new workflows.
    """
    manifests = load_manifests(inputs).manifests
    _show(rename_lockfiles(manifests, lockfile_settings(lockfile), timeout.lock_timeout), output)
    return 0


@command("jobs", "jobs --target prod --yes", group=lock)
@takes_groups
@option("--yes", is_flag=True, section="Safety", help="Remove the entries instead of listing them.")
@output_option("text", "json")
def prune(
    inputs: InputArguments,
    database: DatabaseArguments,
    lockfile: LockfileArguments,
    timeout: LockTimeoutArguments,
    yes: bool,
    output: str,
) -> int:
    """Remove entries of workflows that the manifest no longer has.

    Without --yes only lists them. Never removes the entry of a workflow that may still run: without the
    entry it could be enqueued a second time. A workflow has finished if the lockfile has its final status, or
    the database if one is given.
    """
    manifests = load_manifests(inputs).manifests
    settings = database_settings(database, waiting=timeout) if database.database_url else None
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
