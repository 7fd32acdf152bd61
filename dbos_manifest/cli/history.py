"""Run `dbos-manifest history`."""

from __future__ import annotations

import click

from ..actions.history import read_history
from ..report.history import history_json, history_lines
from .arguments import DatabaseArguments
from .help import command
from .option_groups import takes_groups
from .options import database_text, option, output_option
from .screens import make_screen
from .settings import database_settings
from .terminal import painter, write_line


@command("", "--manifest orders --limit 5 -o json")
@takes_groups
@option(
    "--manifest",
    type=database_text,
    metavar="NAME",
    section="Selection",
    help="Show only batches of the manifest with this name.",
)
@option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    metavar="N",
    section="Selection",
    help="Show only the newest N batches.",
)
@output_option("text", "json")
def history(database: DatabaseArguments, manifest: str | None, limit: int, output: str) -> int:
    """List the batches in the database: what each apply enqueued, when, from which commit, and why.

    Reads the provenance of all rows. Rows that were enqueued with --no-provenance, or removed since, are not
    counted.
    """
    batches = read_history(database_settings(database), manifest)
    if output == "json":
        write_line(history_json(batches[:limit], len(batches)))
    else:
        for line in history_lines(batches[:limit], len(batches), make_screen(painter())):
            write_line(line)
    return 0
