"""Refuse to apply plans: the reasons, and the options by which apply continues."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import Refused
from ..core.plural import count_of
from .manifest_plan import ManifestPlan
from .states import State

_WAYS_OUT = {
    State.DRIFTED: "drifted: --allow-drift leaves their rows as they are",
    State.CONFLICT: "in conflict: --skip-conflicts leaves them out",
    State.MISSING: "missing: --recreate-missing enqueues them again, --skip-missing leaves them out",
}


def refuse(plans: Sequence[ManifestPlan], strict: bool) -> None:
    """Refuse to apply plans with drift, conflicts, missing workflows or preflight errors.

    Raises: Refused with the reasons and the options that allow it.
    """
    refusing = [plan for plan in plans if plan.refuses(strict)]
    if refusing:
        reasons = [f"`{plan.name}` has {', '.join(plan.reasons_to_refuse(strict))}" for plan in refusing]
        details = [line for plan in refusing for line in _details(plan, strict)]
        hint = "; ".join(["check the workflows listed above", *describe_ways_out(refusing, strict)])
        raise Refused(f"nothing was enqueued: {'; '.join(reasons)}", hint, details)


def _details(plan: ManifestPlan, strict: bool) -> list[str]:
    """Describe the first workflows and diagnostics that make apply refuse."""
    diagnostics = [str(found) for found in plan.refusing_diagnostics(strict)]
    changes = [
        f"{change.id}: {change.state.value}{f': {names}' if (names := ', '.join(change.fields)) else ''}"
        for change in plan.refusals
    ]
    return [*diagnostics, *changes]


def describe_ways_out(plans: Sequence[ManifestPlan], strict: bool) -> list[str]:
    """Return `10 drifted: --allow-drift leaves their rows as they are` for each cause that has an option."""
    counts = {state: sum(plan.refused.get(state, 0) for plan in plans) for state in _WAYS_OUT}
    ways = [f"{count:,} {_WAYS_OUT[state]}" for state, count in counts.items() if count]
    if found := sum(len(plan.refusing_diagnostics(strict)) for plan in plans):
        ways.append(f"{count_of(found, 'preflight problem')}: --allow CODE lets apply continue")
    return ways
