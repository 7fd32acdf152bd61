"""`dbos-manifest plan`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..actions.apply_saved_plan import begin_plan
from ..actions.plan import ManifestPlan
from ..actions.session import DatabaseSettings, LockfileSettings, plan_against_lockfiles, plan_files
from ..actions.validate import Validation
from ..core.errors import UsageError
from ..core.exit_codes import ExitCode
from ..plan.saved_plan import PlanWriter
from ..plan.states import Overrides
from ..system_db.database import Database
from .arguments import (
    ComparisonArguments,
    InputArguments,
    LockfileArguments,
    OverrideArguments,
    PlanArguments,
    SelectionArguments,
)
from .commits import commit_of_pipeline
from .help import command
from .inputs import load_manifests
from .option_groups import takes_groups
from .options import Output, outputs_option
from .outputs import Outputs
from .plans import PLAN_FORMATS, PlanView, Views, make_plan_view, place_diagnostics, print_diagnostics
from .settings import database_settings, lockfile_settings, make_overrides, used_files


@command(
    "jobs",
    "jobs --target prod --select 'region=eu day>=2026-02-01'",
    "jobs --target prod --out plan.jsonl -o markdown=plan.md",
)
@outputs_option(*PLAN_FORMATS)
@takes_groups
def plan(
    inputs: InputArguments,
    selection: SelectionArguments,
    database: ComparisonArguments,
    lockfile: LockfileArguments,
    override: OverrideArguments,
    arguments: PlanArguments,
    outputs: tuple[Output, ...],
) -> int:
    """Compare manifests with the DBOS system database and the lockfile.

    Changes nothing. Exits 6 if apply would refuse.
    """
    if arguments.out is not None and arguments.against == "lock":
        raise UsageError("--out and --against lock exclude each other", "a saved plan rests on the database")
    with Outputs(outputs, "text", arguments.out) as results:
        validation = load_manifests(inputs, selection)
        lockfiles, overrides = lockfile_settings(lockfile), make_overrides(override)
        results.refuse_inputs(used_files(validation, database.database_url, lockfiles))
        views: list[PlanView] = [
            make_plan_view(sink, validation, arguments.show_values, verdict=True) for sink in results.sinks
        ]
        writer = PlanWriter(results.save_plan) if results.save_plan is not None else None
        settings = database_settings(database) if arguments.against == "database" else None
        plans = _make(validation, views, writer, settings, lockfiles, overrides)
        if writer is not None:
            writer.end()
    if any(plan.refuses(override.strict) for plan in plans):
        return results.end(ExitCode.REFUSED)
    changes = arguments.exit_code and any(plan.to_enqueue for plan in plans)
    return results.end(ExitCode.CHANGES if changes else ExitCode.DONE)


def _make(
    validation: Validation,
    views: Sequence[PlanView],
    writer: PlanWriter | None,
    database: DatabaseSettings | None,
    lockfiles: LockfileSettings,
    overrides: Overrides,
) -> list[ManifestPlan]:
    """Plan against the database, or without one against the lockfiles, and show the plans."""
    view = Views([*views, *([_Saving(writer)] if writer is not None else [])])
    if database is None:
        plans = plan_against_lockfiles(validation.manifests, lockfiles, overrides, view.add)
    else:
        begin = _beginner(writer, validation, lockfiles, overrides)
        plans = plan_files(validation.manifests, database, lockfiles, overrides, view.add, begin)
    place_diagnostics(validation, plans)
    print_diagnostics(validation, plans)
    view.finish(plans, overrides.strict)
    return plans


class _Saving:
    """The saved plan as one of the views."""

    def __init__(self, writer: PlanWriter) -> None:
        self.add = writer.add

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        """Its end is written when all other forms are."""


def _beginner(
    writer: PlanWriter | None, validation: Validation, lockfiles: LockfileSettings, overrides: Overrides
) -> Callable[[Database], None]:
    def begin(database: Database) -> None:
        if writer is not None:
            begin_plan(writer, database, validation.manifests, lockfiles, overrides, commit_of_pipeline())

    return begin
