"""What an axis is: a name, and values that can be gone through again and again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from ..core.columns import weigh
from ..core.diagnostic import Path
from ..core.memory_budget import BUDGET


class AxisError(Exception):
    """What is wrong with an axis; `path` leads on from it."""

    def __init__(self, code: str, message: str, path: Path = (), help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.path, self.help = code, message, path, help


class AxisWarning(NamedTuple):
    """What is doubtful about an axis; `path` leads on from it."""

    code: str
    message: str
    path: Path
    help: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A name and its values, which can be gone through again and again."""

    name: str
    count: int
    values: Callable[[], Iterator[Any]]
    warnings: tuple[AxisWarning, ...] = ()


def reverse_values(values: Callable[[], Iterator[Any]], count: int) -> Iterator[Any]:
    """Yield the first `count` values of a stream backwards.

    The stream is read again for each part of its values that fits the memory budget.
    """
    end = count
    while end:
        held: deque[tuple[Any, int]] = deque()
        weight = 0
        for value in islice(values(), end):
            held.append((value, size := weigh(value)))
            weight += size
            while weight > BUDGET.held_bytes and len(held) > 1:
                weight -= held.popleft()[1]
        yield from (value for value, _ in reversed(held))
        if not held:  # the stream has become shorter; whoever counts will see it
            return
        end -= len(held)
