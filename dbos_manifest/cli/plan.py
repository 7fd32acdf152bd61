"""`dbos-manifest plan`."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from ..actions.lockfiles import add_commits, find_targets, load_lockfile
from ..actions.plan_against_lock import plan_against_lock
from ..actions.reviewed_plan import begin_plan
from ..actions.session import Session
from ..actions.settings import DatabaseSettings, LockfileSettings, PlanSettings
from ..actions.validate import Validation
from ..core.errors import UsageError
from ..core.exit_codes import ExitCode
from ..planning.manifest_plan import ManifestPlan
from ..planning.saved_plan import PlanWriter
from ..planning.states import Overrides, State
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
from .manifests import load_manifests
from .option_groups import declared, takes_groups
from .options import NameChoice, Output, outputs_option
from .output_targets import Outputs
from .plan_views import PLAN_FORMATS, PlanView, Views, make_plan_view, print_diagnostics
from .settings import database_settings, lockfile_settings, make_overrides, used_files


class PlanWithStates(PlanArguments):
    """What plan prints, with the states whose IDs it lists."""

    state: tuple[str, ...] = declared(
        "--state",
        multiple=True,
        type=NameChoice([state.value for state in State]),
        metavar="STATE",
        help="With -o ids, print the workflows in this state instead of the new ones; repeatable. States: "
        f"{', '.join(state.value for state in State)}.",
    )


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
    arguments: PlanWithStates,
    outputs: tuple[Output, ...],
) -> int:
    """Compare manifests with the DBOS system database and the lockfile.

    Changes nothing. Exits with code 6 if apply would refuse.
    """
    _check_combination(arguments, outputs)
    begun = monotonic()
    with Outputs(outputs, "text", arguments.out) as results:
        validation = load_manifests(inputs, selection)
        lockfiles, overrides = lockfile_settings(lockfile), make_overrides(override)
        results.refuse_inputs(used_files(validation, database.database_url, lockfiles))
        states = [State(name) for name in arguments.state]
        views: list[PlanView] = [
            make_plan_view(sink, validation, arguments.show_values, begun=begun, states=states)
            for sink in results.sinks
        ]
        writer = PlanWriter(results.save_plan) if results.save_plan is not None else None
        view = Views([*views, *([writer] if writer is not None else [])])
        if arguments.against == "lock":
            plans = _plan_offline(validation, lockfiles, overrides, view)
        else:
            settings = PlanSettings(overrides, database.verify)
            plans = _plan(validation, lockfiles, database_settings(database), settings, view, writer)
        print_diagnostics(validation, plans)
        view.finish(plans, overrides.strict)
    if any(plan.refuses(override.strict) for plan in plans):
        return results.end(ExitCode.REFUSED)
    changes = arguments.exit_code and any(plan.to_enqueue for plan in plans)
    return results.end(ExitCode.CHANGES if changes else ExitCode.DONE)


def _check_combination(arguments: PlanWithStates, outputs: Sequence[Output]) -> None:
    """Raises: UsageError for options that contradict each other."""
    if arguments.out is not None and arguments.against == "lock":
        raise UsageError(
            "--out and --against lock cannot be used together",
            "remove --against lock: a saved plan is based on the database",
        )
    if arguments.state and not any(output.format == "ids" for output in outputs):
        raise UsageError("--state applies only to -o ids", "add -o ids, or remove --state")


def _plan(
    validation: Validation,
    lockfiles: LockfileSettings,
    database: DatabaseSettings,
    settings: PlanSettings,
    view: Views,
    writer: PlanWriter | None,
) -> list[ManifestPlan]:
    """Plan against the database; `writer` is the one among the views that saves the plan."""
    manifests = validation.manifests
    targets = find_targets(manifests, lockfiles, lockfile_optional=writer is None)
    with Session.connect(database) as session:
        if writer is not None:
            targets = add_commits(targets, commit_of_pipeline())
            begin_plan(writer, session.database, targets, settings.overrides)
        return [session.plan(target, settings, view.add) for target in targets]


def _plan_offline(
    validation: Validation, lockfiles: LockfileSettings, overrides: Overrides, view: Views
) -> list[ManifestPlan]:
    """Plan against the lockfiles only: no database is needed."""
    plans = []
    for target in find_targets(validation.manifests, lockfiles):
        assert target.lock_path is not None
        lock = load_lockfile(target.lock_path, target.source.name, None)
        plans.append(plan_against_lock(target, lock, overrides, view.add))
    return plans
