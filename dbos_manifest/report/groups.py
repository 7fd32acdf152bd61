"""Summarize the changes of a plan in groups: one for each entry, state and status, with its axis ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain

from ..core.canonical_json import canonical_json
from ..core.columns import Repeated, convert, distinct
from ..expansion.matrix import Combination, Matrix
from ..expansion.workflow_source import WorkflowSource
from ..expressions.filters import UNSET
from ..planning.states import Change, ChangeGroup, Changes, State
from .text import printable, shorten

MOST_VALUES = 10_000  # of one axis that are remembered
_LISTED = 6
_RUNS_SHOWN = 4


@dataclass(slots=True)
class Group:
    """Workflows of one entry in one state. Entries without a matrix are grouped by workflow name."""

    first: Change
    last: Change
    matrix: Matrix | None
    uniform: bool = True  # whether all have the differences of the first one
    count: int = 0
    values: list[dict[str, None]] = field(default_factory=list)  # of each name of the matrix, as labels

    def note(self, bindings: Sequence[Combination]) -> None:
        """Remember the values of each name of the matrix."""
        if self.matrix is None:
            return
        if not self.values:
            self.values = [{} for _ in self.matrix.names]
        for known, cells in zip(self.values, zip(*bindings, strict=True), strict=False):
            for cell in distinct(cells):  # combinations share them
                if cell[0] is not UNSET and len(known) <= MOST_VALUES:
                    known[label_of(cell[0])] = None

    def ranges(self) -> str:
        """Return `day 2026-04-01 … 2026-04-30 (30), region eu, us`; empty without a matrix."""
        if self.matrix is None:
            return ""
        axes = {axis.name: axis for axis in self.matrix.axes}
        parts = []
        for name, known in zip(self.matrix.names, self.values, strict=False):
            if len(known) > MOST_VALUES:
                parts.append(f"{name} (more than {MOST_VALUES:,})")
            elif known:
                axis = axes.get(name)
                order = map(label_of, axis.values()) if axis and axis.count <= MOST_VALUES else known
                parts.append(f"{name} {_describe(known, order)}")
        return ", ".join(parts)


def label_of(value: object) -> str:
    """Shorten a value of an axis to a label; a map is labelled by its `name` or `id`."""
    if type(value) is str or type(value) is int:
        return _label(value)
    if isinstance(value, dict):
        value = next((value[key] for key in ("name", "id") if isinstance(value.get(key), (str, int))), value)
    return _label.__wrapped__(value)


@lru_cache(MOST_VALUES)
def _label(value: object) -> str:
    return shorten(printable(value if isinstance(value, str) else canonical_json(value)), 40)


def _describe(known: dict[str, None], order: Iterable[str]) -> str:
    if len(known) <= _LISTED:
        ordered = [label for label in dict.fromkeys(order) if label in known]
        return ", ".join([*ordered, *(label for label in known if label not in ordered)])
    runs = list(_runs(known, order))
    shown = [first if count == 1 else f"{first} … {last}" for first, last, count in runs[:_RUNS_SHOWN]]
    more = ", …" if len(runs) > _RUNS_SHOWN else ""
    return f"{', '.join(shown)}{more} ({len(known):,})"


def _runs(known: dict[str, None], order: Iterable[str]) -> Iterator[tuple[str, str, int]]:
    """Yield the first and last value and the length of each run of known values."""
    run: list[str] = []
    for label in dict.fromkeys(order):
        if label in known:
            run.append(label)
        elif run:
            yield run[0], run[-1], len(run)
            run = []
    if run:
        yield run[0], run[-1], len(run)


class Groups:
    """The groups of each manifest, in the order of their first workflows."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[tuple[object, ...], Group]] = {}

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        """Add a batch of changes to the groups."""
        for part in chain.from_iterable(_by_entry(source, group) for group in changes.groups):
            group = self._group_of(source, part.first)
            group.last = part.last
            group.count += part.size
            if part.first.differences:
                same = part.uniform and part.first.differences == group.first.differences
                group.uniform = group.uniform and same
            if part.batch is not None:
                group.note(part.batch.columns["binding"])

    def _group_of(self, source: WorkflowSource, change: Change) -> Group:
        groups = self._groups.setdefault(source.name, {})
        matrix = source.matrix_of(change.entry) if change.entry is not None else None
        entry = change.entry if matrix is not None else None
        kind = (entry, change.workflow, change.state, change.status, change.fields)
        group = groups.get(kind)
        if group is None:
            group = groups[kind] = Group(change, change, matrix)
        return group

    def of(self, name: str) -> Sequence[Group]:
        """Return the groups of a manifest."""
        return list(self._groups.get(name, {}).values())


def _by_entry(source: WorkflowSource, group: ChangeGroup) -> Iterable[ChangeGroup]:
    """Split a group by entry and workflow name; all entries without a matrix count as one."""

    def with_matrix(entry: int) -> int | None:
        return entry if source.matrix_of(entry) is not None else None

    batch = group.batch
    if batch is None:
        return [group]
    entries, workflows = convert(batch.columns["entry"], with_matrix), batch.columns["workflow"]
    if isinstance(entries, Repeated) and isinstance(workflows, Repeated):
        return [group]
    places: dict[object, list[int]] = {}
    for place, key in enumerate(zip(entries, workflows, strict=True)):
        places.setdefault(key, []).append(place)
    parts = map(batch.take, places.values())
    return [ChangeGroup(group.first.of(part[0]), part, group.uniform) for part in parts]


def describe_group(group: Group) -> str:
    """Return `180 × create, ingest_orders: day 2026-01-01 … 2026-03-31 (90), region eu, us`."""
    first = group.first
    notes = [first.state.value, first.workflow, first.status]
    ranges = group.ranges()
    text = ", ".join(printable(note) for note in notes if note)
    return f"{group.count:,} × {text}{f': {ranges}' if ranges else ''}"


def ids_of(group: Group) -> str:
    """Return `orders-2026-01-01 … orders-2026-03-31`."""
    ids = printable(group.first.id)
    return ids if group.count == 1 else f"{ids} … {printable(group.last.id)}"


SINGLED_OUT = frozenset({State.DRIFTED, State.CONFLICT, State.VANISHED, State.MISSING, State.ORPHANED})
"""States whose workflows are listed one by one."""


def singled_out(changes: Changes) -> Iterator[Change]:
    """Yield the changes in a state that is listed one by one."""
    if any(group.first.state in SINGLED_OUT for group in changes.groups):
        yield from changes.select(lambda change: change.state in SINGLED_OUT)
