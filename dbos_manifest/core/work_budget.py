"""How much work one validation may take: one budget for all files of a call, which no manifest can raise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

MAX_WORKFLOWS = 1_000_000
"""Workflows of one call, unless the caller allows another number. All other bounds grow with it."""

_STEPS_PER_WORKFLOW = 20
_LEAST_WORKFLOWS = 100_000  # a lower limit of workflows does not reduce the work that is allowed
_BYTES_PER_STEP = 128
_CHUNK = 100

Item = TypeVar("Item")


class WorkBudgetExceeded(Exception):
    """The files need more work than one call may do."""


class WorkBudget:
    """Counts the work of a call in steps, so that the result does not depend on the speed of the machine.

    Units: a step takes about half a microsecond: one evaluation of an expression, or copying, hashing and
           encoding 128 bytes. A million workflows may take 20 steps each.
    """

    def __init__(self, max_workflows: int = MAX_WORKFLOWS) -> None:
        self.max_workflows = max_workflows
        self.workflows = 0  # of all manifests
        self.steps = _STEPS_PER_WORKFLOW * max(max_workflows, _LEAST_WORKFLOWS)  # that are left
        self.contract_seconds = max(2, 5 * max_workflows // MAX_WORKFLOWS)  # of CPU time
        self.contract_bytes = 768 * 2**20  # of memory, with that of the engine
        self.compared_names = 300_000  # to suggest one

    def spend(self, steps: int) -> None:
        """Count steps before or after they are done.

        Raises: WorkBudgetExceeded when none are left.
        """
        self.steps -= steps
        if self.steps < 0:
            raise WorkBudgetExceeded

    def try_spend(self, steps: int) -> bool:
        """Count steps if there are enough left, and return whether there are."""
        if steps > self.steps:
            return False
        self.steps -= steps
        return True


_current: ContextVar[WorkBudget | None] = ContextVar("work_budget", default=None)


@contextmanager
def limited_work(budget: WorkBudget) -> Iterator[WorkBudget]:
    """Count all work inside the block in one budget."""
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)


def current_budget() -> WorkBudget | None:
    """Return the budget of the running validation; None outside of one, where no work is counted."""
    return _current.get()


def spend(steps: int) -> None:
    """Count steps of the running validation.

    Raises: WorkBudgetExceeded when the budget has none left.
    """
    if (budget := _current.get()) is not None:
        budget.spend(steps)


def spend_bytes(count: int) -> None:
    """Count the steps of reading, making or encoding some bytes.

    Raises: WorkBudgetExceeded.
    """
    spend(count // _BYTES_PER_STEP)


def spend_each(items: Iterable[Item], steps: int) -> Iterator[Item]:
    """Yield the items, and count steps for each.

    Raises: WorkBudgetExceeded.
    """
    count = 0
    for count, item in enumerate(items, 1):
        if not count % _CHUNK:
            spend(steps * _CHUNK)
        yield item
    spend(steps * (count % _CHUNK))
