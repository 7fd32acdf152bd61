"""What an apply is given: manifests, or a saved plan of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..actions.lockfiles import add_commits, find_targets
from ..actions.plan import ChangeSink, Target
from ..actions.reviewed_plan import ReviewedPlan, find_saved_plan
from ..actions.validate import Validation
from ..core.errors import UsageError
from ..expansion.workflow_source import WorkflowSource
from ..files.journal_file import journal_path
from ..files.plan_file import PlanFile
from ..planning.states import Changes, Overrides
from ..system_db.database import Database
from .arguments import InputArguments, LockfileArguments, OverrideArguments, SelectionArguments
from .commits import commit_of_pipeline
from .manifests import load_manifests, settle_manifests
from .settings import lockfile_settings, make_overrides


@dataclass(frozen=True, slots=True)
class ApplyInputs:
    """The manifests to apply with their lockfiles, from files or from a saved plan."""

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

    def check_database(self, database: Database) -> None:
        """Check that a reviewed plan was made for this database. Raises: Refused."""
        if self.reviewed is not None:
            self.reviewed.check_database(database)

    def settle(self) -> None:
        """Wait for the checks of the manifests, and check that a reviewed plan is not stale.

        Raises: InvalidManifest; Refused.
        """
        if self.reviewed is not None:
            self.reviewed.check_states()
        settle_manifests(self.validation)


def load_apply_inputs(
    inputs: InputArguments,
    selection: SelectionArguments,
    lockfile: LockfileArguments,
    override: OverrideArguments,
    *,
    locked: bool,
) -> ApplyInputs:
    """Load manifests, or a saved plan, which has its own values for most options."""
    saved = find_saved_plan(inputs.paths)
    if saved is not None:
        if len(inputs.paths) != 1:
            raise UsageError("a saved plan cannot be combined with other paths", "pass only the plan")
        fixed = [*inputs.given(), *selection.given(), *override.given()]
        fixed += [word for word in lockfile.given() if word != "--lockfile"]
        return _load_saved_plan(saved, [*fixed, *(["--locked"] if locked else [])], lockfile.lockfile)
    validation = load_manifests(inputs, selection, fork=True)
    targets = find_targets(validation.manifests, lockfile_settings(lockfile))
    return ApplyInputs(validation, add_commits(targets, commit_of_pipeline()), make_overrides(override))


def _load_saved_plan(file: PlanFile, fixed: Sequence[str], lockfile: Path | None) -> ApplyInputs:
    """Load a saved plan; `fixed` are the options given that it has its own values for."""
    if fixed:
        raise UsageError(
            f"{', '.join(fixed)} cannot change a saved plan",
            "create a new plan with these options: `plan --out`",
        )
    reviewed = ReviewedPlan(file)
    targets = reviewed.targets(lockfile)
    return ApplyInputs(Validation(inputs=[file.path]), targets, reviewed.overrides, reviewed)
