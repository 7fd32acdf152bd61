"""`dbos-manifest apply`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..actions.apply import ApplySession, ApplySettings, as_partly_applied, find_failure
from ..actions.lockfiles import add_commits, find_targets
from ..actions.plan import ChangeSink, Target
from ..actions.saved_plan import ReviewedPlan, find_saved_plan
from ..actions.session import DatabaseSettings, connect, read_rows
from ..actions.validate import Validation
from ..actions.wait import make_pause, wait_for_result
from ..core.errors import DatabaseError, Interrupted, ManifestToolError, UsageError, WaitFailed, WaitTimedOut
from ..core.exit_codes import ExitCode, decide_exit_code
from ..expansion.workflow_source import WorkflowSource
from ..files.journal_file import journal_path
from ..files.plan_file import PlanFile
from ..planning.manifest_plan import ManifestPlan
from ..planning.results import ApplyOutcome, ApplyResult
from ..planning.rows import LiveRow
from ..planning.states import Changes, Overrides
from ..report.text import count_of
from .apply_views import APPLY_FORMATS, ApplyViews
from .arguments import (
    ApplyArguments,
    ComparisonArguments,
    InputArguments,
    LockfileArguments,
    OverrideArguments,
    SelectionArguments,
)
from .commits import commit_of_pipeline
from .help import command
from .inputs import load_manifests, settle_manifests
from .interrupts import stop_requests
from .option_groups import takes_groups
from .options import Output, outputs_option
from .output import describe_lost_output, print_error, progress_bar, reader_left, say
from .outputs import Outputs
from .plans import print_diagnostics
from .settings import apply_settings, database_files, database_settings, lockfile_settings, make_overrides

POLL_S = 0.5
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
        raise UsageError("--locked only checks, and --wait writes the lockfile", "give one of them")
    with Outputs(outputs, "text") as results:
        saved = find_saved_plan(inputs.paths)
        if saved is not None:
            if len(inputs.paths) != 1:
                raise UsageError("a saved plan is applied alone", "name only the plan")
            fixed = [*inputs.given(), *selection.given(), *lockfile.given(), *override.given()]
            batch = _load_saved_plan(saved, [*fixed, *(["--locked"] if arguments.locked else [])])
        else:
            validation = load_manifests(inputs, selection, fork=True)
            targets = find_targets(validation.manifests, lockfile_settings(lockfile))
            batch = _Batch(validation, add_commits(targets, commit_of_pipeline()), make_overrides(override))
        results.refuse_inputs([*batch.files(), *database_files(database.database_url)])
        views = ApplyViews(results.sinks, batch.validation)
        settings = apply_settings(arguments, batch.overrides, verify=database.verify)
        outcome = _apply(batch, database_settings(database, views.retry), settings, arguments, views)
        views.finish(outcome)
    return _end(results, outcome)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is applied: manifests, or a saved plan of them."""

    validation: Validation
    targets: Sequence[Target]
    overrides: Overrides
    reviewed: ReviewedPlan | None = None

    def files(self) -> list[Path]:
        """List the files that are read or written, except those of a database."""
        locks = [target.lock_path for target in self.targets if target.lock_path is not None]
        return [*self.validation.inputs, *locks, *map(journal_path, locks)]

    def sink(self, show: ChangeSink) -> ChangeSink:
        """Compare changes with the reviewed plan, if there is one, and show them."""
        reviewed = self.reviewed
        if reviewed is None:
            return show

        def check_and_show(source: WorkflowSource, changes: Changes) -> None:
            reviewed.add(source, changes)
            show(source, changes)

        return check_and_show


def _load_saved_plan(file: PlanFile, fixed: Sequence[str]) -> _Batch:
    """Load a saved plan; `fixed` are the options given that it has its own values for."""
    if fixed:
        raise UsageError(
            f"{', '.join(fixed)} cannot change a saved plan", "make another plan with it: `plan --out`"
        )
    reviewed = ReviewedPlan(file)
    return _Batch(Validation(inputs=[file.path]), reviewed.targets(), reviewed.overrides, reviewed)


