"""Batches of workflows: one column per field, and a value that all of them share is stored once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..core.columns import (
    Repeated,
    concatenate,
    convert,
    filter_column,
    is_all_none,
    make_column,
    read_chunks,
    take_values,
    weigh,
)
from ..core.memory_budget import BUDGET
from .spec import WorkflowSpec


class Batch:
    """Workflows in manifest order, at least one: a sequence of them, and a column for each field.

    Shape:  `columns` has every field of WorkflowSpec, in its order, and each column has `count` values.
    """

    __slots__ = ("columns", "count")

    def __init__(self, columns: Mapping[str, Sequence[Any]], count: int) -> None:
        self.columns = columns
        self.count = count

    @classmethod
    def of(cls, specs: Sequence[WorkflowSpec]) -> Batch:
        """Make a batch of workflows; a single one is a batch of one."""
        columns = map(make_column, zip(*specs, strict=True))
        return cls(dict(zip(WorkflowSpec._fields, columns, strict=True)), len(specs))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[WorkflowSpec]:
        return map(WorkflowSpec._make, zip(*self.columns.values(), strict=True))

    def __getitem__(self, position: int) -> WorkflowSpec:
        return WorkflowSpec._make([column[position] for column in self.columns.values()])

    @property
    def ids(self) -> Sequence[str]:
        return self.columns["id"]

    def sets(self, field: str) -> bool:
        """Return whether any workflow has a value for a field."""
        return not is_all_none(self.columns[field])

    def varying(self, fields: Iterable[str]) -> list[Sequence[object]]:
        """Return the columns of those fields in which the workflows differ."""
        columns = map(self.columns.__getitem__, fields)
        return [column for column in columns if not isinstance(column, Repeated)]

    def slice(self, start: int, stop: int) -> Batch:
        """Return the workflows from position `start` up to, not including, `stop`."""
        if start == 0 and stop == self.count:
            return self
        part = slice(start, stop)
        return Batch({field: column[part] for field, column in self.columns.items()}, stop - start)

    def filter(self, mask: bytes | bytearray) -> Batch:
        """Return the workflows whose byte in the mask is not 0; there must be at least one."""
        columns = {field: filter_column(column, mask) for field, column in self.columns.items()}
        return Batch(columns, len(columns["id"]))

    def take(self, positions: Sequence[int]) -> Batch:
        """Return the workflows at ascending positions."""
        if len(positions) == self.count:
            return self
        columns = {field: take_values(column, positions) for field, column in self.columns.items()}
        return Batch(columns, len(positions))


def concatenate_batches(batches: Sequence[Batch]) -> Batch:
    """Return the workflows of several batches as one batch."""
    if len(batches) == 1:
        return batches[0]
    columns = {
        field: concatenate([batch.columns[field] for batch in batches]) for field in WorkflowSpec._fields
    }
    return Batch(columns, sum(map(len, batches)))


def make_batches(specs: Iterable[WorkflowSpec], size: int) -> Iterator[Batch]:
    """Yield workflows in batches of `size`, the last one smaller."""
    return map(Batch.of, read_chunks(specs, size))


def resize_batches(batches: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Yield the same workflows in batches of `size`, the last one smaller."""
    held: list[Batch] = []
    room = size
    for batch in batches:
        start = 0
        while len(batch) - start >= room:
            yield concatenate_batches([*held, batch.slice(start, start + room)])
            start += room
            held, room = [], size
        if start < len(batch):
            held.append(batch.slice(start, len(batch)))
            room -= len(batch) - start
    if held:
        yield concatenate_batches(held)


def split_by_bytes(batches: Iterable[Batch], most: int = BUDGET.held_bytes) -> Iterator[Batch]:
    """Yield the same workflows in batches whose arguments have at most `most` bytes of JSON.

    A workflow whose arguments have more is a batch of its own.
    """
    for batch in batches:
        weights = [convert(batch.columns[field], weigh) for field in ("args", "kwargs")]
        if sum(map(sum, weights)) <= most:
            yield batch
            continue
        start, total = 0, 0
        for position, weight in enumerate(map(sum, zip(*weights, strict=True))):
            if total + weight > most and position > start:
                yield batch.slice(start, position)
                start, total = position, 0
            total += weight
        yield batch.slice(start, len(batch))
