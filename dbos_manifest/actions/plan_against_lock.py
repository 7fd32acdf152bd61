"""Plan a manifest against its lockfile only, where there is no database to ask."""

from __future__ import annotations

from ..lockfile.lockfile import Lockfile, new_lockfile
from ..planning.manifest_plan import ManifestPlan, PlanBuilder
from ..planning.states import Change, Changes, Overrides, State, group_changes, make_change
from ..workflows.batch import Batch
from ..workflows.digest import compute_digests
from ..workflows.spec import WorkflowSpec
from .plan import ChangeSink, Target, count_recorded, find_orphans, origin_of

BATCH_SIZE = 10_000


def plan_against_lock(
    target: Target, lock: Lockfile | None, overrides: Overrides, on_changes: ChangeSink
) -> ManifestPlan:
    """Plan as if the database held exactly what the lockfile records.

    Shape:  an entry with another digest is drift of unknown fields; nothing is in conflict or vanished.
    """
    source, lock = target.source, lock or new_lockfile(target.source.name, "unknown")
    builder, recorded = PlanBuilder(overrides), 0
    for batch in source.batches(BATCH_SIZE):
        recorded += count_recorded(lock, batch.ids)
        changes = _compare(batch, lock)
        builder.add(changes)
        on_changes(source, changes)
    for orphan in find_orphans(source, lock, recorded):
        builder.add_orphan(orphan)
        on_changes(source, orphan)
    return builder.build(origin_of(target))


def _compare(batch: Batch, lock: Lockfile) -> Changes:
    known: dict[object, Change] = {}
    changes = []
    for place, (workflow_id, digest) in enumerate(zip(batch.ids, compute_digests(batch), strict=True)):
        entry = lock.entry(workflow_id)
        key = None if entry is None else (entry.digest == digest, entry.status)
        if key not in known:
            known[key] = _make_change(batch[place], key)
        changes.append(known[key])
    return group_changes(batch, changes)


def _make_change(spec: WorkflowSpec, found: tuple[bool, str | None] | None) -> Change:
    """`found` is whether the entry has the workflow's digest, and its final status; None without an entry."""
    if found is None:
        return make_change(State.CREATE, spec)
    same, status = found
    if same:
        return make_change(State.UNCHANGED, spec, status or "IN THE LOCKFILE")
    reason = "the manifest has changed since it was applied"
    return make_change(State.DRIFTED, spec, status or "IN THE LOCKFILE", reason=reason)
