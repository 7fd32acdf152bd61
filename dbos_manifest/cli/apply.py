"""`dbos-manifest apply`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from ..actions.apply import (
    ApplyResult,
    ApplySettings,
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
from ..plan.states import Changes
from ..report.text import count_of
from ..system_db.retry import RetryNotice
from .apply_views import APPLY_FORMATS, ApplyViews
from .commits import commit_of_pipeline
from .database_options import (
    database_files,
    database_options,
    database_settings,
    lockfile_options,
    lockfile_settings,
    override_options,
    overrides,
    print_retry,
    verify_option,
)
from .inputs import load_manifests, manifest_options, settle_manifests
from .interrupts import stop_requests
from .options import Output, duration, option, outputs_option, paths_argument, together
from .output import describe_lost_output, print_error, progress_bar, reader_left, say
from .outputs import Outputs
from .plans import place_diagnostics, print_diagnostics

POLL_S = 0.5
MOST_SHOWN = 20
_FIXED_BY_A_PLAN = {
    "var": "--var", "vars_file": "--vars-file", "select": "--select", "ids_from": "--ids-from",
    "entry": "--entry", "lockfile": "--lockfile", "target": "--target", "allow_drift": "--allow-drift",
    "skip_conflicts": "--skip-conflicts", "recreate_vanished": "--recreate-vanished",
    "recreate_missing": "--recreate-missing", "skip_missing": "--skip-missing", "allow": "--allow",
    "strict": "--strict", "locked": "--locked",
}  # fmt: skip

apply_options = together(
    option("--chunk-size", type=click.IntRange(1, 100_000), help="Workflows per transaction, at most."),
    option("--atomic", is_flag=True, help="Each manifest in one transaction: all of it or nothing."),
    option("--fail-fast", is_flag=True, help="Stop at the first transaction with a rejected row."),
    option("--locked", is_flag=True, help="Check only: exit 6 if apply would enqueue or record anything."),
    option("--provenance/--no-provenance", default=True, help="Mark rows with manifest, commit and run."),
    option("--legacy-inputs", is_flag=True, help="Write inputs where workers older than the schema look."),
    option(
        "--lock-timeout",
        type=duration,
        default="60s",
        show_default=True,
        help="How long to wait for another apply.",
    ),
    option("--wait", is_flag=True, help="Follow every workflow to its end."),
    option("--wait-timeout", type=duration, help="Stop waiting after this long (exit 8)."),
)


@click.command()
@paths_argument
@manifest_options
@database_options
@lockfile_options
@override_options
@verify_option
@apply_options
@outputs_option(*APPLY_FORMATS)
def apply(
    paths: tuple[str, ...],
    outputs: tuple[Output, ...],
    wait: bool,
    wait_timeout: float | None,
    **options: Any,
) -> int:
    """Enqueue the workflows that are missing, and write the results lockfile.

    PATH is a manifest, a folder, - for standard input, or one saved plan (plan --out). First compares
    everything and may refuse; then nothing is enqueued. Never updates or deletes a workflow, never asks.
    """
    if wait and options["locked"]:
        raise UsageError("--locked only checks, and --wait writes the lockfile", "give one of them")
    with Outputs(outputs, "text") as results:
        url = options["database_url"]
        saved = any(is_saved_plan(Path(path)) for path in paths)
        job = _SavedPlanJob(paths, options) if saved else _Job(paths, options)
        results.refuse_inputs([*job.files, *database_files(url)])
        views = ApplyViews(results.sinks, job.validation)
        failure = job.run(views, wait=wait, wait_timeout=wait_timeout)
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

    def __init__(self, paths: Sequence[str], options: dict[str, Any]) -> None:
        self.validation = self._load(paths, options)
        self.results: list[ApplyResult] = []
        self.failed: dict[str, LiveRow] = {}
        self._database = database_settings(options)
        self._targets = self._find_targets(options)
        self._settings = ApplySettings(
            overrides=overrides(options), lock_timeout_s=options.pop("lock_timeout"), **options
        )

    @property
    def enqueued(self) -> int:
        """How many workflows this call enqueued."""
        return sum(applied.outcome.enqueued for applied in self.results)

    @property
    def files(self) -> list[Path]:
        """The files that this call reads or keeps, beside those of a database."""
        locks = [target.lock_path for target in self._targets]
        return [*self.validation.inputs, *locks, *map(journal_path, locks)]

    def _load(self, paths: Sequence[str], options: dict[str, Any]) -> Validation:
        return load_manifests(paths, options, beside=True)

    def _find_targets(self, options: dict[str, Any]) -> list[ApplyTarget]:
        return find_targets(self.validation.manifests, lockfile_settings(options), commit_of_pipeline())

    def run(self, views: ApplyViews, *, wait: bool, wait_timeout: float | None) -> ManifestToolError | None:
        """Apply, wait if asked to, and give what went wrong instead of raising it: it is to be told first."""
        database = self._database._replace(on_retry=_both(print_retry, views.retry))
        with stop_requests() as stopped:
            failure: ManifestToolError | None = None
            try:
                self._send(database, views, stopped)
                if wait:
                    _wait(self.results, database, wait_timeout, self._settings.lock_timeout_s, stopped)
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
                bar(done.sent, done.total)
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
    """One call of apply on a saved plan, which says itself what an apply of manifests takes from options."""

    def _load(self, paths: Sequence[str], options: dict[str, Any]) -> Validation:
        if len(paths) != 1:
            raise UsageError("a saved plan is applied alone", "name just the plan")
        given = [word for key, word in _FIXED_BY_A_PLAN.items() if options.get(key)]
        if given:
            raise UsageError(
                f"{', '.join(given)} cannot change a saved plan", "make another plan with it: `plan --out`"
            )
        self._planned = PlannedApply(Path(paths[0]))
        validation = Validation(inputs=[Path(paths[0])])
        for key in ("var", "vars_file", "select", "ids_from", "entry", "lockfile", "target"):
            options.pop(key)
        options |= self._planned.overrides._asdict()
        return validation

    def _find_targets(self, options: dict[str, Any]) -> list[ApplyTarget]:
        return self._planned.targets()

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
    timeout_s: float | None,
    lock_timeout_s: float,
    stopped: Callable[[], bool],
) -> None:
    with progress_bar("ended") as bar:
        wait_for_results(
            results,
            settings,
            timeout_s=timeout_s,
            poll_s=POLL_S,
            lock_timeout_s=lock_timeout_s,
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
    """The rows of workflows that were waited for and failed, for their error messages."""
    waits = [applied.wait for applied in results if applied.wait is not None]
    ids = [key for wait in waits for key, final in wait.final.items() if final.status != "SUCCESS"]
    return read_rows(ids[:MOST_SHOWN], settings)[0] if ids else {}
