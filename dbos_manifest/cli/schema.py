"""Run `dbos-manifest schema`."""

from __future__ import annotations

import click

from ..files.bundled import SCHEMAS, read_schema
from .help import command
from .options import argument
from .terminal import write

_NAMES = [name.partition(".")[0] for name in SCHEMAS]


@command("", "lockfile")
@argument(
    "name",
    metavar="[NAME]",
    type=click.Choice(_NAMES),
    default=_NAMES[0],
    help=f"One of {', '.join(_NAMES)}.  [default: {_NAMES[0]}]",
)
def schema(name: str) -> int:
    """Print the JSON Schema of manifests or of another document, for editors and validators."""
    write(read_schema(next(full for full in SCHEMAS if full.startswith(f"{name}."))))
    return 0
