"""`dbos-manifest plan`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ..actions.apply_saved_plan import begin_plan
from ..actions.plan import ManifestPlan
from ..actions.session import LockfileSettings, plan_against_lockfiles, plan_files
from ..actions.validate import Validation
from ..core.errors import UsageError
from ..core.exit_codes import ExitCode
from ..plan.saved_plan import PlanWriter
from ..plan.states import Overrides
from ..system_db.connect import Database
from .commits import commit_of_pipeline
from .database_options import (
    database_options,
    database_settings,
    lockfile_options,
    lockfile_settings,
    override_options,
    overrides,
    show_values_option,
    used_files,
    verify_option,
)
from .inputs import load_manifests, manifest_options
from .options import Output, option, outputs_option, paths_argument
from .outputs import Outputs
from .plans import PLAN_FORMATS, PlanView, Views, make_plan_view, place_diagnostics, print_diagnostics


@click.command()
@paths_argument
@manifest_options
@database_options
@lockfile_options
@override_options
@verify_option
@show_values_option
@option("--exit-code", is_flag=True, help="Exit 10 when something would be enqueued.")
@option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Save the plan, for `apply FILE`.")
@option(
    "--against",
    type=click.Choice(["database", "lock"]),
    default="database",
    show_default=True,
    help="Compare with the database, or without one with the lockfile only.",
)
@outputs_option(*PLAN_FORMATS)
def plan(
    paths: tuple[str, ...],
    outputs: tuple[Output, ...],
    show_values: bool | None,
    exit_code: bool,
    out: Path | None,
    against: str,
    **options: Any,
) -> int:
    """Compare manifests with the DBOS system database and the lockfile; changes nothing.

    Exits 6 when apply would refuse.
    """
    if out is not None and against == "lock":
        raise UsageError("--out and --against lock exclude each other", "a saved plan rests on the database")
    with Outputs(outputs, "text", out) as results:
        validation = load_manifests(paths, options)
        lockfiles = lockfile_settings(options)
        results.refuse_inputs(used_files(validation, options["database_url"], lockfiles))
        views: list[PlanView] = [
            make_plan_view(sink, validation, show_values, verdict=True) for sink in results.sinks
        ]
        writer = PlanWriter(results.save_plan) if results.save_plan is not None else None
        plans, strict = _make(validation, views, writer, against, options, lockfiles)
        if writer is not None:
            writer.end()
    if any(plan.refuses(strict) for plan in plans):
        return results.end(ExitCode.REFUSED)
    changes = exit_code and any(plan.to_enqueue for plan in plans)
    return results.end(ExitCode.CHANGES if changes else ExitCode.DONE)


def _make(
    validation: Validation,
    views: Sequence[PlanView],
    writer: PlanWriter | None,
    against: str,
    options: dict[str, Any],
    lockfiles: LockfileSettings,
) -> tuple[list[ManifestPlan], bool]:
    overriding = overrides(options)
    view = Views([*views, *([_Saving(writer)] if writer is not None else [])])
    if against == "lock":
        plans = plan_against_lockfiles(validation.manifests, lockfiles, overriding, view.add)
    else:
        begin = _beginner(writer, validation, lockfiles, overriding)
        settings = database_settings(options)
        plans = plan_files(validation.manifests, settings, lockfiles, overriding, view.add, begin)
    place_diagnostics(validation, plans)
    print_diagnostics(validation, plans)
    view.finish(plans, overriding.strict)
    return plans, overriding.strict


class _Saving:
    """The saved plan as one of the views."""

    def __init__(self, writer: PlanWriter) -> None:
        self.add = writer.add

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        """Its end is written when all other forms are."""


def _beginner(
    writer: PlanWriter | None, validation: Validation, lockfiles: LockfileSettings, overriding: Overrides
) -> Callable[[Database], None]:
    def begin(database: Database) -> None:
        if writer is not None:
            begin_plan(writer, database, validation.manifests, lockfiles, overriding, commit_of_pipeline())

    return begin
