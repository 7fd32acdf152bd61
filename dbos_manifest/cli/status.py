"""Run `dbos-manifest status`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

from ..actions.lockfiles import add_commits, find_targets
from ..actions.status import StatusReader, StatusSettings
from ..actions.validate import Validation
from ..core.errors import UsageError
from ..core.exit_codes import ExitCode
from ..core.suggest import did_you_mean
from ..planning.axis_columns import names_of
from ..planning.rows import NOT_ENQUEUED, STATUSES
from ..planning.status_cells import BY_OPTIONS
from ..planning.status_table import StatusSummary
from ..report.status_command import StatusCommand
from .arguments import (
    DatabaseArguments,
    InputArguments,
    LockfileArguments,
    SelectionArguments,
    StatusArguments,
)
from .commits import commit_of_pipeline
from .help import command
from .manifests import load_manifests
from .option_groups import takes_groups
from .options import NameChoice, Output, option, outputs_option
from .output_targets import Outputs
from .settings import database_settings, lockfile_settings, used_files
from .status_views import STATUS_FORMATS, StatusView, make_status_view
from .terminal import clear_screen, output_ended, write_now

_ALONE = ("error", "status")


@command(
    "jobs",
    "jobs --by region,day",
    "jobs --only ERROR -o ids",
    "jobs --list --exit-code",
)
@outputs_option(*STATUS_FORMATS)
@takes_groups
@option(
    "--only",
    multiple=True,
    type=NameChoice([*STATUSES, NOT_ENQUEUED]),
    metavar="STATUS",
    section="Selection",
    help="Show only workflows with this status; repeatable. Statuses: "
    f"{', '.join([*STATUSES, NOT_ENQUEUED])}.",
)
def status(
    inputs: InputArguments,
    selection: SelectionArguments,
    database: DatabaseArguments,
    lockfile: LockfileArguments,
    arguments: StatusArguments,
    only: tuple[str, ...],
    outputs: tuple[Output, ...],
) -> int:
    """Show how many workflows of the manifests have which DBOS status, and what failed.

    Failed workflows are grouped by error and last failed step, with the axis values that a group has in
    common. A workflow without a row is NOT_ENQUEUED. Refuses a database that the lockfile does not belong to.
    """
    with Outputs(outputs, "text") as results:
        formats = {sink.format for sink in results.sinks}
        if arguments.watch and formats != {"text"}:
            raise UsageError("--watch prints only text", "remove -o or --watch")
        validation = load_manifests(inputs, selection)
        lockfiles = lockfile_settings(lockfile)
        results.refuse_inputs(used_files(validation, database.database_url, lockfiles))
        axes = _find_axes(validation)
        by = _parse_by(arguments.by, axes)
        targets = find_targets(validation.manifests, lockfiles, lockfile_optional=True)
        make = partial(
            make_status_view,
            axes=axes,
            by=by,
            command=_repeat_command(inputs, selection, lockfile),
            listed=arguments.listed,
            show_values=arguments.show_values,
        )
        if "html" in formats:
            targets = add_commits(targets, commit_of_pipeline())
        settings = _make_settings(by, only, arguments, formats)
        with StatusReader.connect(database_settings(database), targets, settings) as reader:
            if arguments.watch:
                _watch(reader, lambda: [*map(make, results.sinks)], arguments.interval)
            else:
                _show(reader, [*map(make, results.sinks)])
    return results.end(_exit_code(reader.summaries) if arguments.exit_code else ExitCode.DONE)


def _make_settings(
    by: Sequence[str], only: Sequence[str], arguments: StatusArguments, formats: Collection[str]
) -> StatusSettings:
    """Return what the formats need."""
    outputs_in_html = "html" in formats and bool(arguments.show_values)
    return StatusSettings(
        by,
        frozenset(only),
        outputs="json" in formats or "jsonl" in formats or arguments.listed or outputs_in_html,
        failures={*formats} != {"ids"},
        detail="html" in formats,
        detail_outputs=outputs_in_html,
    )


def _show(reader: StatusReader, views: Sequence[StatusView]) -> None:
    for found in reader.read():
        if output_ended():
            break
        for view in views:
            view.add(found)
    for view in views:
        view.finish(reader.summaries)


def _watch(reader: StatusReader, make_views: Callable[[], Sequence[StatusView]], interval_s: float) -> None:
    """Show the status again and again, until every workflow has ended; Ctrl-C ends the command."""
    while True:
        clear_screen()
        _show(reader, make_views())
        if output_ended() or not any(summary.total.unfinished for summary in reader.summaries):
            return
        write_now("\n")
        time.sleep(interval_s)


def _exit_code(summaries: Sequence[StatusSummary]) -> ExitCode:
    """Return 7 if any workflow failed, 8 if any has not ended, else 0."""
    if any(summary.total.failed for summary in summaries):
        return ExitCode.SOME_FAILED
    return ExitCode.TIMED_OUT if any(summary.total.unfinished for summary in summaries) else ExitCode.DONE


def _find_axes(validation: Validation) -> list[str]:
    """Return the names of all axes of the manifests."""
    names: dict[str, None] = {}
    for loaded in validation.manifests:
        for entry in range(len(loaded.manifest.entries)):
            names.update(dict.fromkeys(names_of(loaded.matrix_of(entry))))
    return [*names]


def _parse_by(text: str | None, axes: Sequence[str]) -> tuple[str, ...]:
    """Parse --by. Raises: UsageError for an unknown name."""
    names = text.split(",") if text is not None else []
    for name in names:
        alone = name in _ALONE and name not in axes
        if alone and len(names) > 1:
            raise UsageError(f"--by: `{name}` cannot be combined with another name", f"use --by {name}")
        if not alone and name not in BY_OPTIONS and name.partition(".")[0] not in axes:
            known = sorted({*axes, *BY_OPTIONS, *_ALONE})
            raise UsageError(f"--by: there is no axis `{name}`", did_you_mean(name, known))
    return tuple(names)


def _repeat_command(
    inputs: InputArguments, selection: SelectionArguments, lockfile: LockfileArguments
) -> StatusCommand:
    """Return the command that reads the same workflows again."""
    given: list[tuple[str, Sequence[str]]] = [
        ("--var", inputs.var),
        ("--vars-file", [*map(str, inputs.vars_file)]),
        ("--max-workflows", [str(inputs.max_workflows)] if inputs.max_workflows else []),
        ("--entry", selection.entry),
        ("--ids-from", [selection.ids_from] if selection.ids_from else []),
        ("--lockfile", [str(lockfile.lockfile)] if lockfile.lockfile else []),
        ("--target", [lockfile.target] if lockfile.target else []),
        ("--select", selection.select),
    ]
    return StatusCommand(inputs.paths, [(option, value) for option, values in given for value in values])