def _apply(
    batch: _Batch,
    database: DatabaseSettings,
    settings: ApplySettings,
    arguments: ApplyArguments,
    views: ApplyViews,
) -> ApplyOutcome:
    """Plan, enqueue and wait. An error goes into the outcome, so that the results are shown first."""
    plans: list[ManifestPlan] = []
    results: list[ApplyResult] = []
    failure: ManifestToolError | None = None
    with stop_requests() as stopped:
        try:
            with ApplySession.connect(database, batch.targets, settings) as session:
                if batch.reviewed is not None:
                    batch.reviewed.check_database(session.database)
                plans = [session.plan(target, batch.sink(views.add)) for target in batch.targets]
                if batch.reviewed is not None:
                    batch.reviewed.check_states()
                settle_manifests(batch.validation)
                print_diagnostics(batch.validation, plans)
                views.plans(plans, batch.overrides.strict)
                session.refuse_or_continue(plans)
                with views.progress_bar() as on_progress:
                    for plan in plans:
                        results.append(session.enqueue(plan, on_progress, stopped))
                        if results[-1].failure is not None:
                            break
            failure = find_failure(results)
            if arguments.wait and failure is None:
                waiting = _wait(batch.targets, tuple(results), database, arguments, stopped)
                for place, ended in enumerate(waiting):
                    results[place] = ended
                failure = _check_ends(results, interrupted=stopped())
        except Exception as error:
            settle_manifests(batch.validation)  # an invalid manifest is the first thing to say
            if not isinstance(error, (ManifestToolError, OSError)):
                raise
            failure = as_partly_applied(error, sum(result.enqueued for result in results))
    failed_rows: dict[str, LiveRow] = {}
    with suppress(DatabaseError):  # only their messages are lost
        failed_rows = _read_failed(results, database)
    return ApplyOutcome(plans, results, failure, failed_rows)


def _wait(
    targets: Sequence[Target],
    results: Sequence[ApplyResult],
    database: DatabaseSettings,
    arguments: ApplyArguments,
    stopped: Callable[[], bool],
) -> Iterator[ApplyResult]:
    """Wait until the workflows of each manifest have ended, and yield its result with that."""
    pause = make_pause(arguments.wait_timeout, POLL_S, stopped)
    with connect(database) as opened, progress_bar("ended") as bar:
        for target, result in zip(targets, results, strict=True):
            yield wait_for_result(
                opened,
                result,
                ids=(spec.id for spec in target.source.specs()),
                pause=pause,
                lock_timeout_s=arguments.lock_timeout,
                on_progress=lambda progress: bar(progress.ended, progress.total),
            )


def _check_ends(results: Sequence[ApplyResult], *, interrupted: bool) -> ManifestToolError | None:
    """Return an error unless every workflow that was waited for succeeded."""
    if interrupted:
        return Interrupted("interrupted while waiting; everything was enqueued")
    waits = [result.wait for result in results if result.wait is not None]
    failed = sum(final.status != "SUCCESS" for wait in waits for final in wait.final.values())
    disappeared = sum(len(wait.disappeared) for wait in waits)
    pending = sum(len(wait.pending) for wait in waits)
    found = [f"{count_of(failed, 'workflow')} failed"] if failed else []
    found += [f"{count_of(disappeared, 'row')} disappeared"] if disappeared else []
    found += [f"{count_of(pending, 'workflow')} did not end in time"] if pending else []
    if not found:
        return None
    # waiting longer would not change a failure
    kind = WaitFailed if failed or disappeared else WaitTimedOut
    return kind(f"everything is enqueued; {', '.join(found)}", "`dbos-manifest status` shows each workflow")


def _read_failed(results: Sequence[ApplyResult], database: DatabaseSettings) -> dict[str, LiveRow]:
    """Read the rows of some workflows that were waited for and failed, for their error messages."""
    waits = [result.wait for result in results if result.wait is not None]
    ids = [key for wait in waits for key, final in wait.final.items() if final.status != "SUCCESS"]
    return read_rows(ids[:MOST_SHOWN], database)[0] if ids else {}


def _end(results: Outputs, outcome: ApplyOutcome) -> int:
    """Print which results could not be written, and return the exit code, or raise what stopped the call."""
    enqueued = outcome.enqueued
    lost, left, stdout = list(results.lost), reader_left(), describe_lost_output()
    if left and enqueued:
        lost.append("the reader of standard output left before the end")
    for text in lost:
        print_error(text)
    if enqueued and (lost or stdout):
        say(f"note: {count_of(enqueued, 'workflow')} of this call enqueued nevertheless, see the lockfile")
    if outcome.failure is not None:
        raise outcome.failure
    failed = bool(results.lost or stdout)
    return decide_exit_code(ExitCode.DONE, enqueued=enqueued, output_failed=failed, reader_left=left)
