"""Workflow specs by the thousand, as columns: what all of them share is held, compared and written once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ..core.canonical_json import canonical_bytes, digest_texts
from ..core.columns import (
    Repeated,
    convert,
    glue,
    is_all_none,
    join,
    make_column,
    pick,
    pick_places,
    read_chunks,
    weigh,
)
from .spec import INPUTS, WorkflowSpec, encode_argument

_DIGESTED = sorted(
    (
        "workflow", "class_name", "instance_name", "application", "queue", "queue_partition_key", "args",
        "kwargs", "priority", "timeout_ms", "deadline_ms", "not_before_ms", "delay_ms", "deduplication_id",
        "application_version", "authenticated_user", "authenticated_roles", "assumed_role",
    )
)  # fmt: skip


MOST_INPUT_BYTES = 32 * 2**20  # that go to or come from the database together


class Batch:
    """Specs in manifest order, at least one. A sequence of them, and a column for each field.

    Shape:  `columns` has every field of WorkflowSpec, in its order.
    """

    __slots__ = ("columns", "count")

    def __init__(self, columns: Mapping[str, Sequence[Any]], count: int) -> None:
        self.columns = columns
        self.count = count

    @classmethod
    def of(cls, specs: Sequence[WorkflowSpec]) -> Batch:
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
        """Whether any of the specs has a value there."""
        return not is_all_none(self.columns[field])

    def varying(self, fields: Iterable[str]) -> list[Sequence[Any]]:
        """The columns of those fields that are not the same in all specs."""
        columns = map(self.columns.__getitem__, fields)
        return [column for column in columns if not isinstance(column, Repeated)]

    def pick(self, mask: bytes | bytearray) -> Batch:
        """The specs at the places where the mask is not 0, which some must be."""
        columns = {field: pick(column, mask) for field, column in self.columns.items()}
        return Batch(columns, len(columns["id"]))

    def at(self, places: Sequence[int]) -> Batch:
        """The specs at these places."""
        if len(places) == self.count:
            return self
        columns = {field: pick_places(column, places) for field, column in self.columns.items()}
        return Batch(columns, len(places))

    def cut(self, start: int, stop: int) -> Batch:
        if start == 0 and stop == self.count:
            return self
        part = slice(start, stop)
        return Batch({field: column[part] for field, column in self.columns.items()}, stop - start)


def join_batches(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    columns = {field: join([batch.columns[field] for batch in batches]) for field in WorkflowSpec._fields}
    return Batch(columns, sum(map(len, batches)))


def make_batches(specs: Iterable[WorkflowSpec], size: int) -> Iterator[Batch]:
    """The specs in batches of `size`, the last one smaller."""
    return map(Batch.of, read_chunks(specs, size))


def resize_batches(batches: Iterable[Batch], size: int) -> Iterator[Batch]:
    """The same specs in batches of `size`, the last one smaller."""
    held: list[Batch] = []
    room = size
    for batch in batches:
        start = 0
        while len(batch) - start >= room:
            yield join_batches([*held, batch.cut(start, start + room)])
            start += room
            held, room = [], size
        if start < len(batch):
            held.append(batch.cut(start, len(batch)))
            room -= len(batch) - start
    if held:
        yield join_batches(held)


def split_heavy(batches: Iterable[Batch], most: int = MOST_INPUT_BYTES) -> Iterator[Batch]:
    """The same specs, those together whose arguments have at most `most` bytes, though at least one."""
    for batch in batches:
        weights = [convert(batch.columns[field], weigh) for field in ("args", "kwargs")]
        if sum(map(sum, weights)) <= most:
            yield batch
            continue
        start, total = 0, 0
        for place, weight in enumerate(map(sum, zip(*weights, strict=True))):
            if total + weight > most and place > start:
                yield batch.cut(start, place)
                start, total = place, 0
            total += weight
        yield batch.cut(start, len(batch))


def digest_spec(spec: WorkflowSpec) -> str:
    """The lockfile's digest: what a workflow is, so that two equal ones always give the same text.

    Unset options are left out; so are the values that mean the same as unset (no arguments, priority 0,
    no roles), so that writing a default out changes nothing.
    Source: SPEC §5.
    """
    members = [_digested(field, getattr(spec, field)) for field in _DIGESTED]
    return digest_texts([b"{%b}" % b"".join(members)])[0]


def digest_batch(batch: Batch) -> list[str]:
    """`digest_spec` of each workflow."""
    count = len(batch)
    members = [convert(batch.columns[field], partial(_digested, field)) for field in _DIGESTED]
    return digest_texts(glue([Repeated(b"{", count), *members, Repeated(b"}", count)], count, b""))


def _digested(field: str, value: Any) -> bytes:
    """An option as a member of a canonical object; nothing where it is unset. An instant of 0 is set."""
    if not value and not (value == 0 and field.endswith("_ms")):
        return b""
    # a workflow always has its name, which comes last: all members before it end with a comma
    return b'"%b":%b%b' % (field.encode(), canonical_bytes(value), b"" if field == _DIGESTED[-1] else b",")


def encode_batch_inputs(batch: Batch) -> list[str]:
    """`encode_inputs` of each workflow."""
    count = len(batch)
    kwargs, args = (convert(batch.columns[field], encode_argument) for field in ("kwargs", "args"))
    first, between, last = (Repeated(text, count) for text in INPUTS)
    return [*glue([first, kwargs, between, args, last], count, "")]
