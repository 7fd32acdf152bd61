"""Count the workflows of a plan by state, and describe the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..core.plural import count_of
from .rows import FINAL_STATUSES
from .states import ORDER, Change, Decision, State

_STATUS_ORDER = (
    "SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "RETRIES_EXCEEDED", "PENDING",
    "ENQUEUED", "DELAYED",
)  # fmt: skip


class Kind(NamedTuple):
    """What workflows are counted by."""

    state: State
    status: str | None
    comparable: bool
    held: bool  # a conflict that `return-existing` allows: another workflow holds its deduplication ID
    outdated: tuple[str, ...]
    enqueued: bool


def kind_of(change: Change, decision: Decision) -> Kind:
    """Return what the workflows of a change are counted by."""
    return Kind(
        change.state, change.status, change.comparable,
        change.state is State.CONFLICT and change.held, change.outdated, decision is Decision.ENQUEUE,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlanSummary:
    """Counts of workflows by state. A held one (`return-existing`) is counted separately."""

    counts: Mapping[Kind, int] = field(default_factory=dict)

    def __add__(self, other: PlanSummary) -> PlanSummary:
        return PlanSummary(Counter(self.counts) + Counter(other.counts))

    def _sum(self, wanted: Callable[[Kind], bool]) -> int:
        return sum(count for kind, count in self.counts.items() if wanted(kind))

    def count(self, state: State) -> int:
        return self._sum(lambda kind: kind.state is state and not kind.held)

    @property
    def held(self) -> int:
        return self._sum(lambda kind: kind.held)

    @property
    def not_comparable(self) -> int:
        return self._sum(lambda kind: kind.state is State.UNCHANGED and not kind.comparable)

    @property
    def to_enqueue(self) -> int:
        return self._sum(lambda kind: kind.enqueued)

    @property
    def unchanged_by_status(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for kind, count in self.counts.items():
            if kind.state is State.UNCHANGED:
                found[kind.status or "unknown"] += count
        return dict(found)

    def notes(self) -> list[str]:
        """Describe the options in which unchanged workflows differ because they no longer matter to them."""
        found: dict[tuple[str, ...], Counter[bool]] = {}  # by options, then by whether the workflow has ended
        for kind, count in self.counts.items():
            if kind.state is State.UNCHANGED and kind.outdated:
                found.setdefault(kind.outdated, Counter())[kind.status in FINAL_STATUSES] += count
        return [_describe_outdated(options, ended[True], ended[False]) for options, ended in found.items()]

    def describe_counts(self) -> str:
        """Return `178 to enqueue, 1 drifted, 2 unchanged`."""
        parts = [f"{self.to_enqueue:,} to enqueue"]
        for state in ORDER[1:]:
            count = self.count(state)
            if count:
                word = "conflicts" if state is State.CONFLICT and count > 1 else state.value
                parts.append(f"{count:,} {word}")
            if state is State.CONFLICT and self.held:
                parts.append(f"{self.held:,} held")
        return ", ".join(parts)

    def describe_statuses(self) -> str:
        """Return the statuses of unchanged workflows: `512 SUCCESS, 18 ERROR; 3 not comparable`."""
        found = self.unchanged_by_status
        known = [status for status in _STATUS_ORDER if status in found]
        others = sorted(set(found).difference(known))
        text = ", ".join(f"{found[status]:,} {status}" for status in [*known, *others])
        return f"{text}; {self.not_comparable:,} not comparable" if self.not_comparable else text

    def as_json(self) -> dict[str, object]:
        return {
            **{state.value: self.count(state) for state in State},
            "held": self.held,
            "not_comparable": self.not_comparable,
            "unchanged_by_status": dict(sorted(self.unchanged_by_status.items())),
        }


def _describe_outdated(options: Sequence[str], ended: int, running: int) -> str:
    """Return `28 finished workflows ran with a different `timeout`; they are not run again`."""
    workflows = count_of(ended + running, f"{'started' if running else 'finished'} workflow")
    if running and ended:
        workflows += f" ({ended:,} finished)"
    names = [f"`{option}`" for option in options]
    if len(names) == 1:
        values = f"a different {names[0]}"
    else:
        values = f"different values of {', '.join(names[:-1])} and {names[-1]}"
    are = "it is" if ended + running == 1 else "they are"
    return f"{workflows} ran with {values}; {are} not {'changed' if running else 'run again'}"
