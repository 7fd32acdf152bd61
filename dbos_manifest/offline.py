"""A manifest beside its lockfile only: a plan for where there is no database to ask."""

from __future__ import annotations

from collections.abc import Callable

from .batch import Batch
from .lock_lines import LockEntry
from .lockfile import Lockfile
from .plan import Change, Decision, State, decide
from .planning import ManifestPlan, Overrides
from .spec import WorkflowSpec, digest_spec


def make_offline_plan(
    batch: Batch, lock: Lockfile, overrides: Overrides, on_change: Callable[[Change], None]
) -> ManifestPlan:
    """What applying would do if the database held just what the lockfile says.

    Shape:  an entry with another digest is drift of unknown fields; nothing is in conflict, nothing vanished.
    """
    plan = ManifestPlan(batch, lock)
    orphans = set(lock.ids()) if batch.complete else set[str]()
    for spec in batch.specs():
        orphans.discard(spec.id)
        change = _compare(spec, lock.entry(spec.id))
        decision = decide(
            change, allow_drift=overrides.allow_drift, skip_conflicts=False, recreate_vanished=False
        )
        plan.summary.add(change)
        plan.decisions.append(decision is Decision.SEND)
        if decision is Decision.REFUSE:
            plan.refused += 1
            if len(plan.refusals) < 100:
                plan.refusals.append(change)
        on_change(change)
    for orphan in sorted(orphans):
        entry = lock.entry(orphan)
        change = Change(State.ORPHANED, orphan, entry.workflow if entry else None, None, None)
        plan.summary.add(change)
        on_change(change)
    return plan


def _compare(spec: WorkflowSpec, entry: LockEntry | None) -> Change:
    if entry is None:
        return Change(State.CREATE, spec.id, spec.workflow, spec.entry, None, spec=spec)
    status = entry.status or "IN THE LOCKFILE"
    if entry.digest == digest_spec(spec):
        return Change(State.UNCHANGED, spec.id, spec.workflow, spec.entry, status, spec=spec)
    reason = "the manifest has changed since it was applied"
    return Change(State.DRIFTED, spec.id, spec.workflow, spec.entry, status, reason=reason, spec=spec)
