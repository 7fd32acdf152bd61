"""The options of all commands, in groups: each option is declared here once.

A command names the groups it takes. `settings.py` and `manifests.py` convert them to what the library takes.
"""

from __future__ import annotations

from pathlib import Path

import click

from ..core.work_budget import MAX_WORKFLOWS
from ..planning.preflight_codes import PREFLIGHT_CODES
from .option_groups import OptionGroup, declared, declared_argument, declared_override
from .options import FilePath, NameChoice, duration


def _complete_targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from .completion import complete_targets  # only a shell that completes needs it

    return complete_targets(ctx, param, incomplete)


class InputArguments(OptionGroup, section="Input"):
    """The manifests and their variables."""

    paths: tuple[str, ...] = declared_argument(
        metavar="PATH...",
        nargs=-1,
        required=True,
        help="A manifest, a folder with manifests, or - for standard input.",
    )
    var: tuple[str, ...] = declared(
        "--var", multiple=True, metavar="NAME=VALUE", help="Set a variable; repeatable."
    )
    vars_file: tuple[Path, ...] = declared(
        "--vars-file",
        multiple=True,
        type=FilePath(path_type=Path, dir_okay=False),
        help="Read variables from a YAML or JSON map; repeatable. Later files override earlier ones, and "
        "--var overrides all.",
    )
    max_workflows: int | None = declared(
        "--max-workflows",
        type=click.IntRange(1, 1_000_000_000),
        metavar="N",
        help="Allow at most N workflows in all manifests together, and as much work as N workflows need "
        f"(default: {MAX_WORKFLOWS:,}). A manifest cannot raise this limit.",
    )


class SelectionArguments(OptionGroup, section="Selection"):
    """Which workflows of the manifests a command takes."""

    select: tuple[str, ...] = declared(
        "--select",
        multiple=True,
        metavar="CONDITIONS",
        help="Select only workflows that match every condition: 'region=eu day>=2026-02-01'.",
    )
    ids_from: str | None = declared(
        "--ids-from",
        metavar="FILE",
        help="Select only workflows with these IDs, one per line, plain or as JSON strings; - is standard "
        "input.",
    )
    entry: tuple[str, ...] = declared(
        "--entry", multiple=True, metavar="NAME", help="Select only entries with this name; repeatable."
    )


class DatabaseArguments(OptionGroup, section="Database"):
    """The DBOS system database."""

    database_url: str | None = declared(
        "--database-url",
        metavar="URL",
        envvar=["DBOS_MANIFEST_DATABASE_URL", "DBOS_SYSTEM_DATABASE_URL"],
        help="Connect to this system database: postgresql://… or sqlite:///PATH. Also read from "
        "DBOS_SYSTEM_DATABASE_URL.",
    )
    schema: str = declared(
        "--schema",
        default="dbos",
        metavar="NAME",
        show_default=True,
        help="Look for the DBOS tables in this schema (PostgreSQL).",
    )
    retry_budget: float = declared(
        "--retry-budget",
        type=duration,
        default="120s",
        show_default=True,
        help="Retry lost connections and serialization conflicts for at most this long.",
    )


class ComparisonArguments(DatabaseArguments):
    """The DBOS system database, and how much of it is compared."""

    verify: bool = declared(
        "--verify",
        is_flag=True,
        help="Compare stored arguments even if the lockfile shows the workflow as unchanged.",
    )


class LockfileArguments(OptionGroup, section="Input"):
    """Which lockfile belongs to a manifest."""

    lockfile: Path | None = declared(
        "--lockfile", type=FilePath(path_type=Path, dir_okay=False), help="Use this lockfile."
    )
    target: str | None = declared(
        "--target",
        shell_complete=_complete_targets,
        metavar="NAME",
        help="Use the lockfile of this target: jobs.NAME.lock.jsonl.",
    )


