"""Run `dbos-manifest expand`."""

from __future__ import annotations

from itertools import islice

import click

from ..actions.validate import specs_of
from ..report.specs import FORMATTERS, count_lines
from .arguments import InputArguments, SelectionArguments
from .help import command
from .manifests import load_manifests
from .option_groups import takes_groups
from .options import option, output_option
from .terminal import output_ended, write, write_line

LINES_AT_ONCE = 100


@command("jobs/orders.yaml --count", "jobs/orders.yaml --limit 3 -o yaml")
@takes_groups
@option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    section="Output",
    help="Print only the first N workflows.",
)
@option("--count", is_flag=True, section="Output", help="Print only the counts, by entry and axis.")
@output_option(*FORMATTERS)
def expand(
    inputs: InputArguments,
    selection: SelectionArguments,
    limit: int | None,
    count: bool,
    output: str,
) -> int:
    """Print the workflows that the manifests expand to.

    All options are resolved. The order is that of the manifests.
    """
    validation = load_manifests(inputs, selection)
    if count:
        for loaded in validation.manifests:
            selected = sum(1 for _ in specs_of(loaded)) if loaded.selection is not None else None
            for line in count_lines(loaded.expansion, selected):
                write_line(line)
        return 0
    format_spec = FORMATTERS[output]
    specs = (spec for loaded in validation.manifests for spec in specs_of(loaded))
    lines = map(format_spec, islice(specs, limit))
    while (text := "".join(islice(lines, LINES_AT_ONCE))) and not output_ended():
        write(text)
    return 0
