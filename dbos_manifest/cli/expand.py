"""`dbos-manifest expand`."""

from __future__ import annotations

from itertools import islice

import click

from ..report.specs import spec_json_line, spec_yaml
from ..validation import specs_of
from .inputs import load_manifests
from .options import option, output_option, paths_argument
from .output import write, write_line


@click.command()
@paths_argument
@option("--limit", type=click.IntRange(min=1), help="Only the first ones.")
@option("--count", is_flag=True, help="Only how many there are.")
@output_option("jsonl", "yaml", "ids")
def expand(paths: tuple[str, ...], output: str, limit: int | None, count: bool) -> int:
    """Print the workflows that the manifests stand for, every option resolved, in manifest order."""
    validation = load_manifests(paths)
    if count:
        for loaded in validation.manifests:
            write_line(f"{loaded.workflows} {loaded.manifest.name}")
        return 0
    specs = (spec for loaded in validation.manifests for spec in specs_of(loaded.manifest))
    for spec in islice(specs, limit):
        if output == "ids":
            write_line(spec.id)
        elif output == "yaml":
            write(spec_yaml(spec))
        else:
            write_line(spec_json_line(spec))
    return 0
