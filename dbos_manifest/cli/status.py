"""Run `dbos-manifest status`."""

from __future__ import annotations

from itertools import takewhile

from ..actions.lockfiles import find_targets
from ..actions.session import read_live_statuses
from ..planning.rows import NOT_ENQUEUED, STATUSES
from ..report.statuses import status_lines, statuses_json
from ..report.text import id_line
from .arguments import DatabaseArguments, InputArguments, LockfileArguments, SelectionArguments
from .help import command
from .manifests import load_manifests
from .option_groups import takes_groups
from .options import NameChoice, option, output_option
from .settings import database_settings, lockfile_settings
from .terminal import output_ended, painter, write, write_line


@command("jobs", "jobs --only ERROR -o ids")
@takes_groups
@option(
    "--only",
    multiple=True,
    type=NameChoice([*STATUSES, NOT_ENQUEUED]),
    metavar="STATUS",
    section="Selection",
    help="Show only workflows with this status; repeatable. Statuses: "
    f"{', '.join([*STATUSES, NOT_ENQUEUED])}.",
)
@output_option("text", "json", "ids")
def status(
    inputs: InputArguments,
    selection: SelectionArguments,
    database: DatabaseArguments,
    lockfile: LockfileArguments,
    only: tuple[str, ...],
    output: str,
) -> int:
    """Show the DBOS status of every workflow of the manifests.

    Reads the database, with results and errors. A workflow without a row is NOT_ENQUEUED. Refuses a database
    that the lockfile does not belong to.
    """
    validation = load_manifests(inputs, selection)
    wanted = frozenset(only)
    targets = find_targets(validation.manifests, lockfile_settings(lockfile), lockfile_optional=True)
    found = read_live_statuses(targets, database_settings(database))
    read = takewhile(lambda one: not output_ended(), found)
    statuses = (one for one in read if not wanted or one.status in wanted)
    if output == "json":
        for piece in statuses_json(statuses):
            write(piece)
    elif output == "ids":
        for one in statuses:
            write(id_line(one.id))
    else:
        for line in status_lines(statuses, painter()):
            write_line(line)
    return 0
