"""`dbos-manifest validate`."""

from __future__ import annotations

from typing import Any

import click

from ..report.diagnostics import (
    format_diagnostics,
    github_annotation,
    summarize_validation,
    validation_json,
)
from ..validation import Validation
from .inputs import manifest_options, read_paths
from .options import option, output_option, paths_argument
from .output import in_github_actions, painter, say, write, write_line


@click.command()
@paths_argument
@manifest_options
@output_option("text", "json", "github")
@option("--strict", is_flag=True, help="Treat warnings as errors.")
@click.pass_context
def validate(ctx: click.Context, /, paths: tuple[str, ...], output: str, strict: bool, **options: Any) -> int:
    """Check manifests: YAML, schema, meaning. Needs no database and no network.

    PATH is a file, a folder (its *.yaml and *.yml files that are manifests) or - for standard input.
    """
    validation = read_paths(paths, options)
    for note in validation.notes:
        say(f"note: {note}")
    source = ctx.get_parameter_source("output")
    if source is click.core.ParameterSource.DEFAULT and in_github_actions():
        output = "github"
    if output == "json":
        names = [loaded.manifest.name for loaded in validation.manifests]
        write_line(validation_json(validation.files, names, validation.diagnostics))
    elif output == "github":
        for diagnostic in validation.diagnostics:
            write_line(github_annotation(diagnostic))
        _write_text(validation, say_blocks=True)
    else:
        _write_text(validation, say_blocks=False)
    return 1 if validation.errors or (strict and validation.warnings) else 0


def _write_text(validation: Validation, *, say_blocks: bool) -> None:
    for block in format_diagnostics(validation.diagnostics, validation.texts, painter(err=say_blocks)):
        if say_blocks:
            say(block)
        else:
            write(f"{block}\n")
    write_line(
        summarize_validation(
            validation.files,
            len(validation.manifests),
            validation.workflows,
            validation.errors,
            validation.warnings,
        )
    )