class OverrideArguments(OptionGroup, section="Safety"):
    """What apply refuses, and by which option it continues."""

    allow_drift: bool = declared_override(
        "--allow-drift",
        is_flag=True,
        help="Leave the rows of drifted workflows as they are, instead of refusing.",
    )
    skip_conflicts: bool = declared_override(
        "--skip-conflicts", is_flag=True, help="Skip conflicting workflows instead of refusing."
    )
    recreate_vanished: bool = declared_override(
        "--recreate-vanished",
        is_flag=True,
        help="Enqueue vanished and missing workflows again, except those recorded as finished.",
    )
    recreate_missing: bool = declared_override(
        "--recreate-missing", is_flag=True, help="Enqueue missing workflows again."
    )
    skip_missing: bool = declared_override(
        "--skip-missing", is_flag=True, help="Skip missing workflows instead of refusing."
    )
    allow: tuple[str, ...] = declared_override(
        "--allow",
        type=NameChoice(PREFLIGHT_CODES),
        multiple=True,
        metavar="CODE",
        help="Enqueue despite this preflight diagnostic, such as queue-not-registered; repeatable.",
    )
    strict: bool = declared("--strict", is_flag=True, help="Treat preflight warnings as errors.")


class LockTimeoutArguments(OptionGroup, section="Safety"):
    """How long a command waits for another one that holds a lock."""

    lock_timeout: float = declared(
        "--lock-timeout",
        type=duration,
        default="60s",
        show_default=True,
        help="Wait at most this long for another command that holds the lockfile or writes these workflows.",
    )


class PlanArguments(OptionGroup, section="Output"):
    """What plan compares with, and what it prints."""

    show_values: bool | None = declared(
        "--show-values/--hide-values",
        default=None,
        help="Show stored values in differences (default: only in text on a terminal).",
    )
    exit_code: bool = declared(
        "--exit-code", is_flag=True, help="Exit with code 10 if anything would be enqueued."
    )
    out: Path | None = declared(
        "--out",
        type=FilePath(path_type=Path),
        metavar="FILE",
        help="Save the plan to FILE, for `apply FILE`.",
    )
    against: str = declared(
        "--against",
        type=click.Choice(["database", "lock"]),
        default="database",
        show_default=True,
        section="Input",
        help="Compare with the database, or with the lockfile alone.",
    )


class StatusArguments(OptionGroup, section="Output"):
    """How status counts workflows, and what it prints."""

    by: str | None = declared(
        "--by",
        metavar="AXIS[,AXIS]",
        help="Count by the values of axes, also by `queue` and `workflow`, or by `error`. An axis of dates "
        "is shown as a calendar.",
    )
    listed: bool = declared("--list", is_flag=True, help="Also print a line for each workflow.")
    show_values: bool | None = declared(
        "--show-values/--hide-values",
        default=None,
        help="Show stored outputs (default: only in text on a terminal).",
    )
    exit_code: bool = declared(
        "--exit-code",
        is_flag=True,
        help="Exit with code 7 if any workflow failed, or 8 if any has not finished.",
    )
    watch: bool = declared(
        "--watch", is_flag=True, help="Print the status again and again, until every workflow has finished."
    )
    interval: float = declared(
        "--interval",
        type=duration,
        default="5s",
        show_default=True,
        help="With --watch: wait this long before reading again.",
    )


class ApplyArguments(LockTimeoutArguments):
    """How apply enqueues, and whether it waits for the workflows."""

    chunk_size: int | None = declared(
        "--chunk-size",
        type=click.IntRange(1, 100_000),
        metavar="N",
        help="Enqueue at most N workflows per transaction.",
        section="Enqueue",
    )
    atomic: bool = declared(
        "--atomic", is_flag=True, help="Enqueue each manifest in one transaction: all or nothing."
    )
    fail_fast: bool = declared(
        "--fail-fast", is_flag=True, help="Stop at the first transaction with a rejected row."
    )
    locked: bool = declared(
        "--locked",
        is_flag=True,
        help="Check only: exit with code 6 if anything would be enqueued or the lockfile would change.",
    )
    provenance: bool = declared(
        "--provenance/--no-provenance",
        default=True,
        section="Enqueue",
        help="Record the manifest, commit and run in each row.",
    )
    reason: str | None = declared(
        "--reason",
        metavar="TEXT",
        section="Enqueue",
        help="Record a reason, such as a ticket, in each row; `history` shows it.",
    )
    legacy_inputs: bool = declared(
        "--legacy-inputs",
        is_flag=True,
        section="Enqueue",
        help="Also write arguments to the column that older workers read.",
    )
    wait: bool = declared(
        "--wait", is_flag=True, section="Wait", help="Wait until every workflow has finished."
    )
    wait_timeout: float | None = declared(
        "--wait-timeout", type=duration, section="Wait", help="Stop waiting after this long (exit code 8)."
    )
