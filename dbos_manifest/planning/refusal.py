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
        hint = "; ".join(
            filter(None, ["check the workflows listed above", describe_ways_out(refusing, strict)])
        )
        raise Refused(f"nothing was enqueued: {'; '.join(reasons)}", hint, details)


def _details(plan: ManifestPlan, strict: bool) -> list[str]:
    """Describe the first workflows and diagnostics that make apply refuse."""
    diagnostics = [str(found) for found in plan.refusing_diagnostics(strict)]
    changes = [
        f"{change.id}: {change.state.value}{f': {names}' if (names := ', '.join(change.fields)) else ''}"
        for change in plan.refusals
    ]
    return [*diagnostics, *changes]


def describe_ways_out(plans: Sequence[ManifestPlan], strict: bool) -> str:
    """Return the options by which apply continues; empty if none of the plans is refused, or none helps."""
    ways = [way for state, way in _WAYS_OUT.items() if any(plan.refused.get(state) for plan in plans)]
    if any(plan.refusing_diagnostics(strict) for plan in plans):
        ways.append("--allow CODE enqueues despite a preflight error")
    return "; ".join(ways)
