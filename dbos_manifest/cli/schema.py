"""`dbos-manifest schema`."""

from __future__ import annotations

import click

from ..files.bundled import SCHEMAS, read_schema
from .output import write

_NAMES = [name.partition(".")[0] for name in SCHEMAS]


@click.command()
@click.argument("name", type=click.Choice(_NAMES), default=_NAMES[0])
def schema(name: str) -> int:
    """Print the JSON Schema of manifests (the default) or of another document, for editors and checkers."""
    write(read_schema(next(full for full in SCHEMAS if full.startswith(f"{name}."))))
    return 0
