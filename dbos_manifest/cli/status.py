"""Run `dbos-manifest status`."""

from __future__ import annotations

from itertools import takewhile

from ..actions.session import read_live_rows
from ..plan.rows import STATUSES
from ..report.statuses import NOT_ENQUEUED, Status, status_lines, statuses_json
from .arguments import DatabaseArguments, InputArguments, SelectionArguments
from .help import command
from .inputs import load_manifests
from .option_groups import takes_groups
from .options import NameChoice, option, output_option
from .output import output_ended, painter, write, write_line
from .settings import database_settings


@command("jobs", "jobs --only ERROR -o ids")
@takes_groups
@option(
    "--only",
    multiple=True,
    type=NameChoice([*STATUSES, NOT_ENQUEUED]),
    metavar="STATUS",
    section="Selection",
    help=f"Take only workflows in this status; repeatable. Statuses: {', '.join([*STATUSES, NOT_ENQUEUED])}.",
)
@output_option("text", "json", "ids")
def status(
    inputs: InputArguments,
    selection: SelectionArguments,
    database: DatabaseArguments,
    only: tuple[str, ...],
    output: str,
) -> int:
    """Show the DBOS status of every workflow of the manifests.

    Reads the database, with results and errors. A workflow without a row is NOT_ENQUEUED.
    """
    validation = load_manifests(inputs, selection)
    wanted = frozenset(only)
    rows = read_live_rows(validation.manifests, database_settings(database))
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
