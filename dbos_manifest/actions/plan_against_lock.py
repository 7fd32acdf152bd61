"""A manifest beside its lockfile only: a plan for where there is no database to ask."""

from __future__ import annotations

from collections.abc import Callable

from ..expansion.workflow_source import WorkflowSource
from ..lockfile.lockfile import Lockfile
from ..plan.states import Change, Changes, Overrides, State, group_changes, make_change
from ..workflows.batch import Batch
from ..workflows.digest import compute_digests
from ..workflows.spec import WorkflowSpec
from .plan import ManifestPlan, find_orphans

CHUNK_SIZE = 10_000


def make_offline_plan(
    source: WorkflowSource, lock: Lockfile, overrides: Overrides, on_changes: Callable[[Changes], None]
) -> ManifestPlan:
    """What applying would do if the database held just what the lockfile says.

    Shape:  an entry with another digest is drift of unknown fields; nothing is in conflict, nothing vanished.
    """
    plan = ManifestPlan(source, lock)
    locked = 0
    for batch in source.batches(CHUNK_SIZE):
        locked += sum(map(lock.ids().__contains__, batch.ids))
        changes = _compare(batch, lock)
        plan.take(changes, overrides)
        on_changes(changes)
    for orphan in find_orphans(source, lock, len(lock.ids()) - locked):
        plan.summary.add(orphan.groups[0])
        on_changes(orphan)
    return plan


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
    """`found` is whether the entry has the workflow just so, and its final status; None without an entry."""
    if found is None:
        return make_change(State.CREATE, spec)
    same, status = found
    if same:
        return make_change(State.UNCHANGED, spec, status or "IN THE LOCKFILE")
    reason = "the manifest has changed since it was applied"
    return make_change(State.DRIFTED, spec, status or "IN THE LOCKFILE", reason=reason)
