"""`dbos-manifest expand`."""

from __future__ import annotations

from itertools import islice

import click

from ..actions.validate import specs_of
from ..report.specs import FORMATTERS, count_lines
from .arguments import InputArguments, SelectionArguments
from .inputs import load_manifests
from .option_groups import takes_groups
from .options import option, output_option
from .output import output_ended, write, write_line

LINES_AT_ONCE = 100


@click.command()
@takes_groups
@option("--limit", type=click.IntRange(min=1), help="Only the first ones.")
@option("--count", is_flag=True, help="Only how many there are, by entry and axis.")
@output_option(*FORMATTERS)
def expand(
    inputs: InputArguments,
    selection: SelectionArguments,
    limit: int | None,
    count: bool,
    output: str,
) -> int:
    """Print the workflows that the manifests expand to, every option resolved, in manifest order."""
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
