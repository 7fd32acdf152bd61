"""`dbos-manifest status`."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import click

from ..actions.session import read_live_rows
from ..plan.rows import STATUSES
from ..report.statuses import NOT_ENQUEUED, Status, status_lines, statuses_json
from .database_options import database_options, database_settings
from .inputs import load_manifests, manifest_options
from .options import NameChoice, option, output_option, paths_argument
from .output import output_ended, painter, write, write_line


@click.command()
@paths_argument
@manifest_options
@database_options
@option(
    "--only",
    multiple=True,
    type=NameChoice([*STATUSES, NOT_ENQUEUED]),
    metavar="STATUS",
    help=f"Only workflows in this status; repeatable: {', '.join([*STATUSES, NOT_ENQUEUED])}.",
)
@output_option("text", "json", "ids")
def status(paths: tuple[str, ...], output: str, only: tuple[str, ...], **options: Any) -> int:
    """Show the live DBOS status of every workflow of the manifests, with results and errors.

    A workflow that the database does not have is NOT_ENQUEUED.
    """
    validation = load_manifests(paths, options)
    wanted = frozenset(only)
    rows = read_live_rows(validation.manifests, database_settings(options))
    read = takewhile(lambda row: not output_ended(), rows)
    statuses = (found for found in map(Status._make, read) if not wanted or found.status in wanted)
    if output == "json":
        for piece in statuses_json(statuses):
            write(piece)
    elif output == "ids":
        for found in statuses:
            write_line(found.spec.id)
    else:
        for line in status_lines(statuses, painter()):
            write_line(line)
    return 0
