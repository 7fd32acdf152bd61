"""`dbos-manifest apply`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from ..errors import Interrupted, ManifestToolError, WaitFailed
from ..operations import (
    Applied,
    ApplySettings,
    DatabaseSettings,
    LockfileSettings,
    apply_files,
    read_rows,
    wait_for_results,
)
from ..planning import ManifestPlan
from ..report.applied import applied_json, applied_lines
from ..report.changes import PlanText
from ..snapshot import LiveRow
from ..validation import Validation
from .database_options import (
    database_options,
    database_settings,
    lockfile_options,
    lockfile_settings,
    override_options,
    overrides,
)
from .inputs import load_manifests, manifest_options
from .interrupts import stop_requests
from .options import duration, option, output_option, paths_argument, together
from .output import on_terminal, painter, progress_bar, screenful, write_line
from .plans import show_plans

POLL_S = 0.5
MOST_SHOWN = 20
_COMMIT_VARIABLES = (
    "GITHUB_SHA",
    "CI_COMMIT_SHA",
    "BITBUCKET_COMMIT",
    "BUILD_SOURCEVERSION",
    "CIRCLE_SHA1",
    "GIT_COMMIT",
)

apply_options = together(
    option("--chunk-size", type=click.IntRange(1, 100_000), help="Workflows per transaction."),
    option("--atomic", is_flag=True, help="Each manifest in one transaction: all of it or nothing."),
    option("--fail-fast", is_flag=True, help="Stop at the first chunk with a row at fault."),
    option("--locked", is_flag=True, help="Send and write nothing; exit 6 if there were anything."),
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
    option("--wait-timeout", type=duration, help="Stop waiting after this long (exit 7)."),
)


@click.command()
@paths_argument
@manifest_options
@database_options
@lockfile_options
@override_options
@apply_options
@output_option("text", "json")
def apply(paths: tuple[str, ...], output: str, wait: bool, wait_timeout: float | None, **options: Any) -> int:
    """Enqueue the workflows that are missing, and write the results lockfile.

    First compares the whole manifest and may refuse; nothing is sent then. Never updates or deletes a
    workflow, never asks.
    """
    validation = load_manifests(paths, options)
    settings, lockfiles = database_settings(options), lockfile_settings(options)
    wanted = ApplySettings(
        overrides=overrides(options),
        commit=next((os.environ[name] for name in _COMMIT_VARIABLES if os.environ.get(name)), None),
        lock_timeout_s=options.pop("lock_timeout"),
        **options,
    )
    text = PlanText(screenful(), on_terminal(), painter())
    plans: list[ManifestPlan] = []
    results: list[Applied] = []

    def take_plans(made: list[ManifestPlan]) -> None:
        plans.extend(made)
        if output == "text":
            show_plans(validation, text, made)

    failure: ManifestToolError | None = None
    with stop_requests() as stopped:
        try:
            _send(validation, settings, lockfiles, wanted, text, take_plans, stopped, results)
            if wait:
                _wait(results, settings, wait_timeout, wanted.lock_timeout_s, stopped)
        except ManifestToolError as error:
            failure = error
        failed = _read_failed(results, settings)
    if output == "json":
        write_line(applied_json(plans, results, failed, failure))
    else:
        for applied in results:
            for line in applied_lines(applied, failed, painter()):
                write_line(line)
    if failure is not None:
        raise failure
    return 0


def _send(
    validation: Validation,
    settings: DatabaseSettings,
    lockfiles: LockfileSettings,
    wanted: ApplySettings,
    text: PlanText,
    take_plans: Callable[[list[ManifestPlan]], None],
    stopped: Callable[[], bool],
    results: list[Applied],
) -> None:
    with progress_bar("enqueued") as bar:
        apply_files(
            validation.manifests,
            settings,
            lockfiles,
            wanted,
            on_change=text.add,
            on_plans=take_plans,
            on_progress=lambda progress: bar(progress.sent, progress.total),
            stopped=stopped,
            results=results,
        )


def _wait(
    results: list[Applied],
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
        raise Interrupted("interrupted while waiting: everything was sent")
    waits = [applied.wait for applied in results if applied.wait is not None]
    failed = sum(final.status != "SUCCESS" for wait in waits for final in wait.final.values())
    pending = sum(len(wait.pending) + len(wait.gone) for wait in waits)
    if failed or pending:
        raise WaitFailed(
            f"everything was sent; {failed} workflows did not succeed, {pending} were not seen to end",
            "`dbos-manifest status` shows each one",
        )


def _read_failed(results: list[Applied], settings: DatabaseSettings) -> dict[str, LiveRow]:
    """The rows of workflows that were waited for and did not succeed, for their error messages."""
    waits = [applied.wait for applied in results if applied.wait is not None]
    ids = [key for wait in waits for key, final in wait.final.items() if final.status != "SUCCESS"]
    return read_rows(ids[:MOST_SHOWN], settings) if ids else {}
