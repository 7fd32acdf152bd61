"""Group failed workflows by error and failed step, and explain each group by the values of its axes."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from .axis_columns import AxisColumn
from .axis_conditions import Condition, ConditionFinder
from .error_masks import MaskedText, mask_text

MOST_GROUPS = 2_000  # that are kept apart; further messages are grouped by the error's name
MOST_EXPLAINED = 20  # groups whose condition is searched
EXAMPLES = 3
_OTHER = MaskedText(("(other messages)",), (), ())


class LastStep(NamedTuple):
    """The last step of a workflow that failed, or the last step of all if none failed."""

    number: int  # function_id
    name: str
    failed: bool


class Failure(NamedTuple):
    """A workflow that ended without success, as DBOS recorded it."""

    id: str
    status: str
    name: str | None  # of the error; None where it is unknown
    message: str | None
    step: LastStep | None
    completed_ms: int | None  # epoch ms


class FailureGroup(NamedTuple):
    """Failed workflows with the same error and last step."""

    name: str | None
    message: str | None  # masked where the messages differ
    step: LastStep | None
    statuses: Counter[str]
    size: int
    first_ms: int | None  # epoch ms: when the first and the last of them ended
    last_ms: int | None
    examples: Sequence[str]  # the first IDs
    condition: Condition | None


_Key = tuple[str | None, tuple[str, ...] | None, tuple[str, ...], LastStep | None, str | None]


class _Group:
    def __init__(self, failure: Failure, text: MaskedText | None) -> None:
        self.first = failure
        self.text = text
        self.values: list[str | None] = list(text.values) if text is not None else []
        self.statuses: Counter[str] = Counter()
        self.times: tuple[int, int] | None = None
        self.examples: list[str] = []
        self.positions = array("L")

    def add(self, position: int, failure: Failure, text: MaskedText | None) -> None:
        self.positions.append(position)
        self.statuses[failure.status] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(failure.id)
        if (at := failure.completed_ms) is not None:
            first, last = self.times or (at, at)
            self.times = min(first, at), max(last, at)
        if text is not None and text.values != tuple(self.values):
            pairs = zip(self.values, text.values, strict=False)
            self.values = [one if one == other else None for one, other in pairs]

    def finish(self, condition: Condition | None) -> FailureGroup:
        first_ms, last_ms = self.times or (None, None)
        return FailureGroup(
            self.first.name,
            self.text.show(self.values) if self.text is not None else None,
            self.first.step,
            self.statuses,
            len(self.positions),
            first_ms,
            last_ms,
            self.examples,
            condition,
        )


class FailureDigest:
    """Collects the failed workflows of one manifest in groups."""

    def __init__(self) -> None:
        self._groups: dict[_Key, _Group] = {}

    def add(self, position: int, failure: Failure) -> None:
        """Add a failed workflow; `position` is its place among all workflows that have ended."""
        text = mask_text(failure.message, failure.id) if failure.message is not None else None
        group = self._groups.get(key := _key_of(failure, text))
        if group is None:
            if len(self._groups) >= MOST_GROUPS:
                text = _OTHER
                failure = failure._replace(step=None)
                key = _key_of(failure, text)
            group = self._groups.setdefault(key, _Group(failure, text))
        group.add(position, failure, text)

    def groups(self, columns: Sequence[AxisColumn], ended: int) -> list[FailureGroup]:
        """Return the groups, the largest first, with the conditions of the largest.

        `columns` are the axis values of the `ended` workflows that have ended, in the order of the positions.
        """
        ordered = sorted(self._groups.values(), key=lambda group: -len(group.positions))
        finder = ConditionFinder(columns, ended)
        return [
            group.finish(finder.find(group.positions) if place < MOST_EXPLAINED else None)
            for place, group in enumerate(ordered)
        ]


def _key_of(failure: Failure, text: MaskedText | None) -> _Key:
    """Return what the workflows of a group have in common; without an error that includes the status."""
    status = failure.status if text is None else None
    literals, kinds = (text.literals, text.kinds) if text is not None else (None, ())
    return failure.name, literals, kinds, failure.step, status
