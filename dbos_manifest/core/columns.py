"""Many records as columns: one sequence a field, and a field that says the same in all of them told once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain, compress, islice, repeat
from typing import AnyStr, TypeVar, overload

from .canonical_json import encode_json

Value = TypeVar("Value")
Made = TypeVar("Made")
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
    """The items in lists of `size`, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def make_column(values: Sequence[Value]) -> Sequence[Value]:
    """The values, or one of them repeated where that is the same.

    Texts, whole numbers and None are the same when they are equal, other values only when they are one
    object: `[1]` equals `[True]` and is not the same JSON.
    """
    first = values[0]
    if type(first) in _PLAIN:
        # most columns that vary do so at once
        same = values[-1] == first and values.count(first) == len(values) and len({*map(type, values)}) == 1
    else:
        same = all(value is first for value in values)
    return Repeated(first, len(values)) if same else values


def is_all_none(column: Sequence[object]) -> bool:
    return column.value is None if isinstance(column, Repeated) else column.count(None) == len(column)


def filter_column(column: Sequence[Value], mask: bytes | bytearray) -> Sequence[Value]:
    """The values at the places where the mask is not 0."""
    if isinstance(column, Repeated):
        return Repeated(column.value, len(mask) - mask.count(0))
    return list(compress(column, mask))


def take_values(column: Sequence[Value], positions: Sequence[int]) -> Sequence[Value]:
    """Return the values at some positions."""
    if isinstance(column, Repeated):
        return Repeated(column.value, len(positions))
    return [*map(column.__getitem__, positions)]


def concatenate(parts: Sequence[Sequence[Value]]) -> Sequence[Value]:
    """One column after the other."""
    first = parts[0]
    if isinstance(first, Repeated) and all(
        isinstance(part, Repeated) and _is_same(part.value, first.value) for part in parts
    ):
        return Repeated(first.value, sum(map(len, parts)))
    return list(chain.from_iterable(parts))


def _is_same(one: object, other: object) -> bool:
    return one is other or (type(one) is type(other) and type(one) in _PLAIN and one == other)


def distinct(values: Iterable[Value]) -> Collection[Value]:
    """Each object once, in the order of their first places."""
    return {id(value): value for value in values}.values()


def weigh(value: object) -> int:
    """About how many bytes a text, a list or a map has."""
    if isinstance(value, str):
        return len(value)
    return len(encode_json(value)) if isinstance(value, (list, dict)) else 0


def convert(column: Sequence[Value], function: Callable[[Value], Made]) -> Sequence[Made]:
    """What the function makes of each value; of an object that stands in several places once."""
    if isinstance(column, Repeated):
        return Repeated(function(column.value), len(column))
    objects = distinct(column)
    if len(objects) * 2 > len(column):
        return [*map(function, column)]
    made = {id(value): function(value) for value in objects}
    return [made[key] for key in map(id, column)]


def join_texts(columns: Iterable[Sequence[AnyStr]], count: int, nothing: AnyStr) -> Iterator[AnyStr]:
    """The texts of each record as one, in the order of the columns; `nothing` is the empty text."""
    pieces: list[Iterable[AnyStr]] = []
    told = nothing  # what all records say next
    for column in columns:
        if isinstance(column, Repeated):
            told += column.value
        else:
            if told:
                pieces.append(repeat(told, count))
                told = nothing
            pieces.append(column)
    if told or not pieces:
        pieces.append(repeat(told, count))
    return map(nothing.join, zip(*pieces, strict=True))
