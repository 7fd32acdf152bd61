"""The library: load, validate, plan, apply and status as functions, for Airflow, Dagster and scripts.

Nothing is printed and no environment variable is read. Every error is a `ManifestToolError` with `message`
and `hint`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .actions.apply import ApplySession, find_failure
from .actions.lockfiles import add_commits, find_targets
from .actions.session import Session
from .actions.settings import (
    DEFAULT_SETTINGS,
    ApplySettings,
    DatabaseSettings,
    LockfileSettings,
    PlanSettings,
)
from .actions.status import StatusReader, StatusSettings, read_live_statuses
from .actions.validate import LoadedManifest, Validation, validate_files
from .core.diagnostic import Diagnostic
from .core.errors import (
    InvalidManifest,
    ManifestToolError,
    PartlyApplied,
    Refused,
    UsageError,
    refuse_errors,
)
from .core.work_budget import MAX_WORKFLOWS
from .expansion.selection import Selection, parse_terms
from .manifest.variables import Given
from .planning.manifest_plan import ManifestPlan
from .planning.results import ApplyResult
from .planning.states import NO_OVERRIDES, Overrides
from .planning.status_table import StatusSummary
from .planning.workflow_status import WorkflowStatus

__all__ = [
    "ApplyResult",
    "ApplySettings",
    "DatabaseSettings",
    "Diagnostic",
    "InvalidManifest",
    "ManifestPlan",
    "ManifestToolError",
    "Manifests",
    "Overrides",
    "PartlyApplied",
    "Refused",
    "StatusSummary",
    "WorkflowStatus",
    "apply",
    "load",
    "plan",
    "status",
    "summarize",
    "validate",
]

PathLike = str | Path


@dataclass(frozen=True, slots=True)
class Manifests:
    """Valid manifests, ready to plan and apply."""

    loaded: tuple[LoadedManifest, ...]
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def names(self) -> list[str]:
        return [manifest.name for manifest in self.loaded]

    @property
    def workflow_ids(self) -> Iterator[str]:
        """The IDs of all workflows, in manifest order."""
        return (spec.id for manifest in self.loaded for spec in manifest.specs())


def validate(
    *paths: PathLike,
    variables: Mapping[str, object] | None = None,
    max_workflows: int = MAX_WORKFLOWS,
) -> list[Diagnostic]:
    """Check manifests, and return every problem sorted by place; an empty list if they are valid.

    `max_workflows` limits the workflows of all manifests together, and the work that checking them may take.
    Raises: UsageError when a path cannot be read or a variable is unknown.
    """
    return _read(paths, variables, None, max_workflows).diagnostics


def load(
    *paths: PathLike,
    variables: Mapping[str, object] | None = None,
    select: str | Sequence[str] = (),
    ids: Iterable[str] | None = None,
    max_workflows: int = MAX_WORKFLOWS,
) -> Manifests:
    """Read and check manifests from files and folders.

    `variables` are values of the manifests' `vars`; `select` are conditions as `"region=eu day>=2026-02-01"`;
    `ids` limits the workflows to these; `max_workflows` is the limit of all manifests together.
    Raises: InvalidManifest with the diagnostics; UsageError for a path, variable or condition that is wrong.
    """
    selection = None
    if select or ids is not None:
        texts = [select] if isinstance(select, str) else select
        terms = [term for text in texts for term in parse_terms(text)]
        selection = Selection(terms, None if ids is None else set(ids), ())
    validation = _read(paths, variables, selection, max_workflows)
    refuse_errors(validation.diagnostics)
    for name, missing in validation.unchecked.items():
        needed = ", ".join(f"`{variable}`" for variable in sorted(missing))
        values = "a value" if len(missing) == 1 else "values"
        raise UsageError(f"the manifest `{name}` needs {values} for {needed}", "add them to `variables`")
    return Manifests(tuple(validation.manifests), tuple(validation.diagnostics))


def _read(
    paths: Sequence[PathLike],
    variables: Mapping[str, object] | None,
    selection: Selection | None,
    max_workflows: int,
) -> Validation:
    given = Given({}, variables or {})
    return validate_files([str(path) for path in paths], b"", given, selection, max_workflows=max_workflows)


def plan(
    manifests: Manifests,
    database: str | DatabaseSettings,
    *,
    overrides: Overrides = NO_OVERRIDES,
    target: str | None = None,
    lockfile: PathLike | None = None,
) -> list[ManifestPlan]:
    """Compare manifests with the database and their lockfiles; nothing is written anywhere.

    `database` is a URL or settings; `target` and `lockfile` choose the lockfile as --target and --lockfile.
    Raises: DatabaseError, InvalidLockfile, UsageError.
    """
    targets = find_targets(manifests.loaded, _lockfiles(target, lockfile))
    with Session.connect(_settings(database)) as session:
        settings = PlanSettings(overrides)
        return [session.plan(found, settings, lambda source, changes: None) for found in targets]


def apply(
    manifests: Manifests,
    database: str | DatabaseSettings,
    *,
    settings: ApplySettings = DEFAULT_SETTINGS,
    target: str | None = None,
    lockfile: PathLike | None = None,
    commit: str | None = None,
) -> list[ApplyResult]:
    """Enqueue the workflows that do not exist yet, and write the lockfiles.

    It is safe to call again, after any error too: what is enqueued is not enqueued twice. `commit` is the
    Git commit to record as provenance instead of the one of the manifest's repository.
    Raises: Refused when nothing was enqueued because of drift, conflicts or missing workflows;
            PartlyApplied, whose `results` say what was enqueued; DatabaseError, LockfileNotWritable,
            InvalidLockfile, UsageError.
    """
    targets = add_commits(find_targets(manifests.loaded, _lockfiles(target, lockfile)), commit)
    with ApplySession.connect(_settings(database), targets, settings) as session:
        plans = [session.plan(found, lambda source, changes: None) for found in targets]
        session.refuse_or_continue(plans)
        results = session.enqueue_all(plans, lambda progress: None, lambda: False)
    failure = find_failure(results)
    if failure is not None:
        if isinstance(failure, PartlyApplied):
            failure.results = tuple(results)
        raise failure
    return results


def status(
    manifests: Manifests,
    database: str | DatabaseSettings,
    *,
    target: str | None = None,
    lockfile: PathLike | None = None,
) -> Iterator[WorkflowStatus]:
    """Read the status of every workflow of the manifests, in manifest order.

    Raises: DatabaseError, UsageError; InvalidLockfile when a lockfile belongs to another database.
    """
    targets = find_targets(manifests.loaded, _lockfiles(target, lockfile))
    return read_live_statuses(targets, _settings(database))


def summarize(
    manifests: Manifests,
    database: str | DatabaseSettings,
    *,
    by: Sequence[str] = (),
    target: str | None = None,
    lockfile: PathLike | None = None,
) -> list[StatusSummary]:
    """Count the workflows of each manifest by status and by the values of axes, and group what failed.

    `by` has names of axes; without them workflows are counted by the first axis that has few values.
    Raises: as `status`.
    """
    targets = find_targets(manifests.loaded, _lockfiles(target, lockfile))
    settings = StatusSettings(by, outputs=False)
    with StatusReader.connect(_settings(database), targets, settings) as reader:
        for _ in reader.read():
            pass
        return reader.summaries


def _settings(database: str | DatabaseSettings) -> DatabaseSettings:
    return DatabaseSettings(database) if isinstance(database, str) else database


def _lockfiles(target: str | None, lockfile: PathLike | None) -> LockfileSettings:
    return LockfileSettings(Path(lockfile) if lockfile is not None else None, target)
