"""Refuse to apply plans: the reasons, and the options by which apply continues."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import Refused
from .manifest_plan import ManifestPlan
from .states import State

_WAYS_OUT = {
    State.DRIFTED: "--allow-drift skips drifted workflows",
    State.CONFLICT: "--skip-conflicts skips conflicts",
    State.MISSING: "--recreate-missing enqueues missing workflows again, --skip-missing skips them",
}


def refuse(plans: Sequence[ManifestPlan], strict: bool) -> None:
    """Refuse to apply plans with drift, conflicts, missing workflows or preflight errors.

    Raises: Refused with the reasons and the options that allow it.
    """
    refusing = [plan for plan in plans if plan.refuses(strict)]
    if refusing:
        reasons = [f"`{plan.name}` has {', '.join(plan.reasons_to_refuse(strict))}" for plan in refusing]
        details = [line for plan in refusing for line in _details(plan, strict)]
        raise Refused(f"nothing was enqueued: {'; '.join(reasons)}", _way_out(refusing, strict), details)


def _details(plan: ManifestPlan, strict: bool) -> list[str]:
    """Describe the first workflows and diagnostics that make apply refuse."""
    diagnostics = [str(found) for found in plan.refusing_diagnostics(strict)]
    changes = [
        f"{change.id}: {change.state.value}{f': {names}' if (names := ', '.join(change.fields)) else ''}"
        for change in plan.refusals
    ]
    return [*diagnostics, *changes]


def _way_out(refusing: Sequence[ManifestPlan], strict: bool) -> str:
    states = [state for state in _WAYS_OUT if any(plan.refused.get(state) for plan in refusing)]
    ways = [_WAYS_OUT[state] for state in states]
    if any(plan.refusing_diagnostics(strict) for plan in refusing):
        ways.append("--allow CODE enqueues despite a preflight error")
    return (
        f"check the workflows listed above; {'; '.join(ways)}" if ways else "check the workflows listed above"
    )
