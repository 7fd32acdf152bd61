"""Many records as columns: one sequence per field; a value that all records share is stored once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain, compress, islice, repeat
from typing import AnyStr, TypeVar, overload

from .canonical_json import encode_json

Value = TypeVar("Value")
Result = TypeVar("Result")
_PLAIN = frozenset({str, int, type(None)})


class Repeated(Sequence[Value]):
    """A column of one value."""

    __slots__ = ("_count", "value")

    def __init__(self, value: Value, count: int) -> None:
        self.value = value
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Value]:
        return repeat(self.value, self._count)

    @overload
    def __getitem__(self, position: int) -> Value: ...
    @overload
    def __getitem__(self, position: slice) -> Repeated[Value]: ...
    def __getitem__(self, position: int | slice) -> Value | Repeated[Value]:
        found = range(self._count)[position]
        return self.value if isinstance(found, int) else Repeated(self.value, len(found))


def read_chunks(items: Iterable[Value], size: int) -> Iterator[list[Value]]:
    """Yield the items in lists of `size`, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def make_column(values: Sequence[Value]) -> Sequence[Value]:
    """Return the values as a column: a single value repeated, if all are the same.

    Texts, whole numbers and None are the same when they are equal, other values only when they are one
    object: `[1]` equals `[True]`, but is different JSON.
    """
    first = values[0]
    if type(first) in _PLAIN:
        # compare the last value first: in most columns that vary it differs
        same = values[-1] == first and values.count(first) == len(values) and len({*map(type, values)}) == 1
    else:
        same = all(value is first for value in values)
    return Repeated(first, len(values)) if same else values


def is_all_none(column: Sequence[object]) -> bool:
    """Return whether every value is None."""
    return column.value is None if isinstance(column, Repeated) else column.count(None) == len(column)


def filter_column(column: Sequence[Value], mask: bytes | bytearray) -> Sequence[Value]:
    """Return the values whose byte in the mask is not 0."""
    if isinstance(column, Repeated):
        return Repeated(column.value, len(mask) - mask.count(0))
    return list(compress(column, mask))


def take_values(column: Sequence[Value], positions: Sequence[int]) -> Sequence[Value]:
    """Return the values at some positions."""
    if isinstance(column, Repeated):
        return Repeated(column.value, len(positions))
    return [*map(column.__getitem__, positions)]


def concatenate(parts: Sequence[Sequence[Value]]) -> Sequence[Value]:
    """Join columns end to end."""
    first = parts[0]
    if isinstance(first, Repeated) and all(
        isinstance(part, Repeated) and _is_same(part.value, first.value) for part in parts
    ):
        return Repeated(first.value, sum(map(len, parts)))
    return list(chain.from_iterable(parts))


def _is_same(one: object, other: object) -> bool:
    return one is other or (type(one) is type(other) and type(one) in _PLAIN and one == other)


def distinct(values: Iterable[Value]) -> Collection[Value]:
    """Return each object once, in the order of first occurrence."""
    return {id(value): value for value in values}.values()


def weigh(value: object) -> int:
    """Estimate the bytes of a value as JSON; 0 for numbers and other small values."""
    if isinstance(value, str):
        return len(value)
    return len(encode_json(value)) if isinstance(value, (list, dict)) else 0


def convert(column: Sequence[Value], function: Callable[[Value], Result]) -> Sequence[Result]:
    """Apply a function to each value; to an object that occurs more than once only once."""
    if isinstance(column, Repeated):
        return Repeated(function(column.value), len(column))
    objects = distinct(column)
    if len(objects) * 2 > len(column):
        return [*map(function, column)]
    results = {id(value): function(value) for value in objects}
    return [results[key] for key in map(id, column)]


def join_texts(columns: Iterable[Sequence[AnyStr]], count: int, empty: AnyStr) -> Iterator[AnyStr]:
    """Join the texts of each record in the order of the columns; `empty` is the empty text of their type."""
    pieces: list[Iterable[AnyStr]] = []
    shared = empty  # the texts since the last column that varies
    for column in columns:
        if isinstance(column, Repeated):
            shared += column.value
        else:
            if shared:
                pieces.append(repeat(shared, count))
                shared = empty
            pieces.append(column)
    if shared or not pieces:
        pieces.append(repeat(shared, count))
    return map(empty.join, zip(*pieces, strict=True))
