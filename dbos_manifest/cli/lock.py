"""`dbos-manifest lock …`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from ..lock_operations import (
    LockReport,
    check_lockfiles,
    prune_lockfiles,
    rebind_lockfiles,
    rebuild_lockfiles,
    verify_lockfiles,
)
from ..report.text import printable
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


@click.group()
def lock() -> None:
    """Check, verify, rebuild, rebind or prune a manifest's lockfile."""


@lock.command()
@paths_argument
@variable_options
@lockfile_options
@output_option("text", "json")
def check(paths: tuple[str, ...], output: str, **options: Any) -> int:
    """Is the lockfile in normal form, and does it cover the manifest? Needs no database.

    Exits 1 when it is not.
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
    """Does the database hold what the lockfile says? Exits 6 when it contradicts."""
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
    """Make the lockfile anew from the database. Entries whose row is gone are kept."""
    manifests = load_manifests(paths, options).manifests
    settings, lockfiles = database_settings(options), lockfile_settings(options)
    _show(rebuild_lockfiles(manifests, settings, lockfiles, lock_timeout), output)
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
def prune(paths: tuple[str, ...], output: str, lock_timeout: float, **options: Any) -> int:
    """Remove the entries of workflows that the manifest no longer has."""
    manifests = load_manifests(paths, options).manifests
    _show(prune_lockfiles(manifests, lockfile_settings(options), lock_timeout), output)
    return 0


def _show(reports: Sequence[LockReport], output: str) -> None:
    if output == "json":
        documents = [{**report._asdict(), "path": str(report.path)} for report in reports]
        write_line(json.dumps({"format_version": 1, "lockfiles": documents}, indent=2))
        return
    paint = painter()
    for report in reports:
        for problem in report.problems:
            write_line(f"{paint('red', 'problem')}: {report.path}: {printable(problem)}")
        state = "not ok" if report.problems else "written" if report.changed else "ok"
        write_line(": ".join((f"{report.path} {state}", "; ".join(report.notes))).rstrip(": "))
