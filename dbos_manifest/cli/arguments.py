"""The options of all commands, in groups: each option is declared here once.

A command names the groups it takes. `settings.py` and `inputs.py` convert them to what the library takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from ..plan.preflight import PREFLIGHT_CODES
from .option_groups import OptionGroup, declared, declared_argument, declared_override
from .options import NameChoice, duration


@dataclass(frozen=True)
class InputArguments(OptionGroup, section="Input"):
    """The manifests and their variables."""

    paths: tuple[str, ...] = declared_argument(metavar="PATH...", nargs=-1, required=True)
    var: tuple[str, ...] = declared(
        "--var", multiple=True, metavar="NAME=VALUE", help="The value of a variable; repeatable."
    )
    vars_file: tuple[Path, ...] = declared(
        "--vars-file",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        help="YAML or JSON map of variables; repeatable, later ones over earlier, --var over all.",
    )


@dataclass(frozen=True)
class SelectionArguments(OptionGroup, section="Selection"):
    """Which workflows of the manifests a command takes."""

    select: tuple[str, ...] = declared(
        "--select",
        multiple=True,
        metavar="TERMS",
        help="Only workflows that match every condition, as 'region=eu day>=2026-02-01'.",
    )
    ids_from: str | None = declared(
        "--ids-from", metavar="FILE", help="Only workflows with these IDs, one per line; - for stdin."
    )
    entry: tuple[str, ...] = declared(
        "--entry", multiple=True, metavar="NAME", help="Only the entries of this name; repeatable."
    )


@dataclass(frozen=True)
class DatabaseArguments(OptionGroup, section="Database"):
    """The DBOS system database."""

    database_url: str | None = declared(
        "--database-url",
        metavar="URL",
        envvar=["DBOS_MANIFEST_DATABASE_URL", "DBOS_SYSTEM_DATABASE_URL"],
        help="postgresql://… or sqlite:///path.  [env var: DBOS_MANIFEST_DATABASE_URL, "
        "DBOS_SYSTEM_DATABASE_URL]",
    )
    schema: str = declared(
        "--schema", default="dbos", show_default=True, help="Schema of the DBOS tables (PostgreSQL)."
    )
    retry_budget: float = declared(
        "--retry-budget",
        type=duration,
        default="120s",
        show_default=True,
        help="How long a lost connection or a conflict is retried.",
    )


@dataclass(frozen=True)
class ComparisonArguments(DatabaseArguments):
    """The DBOS system database, and how much of it is compared."""

    verify: bool = declared(
        "--verify",
        is_flag=True,
        help="Compare stored arguments also where the lockfile has the workflow as it is.",
    )


@dataclass(frozen=True)
class LockfileArguments(OptionGroup, section="Input"):
    """Which lockfile belongs to a manifest."""

    lockfile: Path | None = declared(
        "--lockfile", type=click.Path(path_type=Path, dir_okay=False), help="Lockfile to use."
    )
    target: str | None = declared(
        "--target", metavar="NAME", help="Lockfile per target: jobs.NAME.lock.jsonl."
    )


@dataclass(frozen=True)
class OverrideArguments(OptionGroup, section="Safety"):
    """What apply refuses, and by which option it continues."""

    allow_drift: bool = declared_override(
        "--allow-drift", is_flag=True, help="Skip drifted workflows instead of refusing."
    )
    skip_conflicts: bool = declared_override(
        "--skip-conflicts", is_flag=True, help="Skip conflicting workflows instead of refusing."
    )
    recreate_vanished: bool = declared_override(
        "--recreate-vanished",
        is_flag=True,
        help="Enqueue vanished and missing workflows again, except those seen to end.",
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


@dataclass(frozen=True)
class LockTimeoutArguments(OptionGroup, section="Safety"):
    """How long a command waits for an apply that holds the lockfile."""

    lock_timeout: float = declared(
        "--lock-timeout",
        type=duration,
        default="60s",
        show_default=True,
        help="How long to wait for an apply that holds the lockfile.",
    )


@dataclass(frozen=True)
class PlanArguments(OptionGroup, section="Output"):
    """What plan compares with, and what it prints."""

    show_values: bool | None = declared(
        "--show-values/--hide-values",
        default=None,
        help="Show stored values in differences (default: only in text on a terminal).",
    )
    exit_code: bool = declared("--exit-code", is_flag=True, help="Exit 10 when something would be enqueued.")
    out: Path | None = declared(
        "--out",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Save the plan, for `apply FILE`.",
    )
    against: str = declared(
        "--against",
        type=click.Choice(["database", "lock"]),
        default="database",
        show_default=True,
        help="Compare with the database, or without one with the lockfile only.",
    )


@dataclass(frozen=True)
class ApplyArguments(LockTimeoutArguments):
    """How apply enqueues, and whether it waits for the workflows."""

    chunk_size: int | None = declared(
        "--chunk-size", type=click.IntRange(1, 100_000), help="Workflows per transaction, at most."
    )
    atomic: bool = declared(
        "--atomic", is_flag=True, help="Each manifest in one transaction: all of it or nothing."
    )
    fail_fast: bool = declared(
        "--fail-fast", is_flag=True, help="Stop at the first transaction with a rejected row."
    )
    locked: bool = declared(
        "--locked", is_flag=True, help="Check only: exit 6 if apply would enqueue or record anything."
    )
    provenance: bool = declared(
        "--provenance/--no-provenance", default=True, help="Mark rows with manifest, commit and run."
    )
    legacy_inputs: bool = declared(
        "--legacy-inputs", is_flag=True, help="Write inputs where workers older than the schema look."
    )
    wait: bool = declared("--wait", is_flag=True, help="Follow every workflow to its end.")
    wait_timeout: float | None = declared(
        "--wait-timeout", type=duration, help="Stop waiting after this long (exit 8)."
    )
