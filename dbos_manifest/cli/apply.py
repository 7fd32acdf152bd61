"""`dbos-manifest apply`."""

from __future__ import annotations

from ..actions.apply import ApplySession, as_partly_applied, find_failure
from ..actions.settings import ApplySettings, DatabaseSettings
from ..actions.status import summarize_waits
from ..actions.wait import find_wait_failure, read_failed_rows, wait_for_results
from ..core.errors import ManifestToolError, UsageError
from ..core.exit_codes import ExitCode, decide_exit_code
from ..core.plural import count_of
from ..planning.manifest_plan import ManifestPlan
from ..planning.results import ApplyOutcome, ApplyResult, count_enqueued
from ..planning.status_table import StatusSummary
from .apply_inputs import ApplyInputs, load_apply_inputs
from .apply_views import APPLY_FORMATS, ApplyViews
from .arguments import (
    ApplyArguments,
    ComparisonArguments,
    InputArguments,
    LockfileArguments,
    OverrideArguments,
    SelectionArguments,
)
from .help import command
from .interrupts import stop_requests
from .manifests import settle_manifests
from .option_groups import takes_groups
from .options import Output, outputs_option
from .output_targets import Outputs
from .plan_views import print_diagnostics
from .settings import apply_settings, database_files, database_settings, wait_settings
from .terminal import describe_lost_output, print_error, reader_left, say

MOST_SHOWN = 20


@command("jobs --target prod", "jobs --var end=2026-12-31 --wait --wait-timeout 30m", "plan.jsonl")
@outputs_option(*APPLY_FORMATS)
@takes_groups
def apply(
    inputs: InputArguments,
    selection: SelectionArguments,
    database: ComparisonArguments,
    lockfile: LockfileArguments,
    override: OverrideArguments,
    arguments: ApplyArguments,
    outputs: tuple[Output, ...],
) -> int:
    """Enqueue the workflows that do not exist yet, and write the lockfile.

    Compares everything first; if it refuses, it enqueues nothing. Never updates or deletes a workflow and
    never prompts. PATH may also be one saved plan (plan --out).
    """
    if arguments.wait and arguments.locked:
        raise UsageError("--locked only checks the lockfile, but --wait writes it", "use only one of them")
    with Outputs(outputs, "text") as results:
        loaded = load_apply_inputs(inputs, selection, lockfile, override, locked=arguments.locked)
        results.refuse_inputs([*loaded.files(), *database_files(database.database_url)])
        views = ApplyViews(results.sinks, loaded.validation)
        settings = apply_settings(arguments, loaded.overrides, verify=database.verify)
        outcome = _apply(
            loaded, database_settings(database, views.retry, waiting=arguments), settings, arguments, views
        )
        views.finish(outcome)
    return _end(results, outcome)


def _apply(
    loaded: ApplyInputs,
    database: DatabaseSettings,
    settings: ApplySettings,
    arguments: ApplyArguments,
    views: ApplyViews,
) -> ApplyOutcome:
    """Plan, enqueue and wait. An error goes into the outcome, so that the results are shown first."""
    plans: list[ManifestPlan] = []
    results: list[ApplyResult] = []
    waited: dict[str, StatusSummary] = {}
    failure: ManifestToolError | None = None
    with stop_requests() as stopped:
        try:
            with ApplySession.connect(database, loaded.targets, settings) as session:
                loaded.check_database(session.database)
                plans = [session.plan(target, loaded.sink(views.add)) for target in loaded.targets]
                loaded.settle()
                print_diagnostics(loaded.validation, plans)
                views.plans(plans, settings.overrides.strict)
                session.refuse_or_continue(plans)
                with views.progress_bar() as on_progress:
                    results = session.enqueue_all(plans, on_progress, stopped)
            failure = find_failure(results)
            if arguments.wait and failure is None:
                with views.wait_bar() as on_ended:
                    results = wait_for_results(
                        database, loaded.targets, results, wait_settings(arguments), on_ended, stopped
                    )
                failure = find_wait_failure(results, interrupted=stopped())
                waited = {} if stopped() else summarize_waits(database, loaded.targets, results)
        except Exception as error:
            settle_manifests(loaded.validation)  # an invalid manifest is the first error to print
            if not isinstance(error, (ManifestToolError, OSError)):
                raise
            failure = as_partly_applied(error, count_enqueued(results))
    return ApplyOutcome(plans, results, failure, read_failed_rows(results, database, MOST_SHOWN), waited)


def _end(results: Outputs, outcome: ApplyOutcome) -> int:
    """Print which results could not be written, and return the exit code, or raise what stopped the call."""
    enqueued = outcome.enqueued
    lost, left, stdout = list(results.lost), reader_left(), describe_lost_output()
    if left and enqueued:
        lost.append("standard output was closed before all of it was written")
    for text in lost:
        print_error(text)
    if enqueued and (lost or stdout):
        say(f"note: this call enqueued {count_of(enqueued, 'workflow')}; see the lockfile")
    if outcome.failure is not None:
        raise outcome.failure
    failed = bool(results.lost or stdout)
    return decide_exit_code(ExitCode.DONE, enqueued=enqueued, output_failed=failed, reader_left=left)
