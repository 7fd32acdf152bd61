"""`dbos-manifest plan`."""

from __future__ import annotations

from typing import Any

import click

from ..operations import plan_files
from ..report.changes import PlanJson, PlanText
from .database_options import (
    database_options,
    database_settings,
    lockfile_options,
    lockfile_settings,
    override_options,
    overrides,
    show_values_option,
)
from .inputs import load_manifests, manifest_options
from .options import option, output_option, paths_argument
from .output import on_terminal, painter, screenful, write
from .plans import locate_findings, show_plans


@click.command()
@paths_argument
@manifest_options
@database_options
@lockfile_options
@override_options
@show_values_option
@option(
    "--exit-code", is_flag=True, help="Exit 10 when something would be enqueued, 6 when apply would refuse."
)
@output_option("text", "json")
def plan(
    paths: tuple[str, ...], output: str, show_values: bool | None, exit_code: bool, **options: Any
) -> int:
    """Compare manifests with the DBOS system database and the lockfile; changes nothing."""
    validation = load_manifests(paths, options)
    settings, lockfiles, overriding = (
        database_settings(options),
        lockfile_settings(options),
        overrides(options),
    )
    if output == "json":
        document = PlanJson(write, bool(show_values))
        document.begin()
        plans = plan_files(validation.manifests, settings, lockfiles, overriding, document.add)
        locate_findings(validation, plans)
        document.finish(plans, overriding.strict)
    else:
        text = PlanText(screenful(), on_terminal() if show_values is None else show_values, painter())
        plans = plan_files(validation.manifests, settings, lockfiles, overriding, text.add)
        show_plans(validation, text, plans)
    if not exit_code:
        return 0
    if any(plan.refuses(overriding.strict) for plan in plans):
        return 6
    return 10 if any(plan.to_send for plan in plans) else 0
