"""Save a plan for a later apply, and check that nothing has changed since."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import Refused, UsageError
from ..expansion.workflow_source import FIRST_BYTES, WorkflowSource
from ..files.bundled import read_schema
from ..files.plan_file import PlanFile
from ..planning.saved_plan import PlanHeader, PlannedManifest, PlanWriter, SavedPlan
from ..planning.states import Changes, Overrides
from ..system_db.database import Database
from .lockfiles import is_derived_path
from .plan import Target


def begin_plan(
    writer: PlanWriter,
    database: Database,
    targets: Sequence[Target],
    overrides: Overrides,
) -> None:
    """Write the first line: database, overrides, manifests and the paths of their lockfiles."""
    planned = [
        PlannedManifest(
            target.source.name,
            target.source.file,
            str(target.lock_path),
            target.source.complete,
            dict(target.source.queues),
            target.commit,
        )
        for target in targets
    ]
    writer.begin(PlanHeader(database.fingerprint, overrides, planned))


def find_saved_plan(paths: Sequence[str]) -> PlanFile | None:
    """Open the first of these files that begins like a saved plan."""
    for path in map(Path, paths):
        if path.is_file() and (file := PlanFile(path)).begins_with(FIRST_BYTES):
            return file
    return None


class ReviewedPlan:
    """A saved plan as targets of an apply, and the check that nothing has changed since."""

    def __init__(self, file: PlanFile) -> None:
        """Read the plan.

        Raises: Refused for a plan that is incomplete, was edited, or has a newer version.
        """
        self.plan = SavedPlan(file.stream, str(file.path), json.loads(read_schema("plan.v1")))
        self._checks = [self.plan.checker(at) for at in range(len(self.plan.header.manifests))]

    @property
    def overrides(self) -> Overrides:
        return self.plan.header.overrides

    def targets(self, lockfile: Path | None) -> list[Target]:
        """Return the manifests with their lockfiles.

        A plan may come from another machine, so it does not choose the files that are written: each is where
        the manifest has its lockfile, or the user names it as `lockfile`.
        Raises: Refused for another path; UsageError where `lockfile` is not the plan's.
        """
        targets = [
            Target(source, Path(source.planned.lockfile), commit=source.planned.commit)
            for source in self.plan.sources
        ]
        for target in targets:
            if lockfile is None:
                self._check_derived(target)
            elif lockfile != target.lock_path:
                raise UsageError(
                    f"--lockfile {lockfile} cannot change a saved plan, which uses the lockfile "
                    f"{target.lock_path}",
                    "create a new plan with this option: `plan --out`",
                )
        return targets

    def _check_derived(self, target: Target) -> None:
        """Raises: Refused unless a lockfile is next to its manifest, of which one exists."""
        path, file = target.lock_path, Path(target.source.file)
        assert path is not None
        if not (is_derived_path(path, file, target.source.name) and (file.is_file() or path.is_file())):
            raise Refused(
                f"the plan {self.plan.name} would write {path}, but this is not a default lockfile path of "
                f"the manifest {file}, or neither file exists",
                f"if the plan was created with this lockfile, add `--lockfile {path}`; if not, the plan was "
                "edited: create a new one with `plan --out`",
            )

    def check_database(self, database: Database) -> None:
        """Check the database. Raises: Refused for another one."""
        self.plan.check_database(database.fingerprint)

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        names = [manifest.name for manifest in self.plan.header.manifests]
        self._checks[names.index(source.name)].add(changes)

    def check_states(self) -> None:
        """Compare the states. Raises: Refused when a workflow is no longer in its planned state."""
        count = sum(check.count for check in self._checks)
        if count:
            first = "; ".join(text for check in self._checks for text in check.first)
            raise Refused(
                f"the plan {self.plan.name} is stale: {first}{' …' if count > 3 else ''} ({count:,} "
                "in total)",
                "create a new plan with `plan --out`, and review it",
            )
