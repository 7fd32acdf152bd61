"""Save a plan for a later apply, and check that nothing it rests on has changed since."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import Refused
from ..expansion.workflow_source import FIRST_BYTES, WorkflowSource
from ..files.bundled import read_schema
from ..files.plan_file import PlanFile
from ..planning.saved_plan import PlanHeader, PlannedManifest, PlanWriter, SavedPlan
from ..planning.states import Changes, Overrides
from ..system_db.database import Database
from .plan import Target


def begin_plan(
    writer: PlanWriter,
    database: Database,
    targets: Sequence[Target],
    overrides: Overrides,
) -> None:
    """Write the first line: the facts that the plan rests on, and where its results will go."""
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
    """A saved plan as targets of an apply, and the check that nothing it rests on has changed."""

    def __init__(self, file: PlanFile) -> None:
        """Raises: Refused for a plan that is not whole, was edited, or is of a newer version."""
        self.plan = SavedPlan(file.stream, str(file.path), json.loads(read_schema("plan.v1")))
        self._checks = [self.plan.checker(at) for at in range(len(self.plan.header.manifests))]

    @property
    def overrides(self) -> Overrides:
        return self.plan.header.overrides

    def targets(self) -> list[Target]:
        return [
            Target(source, Path(source.planned.lockfile), commit=source.planned.commit)
            for source in self.plan.sources
        ]

    def check_database(self, database: Database) -> None:
        """Raises: Refused for another database."""
        self.plan.check_database(database.fingerprint)

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        names = [manifest.name for manifest in self.plan.header.manifests]
        self._checks[names.index(source.name)].add(changes)

    def check_states(self) -> None:
        """Raises: Refused when a workflow is no longer in the state that it was planned in."""
        count = sum(check.count for check in self._checks)
        if count:
            first = "; ".join(text for check in self._checks for text in check.first)
            raise Refused(
                f"the plan {self.plan.name} is stale: {first}{' …' if count > 3 else ''} ({count:,} in all)",
                "make the plan again with `plan --out`, and review it",
            )
