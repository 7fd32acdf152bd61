"""A manifest beside its lockfile only: a plan for where there is no database to ask."""

from __future__ import annotations

from collections.abc import Callable

from ..expansion.workflow_source import Batch
from ..lockfile.lockfile import Lockfile
from ..plan.states import Change, Changes, Overrides, State, make_change, say_of_each
from ..workflows.batch import SpecBlock, digest_block
from ..workflows.spec import WorkflowSpec
from .plan import ManifestPlan, find_orphans

CHUNK_SIZE = 10_000


def make_offline_plan(
    batch: Batch, lock: Lockfile, overrides: Overrides, on_changes: Callable[[Changes], None]
) -> ManifestPlan:
    """What applying would do if the database held just what the lockfile says.

    Shape:  an entry with another digest is drift of unknown fields; nothing is in conflict, nothing vanished.
    """
    plan = ManifestPlan(batch, lock)
    locked = 0
    for block in batch.blocks(CHUNK_SIZE):
        locked += sum(map(lock.ids().__contains__, block.ids))
        changes = _compare(block, lock)
        plan.take(changes, overrides)
        on_changes(changes)
    for orphan in find_orphans(batch, lock, len(lock.ids()) - locked):
        plan.summary.add(orphan.alike[0])
        on_changes(orphan)
    return plan


def _compare(block: SpecBlock, lock: Lockfile) -> Changes:
    known: dict[object, Change] = {}
    changes = []
    for place, (workflow_id, digest) in enumerate(zip(block.ids, digest_block(block), strict=True)):
        entry = lock.entry(workflow_id)
        key = None if entry is None else (entry.digest == digest, entry.status)
        if key not in known:
            known[key] = _make_change(block[place], key)
        changes.append(known[key])
    return say_of_each(block, changes)


def _make_change(spec: WorkflowSpec, found: tuple[bool, str | None] | None) -> Change:
    """`found` is whether the entry has the workflow just so, and its final status; None without an entry."""
    if found is None:
        return make_change(State.CREATE, spec)
    same, status = found
    if same:
        return make_change(State.UNCHANGED, spec, status or "IN THE LOCKFILE")
    reason = "the manifest has changed since it was applied"
    return make_change(State.DRIFTED, spec, status or "IN THE LOCKFILE", reason=reason)
