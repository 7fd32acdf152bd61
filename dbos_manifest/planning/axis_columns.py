"""The values of the axes of workflows as columns, under the names that a selection compares."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from ..core.canonical_json import canonical_json
from ..expansion.matrix import Matrix
from ..expansion.selection import can_select
from ..expansion.workflow_source import WorkflowSource
from ..expressions.filters import UNSET
from ..workflows.spec import WorkflowSpec

MOST_COLUMNS = 32
_NO_VALUE = 0
_STEP = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_OPTIONS = ("workflow", "queue")  # what a selection can compare besides axes


class AxisColumn(NamedTuple):
    """A column of values. `ids` has a number for each workflow; `labels` has the text of each number.

    Number 0 means that the workflow has no such value, or one that no selection can name.
    """

    name: str
    labels: Sequence[str]
    ids: Sequence[int]


class _Column:
    def __init__(self) -> None:
        self.numbers: dict[str, int] = {"": _NO_VALUE}
        self.ids = array("L")

    def put(self, position: int, label: str) -> None:
        self.fill(position)
        number = self.numbers.get(label)
        if number is None:
            number = self.numbers[label] = len(self.numbers) if can_select(label) else _NO_VALUE
        self.ids.append(number)

    def fill(self, count: int) -> None:
        if missing := count - len(self.ids):
            self.ids.extend([_NO_VALUE] * missing)


def text_of(value: object) -> str:
    """Return the text that a selection compares a value with."""
    return value if isinstance(value, str) else canonical_json(value)


class AxisColumns:
    """Collect the axis values of workflows of one manifest, and of each map its values by key."""

    def __init__(self, source: WorkflowSource) -> None:
        self._source = source
        self._names: dict[int, tuple[str, ...]] = {}  # of the matrix, by entry
        self._columns: dict[str, _Column] = {}
        self.count = 0

    def add(self, spec: WorkflowSpec) -> None:
        """Add the next workflow."""
        names = self._names.get(spec.entry) if spec.binding else ()
        if names is None:
            names = self._names[spec.entry] = names_of(self._source.matrix_of(spec.entry))
        for name, cell in zip(names, spec.binding, strict=False):
            value = cell[0]
            if type(value) is str:
                self._put(name, value)
            elif isinstance(value, dict):
                for key, item in value.items():
                    if not isinstance(item, (dict, list)) and item is not None and _STEP.fullmatch(key):
                        self._put(f"{name}.{key}", text_of(item))
            elif value is not None and value is not UNSET:
                self._put(name, canonical_json(value))
        for option in _OPTIONS:
            if option not in names:
                self._put(option, getattr(spec, option))
        self.count += 1

    def _put(self, name: str, label: str) -> None:
        column = self._columns.get(name)
        if column is None:
            if len(self._columns) >= MOST_COLUMNS:
                return
            column = self._columns[name] = _Column()
        column.put(self.count, label)

    def columns(self) -> list[AxisColumn]:
        """Return the columns that vary, those of axes first."""
        ordered = sorted(self._columns.items(), key=lambda item: item[0] in _OPTIONS)
        for _, column in ordered:
            column.fill(self.count)
        return [
            AxisColumn(name, [*column.numbers], column.ids)
            for name, column in ordered
            if len(column.numbers) > 2 or _NO_VALUE in column.ids
        ]


def names_of(matrix: Matrix | None) -> tuple[str, ...]:
    """Return the names that the bindings of an entry's workflows have cells for."""
    return matrix.names if matrix is not None else ()
