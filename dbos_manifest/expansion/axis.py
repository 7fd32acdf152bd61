"""An axis of a matrix: a name, and values that can be read any number of times."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from ..core.columns import weigh
from ..core.diagnostic import ValuePath
from ..core.memory_budget import BUDGET


class AxisError(Exception):
    """A problem of an axis; `path` is relative to the axis."""

    def __init__(self, code: str, message: str, path: ValuePath = (), help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.path, self.help = code, message, path, help


class AxisWarning(NamedTuple):
    """A warning about an axis; `path` is relative to the axis."""

    code: str
    message: str
    path: ValuePath
    help: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A name and its values; `values` begins again with each call."""

    name: str
    count: int
    values: Callable[[], Iterator[object]]
    warnings: tuple[AxisWarning, ...] = ()


def reverse_values(values: Callable[[], Iterator[object]], count: int) -> Iterator[object]:
    """Yield the first `count` values of a stream backwards.

    The stream is read again for each part of its values that fits the memory budget.
    """
    end = count
    while end:
        held: deque[tuple[object, int]] = deque()
        weight = 0
        for value in islice(values(), end):
            held.append((value, size := weigh(value)))
            weight += size
            while weight > BUDGET.held_bytes and len(held) > 1:
                weight -= held.popleft()[1]
        yield from (value for value, _ in reversed(held))
        if not held:  # the file became shorter since it was counted; the caller counts too
            return
        end -= len(held)
