"""`dbos-manifest apply`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..actions.apply import (
    ApplyResult,
    ApplyTarget,
    apply_targets,
    find_targets,
)
from ..actions.apply_saved_plan import PlannedApply, is_saved_plan
from ..actions.enqueue import Progress
from ..actions.final_statuses import wait_for_results
from ..actions.plan import ManifestPlan
from ..actions.session import DatabaseSettings, read_rows
from ..actions.validate import Validation
from ..core.errors import DatabaseError, Interrupted, ManifestToolError, UsageError, WaitFailed, WaitTimedOut
from ..core.exit_codes import ExitCode, decide_exit_code
from ..expansion.workflow_source import WorkflowSource
from ..files.journal_file import journal_path
from ..plan.rows import LiveRow
from ..plan.states import Changes, Overrides
from ..report.text import count_of
from ..system_db.retry import RetryNotice
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
from .plans import place_diagnostics, print_diagnostics
from .settings import (
    apply_settings,
    database_files,
    database_settings,
    lockfile_settings,
    make_overrides,
    print_retry,
)

POLL_S = 0.5
MOST_SHOWN = 20


@dataclass(frozen=True)
class _Call:
    """The arguments of one call of apply."""

    inputs: InputArguments
    selection: SelectionArguments
    database: ComparisonArguments
    lockfile: LockfileArguments
    override: OverrideArguments
    arguments: ApplyArguments

    def fixed_by_a_plan(self) -> list[str]:
        """Return the given options that a saved plan has its own values for."""
        given = [*self.inputs.given(), *self.selection.given(), *self.lockfile.given()]
        return [*given, *self.override.given(), *(["--locked"] if self.arguments.locked else [])]


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
        call = _Call(inputs, selection, database, lockfile, override, arguments)
        saved = any(is_saved_plan(Path(path)) for path in inputs.paths)
        job = _SavedPlanJob(call) if saved else _Job(call)
        results.refuse_inputs([*job.files, *database_files(database.database_url)])
        views = ApplyViews(results.sinks, job.validation)
        failure = job.run(views)
        views.finish(job.results, job.failed, failure)
    return _end(results, failure, job.enqueued)


def _end(results: Outputs, failure: ManifestToolError | None, enqueued: int) -> int:
    """Print which results could not be written, and give the exit code, or raise what stopped the call."""
    lost, left, stdout = list(results.lost), reader_left(), describe_lost_output()
    if left and enqueued:
        lost.append("the reader of standard output left before the end")
    for text in lost:
        print_error(text)
    if enqueued and (lost or stdout):
        say(f"note: {count_of(enqueued, 'workflow')} of this call enqueued all the same, see the lockfile")
    if failure is not None:
        raise failure
    failed = bool(results.lost or stdout)
    return decide_exit_code(ExitCode.DONE, enqueued=enqueued, output_failed=failed, reader_left=left)


class _Job:
    """One call of apply on manifests."""

    def __init__(self, call: _Call) -> None:
        self.validation = self._load(call)
        self.results: list[ApplyResult] = []
        self.failed: dict[str, LiveRow] = {}
        self._arguments = call.arguments
        self._database = database_settings(call.database)
        self._targets = self._find_targets(call)
        self._settings = apply_settings(call.arguments, self._overrides(call))

    @property
    def enqueued(self) -> int:
        """How many workflows this call enqueued."""
        return sum(applied.outcome.enqueued for applied in self.results)

    @property
    def files(self) -> list[Path]:
        """The files that this call reads or keeps, except those of a database."""
        locks = [target.lock_path for target in self._targets]
        return [*self.validation.inputs, *locks, *map(journal_path, locks)]

    def _load(self, call: _Call) -> Validation:
        return load_manifests(call.inputs, call.selection, beside=True)

    def _find_targets(self, call: _Call) -> list[ApplyTarget]:
        return find_targets(self.validation.manifests, lockfile_settings(call.lockfile), commit_of_pipeline())

    def _overrides(self, call: _Call) -> Overrides:
        return make_overrides(call.override)

    def run(self, views: ApplyViews) -> ManifestToolError | None:
        """Apply, wait with --wait, and return an error instead of raising it: it is reported first."""
        database = self._database._replace(on_retry=_both(print_retry, views.retry))
        with stop_requests() as stopped:
            failure: ManifestToolError | None = None
            try:
                self._send(database, views, stopped)
                if self._arguments.wait:
                    _wait(self.results, database, self._arguments, stopped)
            except Exception as error:
                settle_manifests(self.validation)  # an invalid manifest is the first thing to say
                if not isinstance(error, ManifestToolError):
                    raise
                failure = error
            with suppress(DatabaseError):  # only their messages are lost
                self.failed = _read_failed(self.results, database)
        return failure

    def _send(self, database: DatabaseSettings, views: ApplyViews, stopped: Callable[[], bool]) -> None:
        with progress_bar("enqueued") as bar:

            def progress(done: Progress) -> None:
                bar(done.enqueued, done.total)
                views.progress(done)

            self._apply(database, views, progress, stopped)

    def _apply(
        self,
        database: DatabaseSettings,
        views: ApplyViews,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> None:
        apply_targets(
            self._targets,
            database,
            self._settings,
            on_changes=views.add,
            on_plans=lambda plans: self._show(views, plans),
            on_progress=progress,
            stopped=stopped,
            results=self.results,
        )

    def _show(self, views: ApplyViews, plans: list[ManifestPlan]) -> None:
        settle_manifests(self.validation)
        place_diagnostics(self.validation, plans)
        print_diagnostics(self.validation, plans)
        views.plans(plans, self._settings.overrides.strict)


class _SavedPlanJob(_Job):
    """One call of apply on a saved plan, which fixes what an apply of manifests takes from options."""

    def _load(self, call: _Call) -> Validation:
        path, *others = call.inputs.paths
        if others:
            raise UsageError("a saved plan is applied alone", "name just the plan")
        if given := call.fixed_by_a_plan():
            raise UsageError(
                f"{', '.join(given)} cannot change a saved plan", "make another plan with it: `plan --out`"
            )
        self._planned = PlannedApply(Path(path))
        return Validation(inputs=[Path(path)])

    def _find_targets(self, call: _Call) -> list[ApplyTarget]:
        return self._planned.targets()

    def _overrides(self, call: _Call) -> Overrides:
        return self._planned.overrides

    def _apply(
        self,
        database: DatabaseSettings,
        views: ApplyViews,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> None:
        def change(source: WorkflowSource, changes: Changes) -> None:
            self._planned.add(source, changes)
            views.add(source, changes)

        def show(plans: list[ManifestPlan]) -> None:
            self._planned.check_plans(plans)
            self._show(views, plans)

        apply_targets(
            self._targets,
            database,
            self._settings,
            on_database=self._planned.check_database,
            on_changes=change,
            on_plans=show,
            on_progress=progress,
            stopped=stopped,
            results=self.results,
        )


def _both(
    one: Callable[[RetryNotice], None], other: Callable[[RetryNotice], None]
) -> Callable[[RetryNotice], None]:
    def call(notice: RetryNotice) -> None:
        one(notice)
        other(notice)

    return call


def _wait(
    results: list[ApplyResult],
    settings: DatabaseSettings,
    arguments: ApplyArguments,
    stopped: Callable[[], bool],
) -> None:
    with progress_bar("ended") as bar:
        wait_for_results(
            results,
            settings,
            timeout_s=arguments.wait_timeout,
            poll_s=POLL_S,
            lock_timeout_s=arguments.lock_timeout,
            on_progress=lambda following: bar(following.ended, following.total),
            stopped=stopped,
        )
    if stopped():
        raise Interrupted("interrupted while waiting; everything was enqueued")
    waits = [applied.wait for applied in results if applied.wait is not None]
    failed = sum(final.status != "SUCCESS" for wait in waits for final in wait.final.values())
    gone = sum(len(wait.gone) for wait in waits)
    pending = sum(len(wait.pending) for wait in waits)
    found = [f"{count_of(failed, 'workflow')} failed"] if failed else []
    found += [f"{count_of(gone, 'row')} disappeared"] if gone else []
    found += [f"{count_of(pending, 'workflow')} did not end in time"] if pending else []
    if found:
        # waiting longer would not change a failure
        kind = WaitFailed if failed or gone else WaitTimedOut
        raise kind(
            f"everything is enqueued; {', '.join(found)}", "`dbos-manifest status` shows each workflow"
        )


def _read_failed(results: list[ApplyResult], settings: DatabaseSettings) -> dict[str, LiveRow]:
    """Read the rows of workflows that were waited for and failed, for their error messages."""
    waits = [applied.wait for applied in results if applied.wait is not None]
    ids = [key for wait in waits for key, final in wait.final.items() if final.status != "SUCCESS"]
    return read_rows(ids[:MOST_SHOWN], settings)[0] if ids else {}
