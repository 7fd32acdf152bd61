"""One entry with its expressions and its matrix in, a stream of specs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..core.canonical_json import canonical_json
from ..core.columns import Repeated
from ..core.diagnostic import Diagnostic, Path, make_diagnostic
from ..expressions.compiled import Scope, TooHeavy, Unfit, Value, compile_value, contains_mark, evaluate_all
from ..expressions.evaluation import Getter
from ..expressions.filters import UNSET
from ..workflows.batch import Batch
from ..workflows.options import (
    EMPTY,
    FIELDS,
    POSITIONS,
    REQUIRED_OPTIONS,
    TEXT_OPTIONS,
    TIME_OPTIONS,
    read_plain_option,
)
from ..workflows.spec import DEFAULT_SPEC, WorkflowSpec, default_id
from .matrix import Column, Combination, Matrix, Scale, read_part

CheckOption = Callable[[str, Any], list[Diagnostic]]
"""An option's value beside the manifest schema; the paths of what it finds start at the option."""

Report = Callable[[Diagnostic, Callable[[], str] | None], None]
"""Takes a finding, and a function that says which combination it is about."""

_AT_ONCE = 1000  # combinations


class Option(NamedTuple):
    """An option as written, and where."""

    name: str
    value: Any
    path: Path


class _CombinationScope(Scope):
    """Names are cells of a combination; what depends on one axis only becomes a column of it."""

    def __init__(self, template: EntryTemplate) -> None:
        names = template.matrix.names if template.matrix is not None else ()
        super().__init__(
            {name: _cell_getter(position) for position, name in enumerate(names)}, template.variables
        )
        self._template = template

    def hoist(self, value: Value) -> Getter | None:
        return self._template.column_of(value)


class _Failed(NamedTuple):
    """In a column: why there is no value."""

    unfit: Unfit


class EntryTemplate:
    """An entry, compiled once. What it reports beforehand it reports when made."""

    def __init__(
        self,
        manifest: str,
        entry: int,
        options: Mapping[str, Option],
        matrix: Matrix | None,
        variables: Mapping[str, Any],
        check: CheckOption,
        *,
        hoist: bool = True,
    ) -> None:
        """Raises: Unfit with every option that cannot be compiled."""
        self.matrix = matrix
        self.entry = entry
        self._manifest = manifest
        self._check = check
        self._hoist = hoist
        self.variables = variables
        self.size = 0  # expressions of one workflow
        self._columns: dict[str, list[Column]] = {}
        # not the default's own list and map: writers leave out what is the default by identity
        self._base: list[Any] = list(DEFAULT_SPEC._replace(**EMPTY))
        self._base[POSITIONS["entry"]] = entry
        self._dynamic: dict[str, Getter] = {}  # by option
        self.names: dict[str, frozenset[str]] = {}  # what each option that varies depends on
        self._options = options
        self._has_id = "id" in options and options["id"].value is not None
        self._required = ("id", *REQUIRED_OPTIONS) if self._has_id else REQUIRED_OPTIONS
        problems: list[Diagnostic] = []
        for option in options.values():
            try:
                self._add(option)
            except Unfit as unfit:
                problems += unfit.diagnostics
        if problems:
            raise Unfit(problems)

    @property
    def count(self) -> int:
        return self.matrix.count if self.matrix is not None else 1

    def _add(self, option: Option) -> None:
        value = compile_value(option.value, option.path) if contains_mark(option.value) else None
        position = POSITIONS[FIELDS[option.name]]
        if value is not None and value.names <= {"vars"}:
            constant = value.bind(Scope({}, self.variables))(None)
            for problem in self._check(option.name, constant):
                raise Unfit([relocate(problem, option.path)])
            self._base[position] = self._read(option, constant)
        elif value is None:
            self._base[position] = self._read(option, option.value)
        else:
            self.size += value.size
            self.names[option.name] = value.names
            self._dynamic[option.name] = self._place(option, value)

    def _place(self, option: Option, value: Value) -> Getter:
        """As a column of its axis when it depends on one only, else as a function of the combination."""
        axis = self._only_axis(value)
        if axis is None:
            return self._reader(option, value, value.bind(_CombinationScope(self)))
        made = self._reader(option, value, value.bind(Scope({axis: lambda cell: cell}, self.variables)))
        return self.add_column(axis, made)

    def _only_axis(self, value: Value) -> str | None:
        names = value.names - {"vars"}
        axes = self.matrix.axis_names if self.matrix is not None and self._hoist else ()
        return next(iter(names)) if len(names) == 1 and names.issubset(axes) else None

    def add_column(self, axis: str, made: Getter) -> Getter:
        assert self.matrix is not None
        columns = self._columns.setdefault(axis, [])
        columns.append(_keeping_failures(made))
        return _ColumnGetter(self.matrix.names.index(axis), len(columns) + 1)

    def column_of(self, value: Value) -> Getter | None:
        """A part of an option as a column, if it depends on one axis only."""
        axis = self._only_axis(value)
        if axis is None:
            return None
        return self.add_column(axis, value.make(Scope({axis: lambda cell: cell}, self.variables)))

    def _reader(self, option: Option, value: Value, value_of: Getter) -> Getter:
        if option.name in ("args", "kwargs") and not isinstance(option.value, str):
            return value_of  # its shape is as written, and any JSON value fits inside
        if option.name in TEXT_OPTIONS and value.is_text:
            return value_of

        def read(combination: Any) -> Any:
            found = value_of(combination)
            if problems := self._check(option.name, found):
                raise Unfit([relocate(problem, option.path) for problem in problems])
            return self._read(option, found)

        return read

    def _read(self, option: Option, value: Any) -> Any:
        if value is None:
            return EMPTY.get(option.name, DEFAULT_SPEC[POSITIONS[FIELDS[option.name]]])
        if (time := TIME_OPTIONS.get(option.name)) is None:
            return read_plain_option(option.name, value)
        try:
            return time.parse(value)
        except ValueError as error:
            message = f"`{option.name}`: {error}"
            raise Unfit([make_diagnostic(time.code, message, option.path)]) from None

    def value(self, option: str, combination: Combination) -> Any:
        """One option of a combination.

        Raises: Unfit.
        """
        getter = self._dynamic.get(option)
        return getter(combination) if getter is not None else self._base[POSITIONS[FIELDS[option]]]

    def colliding_axes(self) -> tuple[str, ...]:
        """Axes of two or more values that the id does not depend on: it must occur more than once."""
        if self.matrix is None or self.matrix.excludes:
            return ()
        options = ("id",) if self._has_id else ("workflow", "class_name", "instance_name", "args", "kwargs")
        named = frozenset[str]().union(*(self.names.get(option, frozenset()) for option in options))
        return tuple(axis.name for axis in self.matrix.axes if axis.count > 1 and axis.name not in named)

    def specs(self, report: Report) -> Iterator[WorkflowSpec]:
        """The entry's workflows; one that cannot be made is reported and left out."""
        for batch in self.batches(_AT_ONCE, report):
            yield from batch

    def batches(self, size: int, report: Report) -> Iterator[Batch]:
        """The same in batches of at most `size`, smaller ones where they are heavy."""
        scale = Scale()
        combinations = iter([()]) if self.matrix is None else self.matrix.combinations(self._columns, scale)
        while part := read_part(combinations, size, scale):
            yield from self._make_batches(part, report)

    def _make_batches(self, combinations: list[Combination], report: Report) -> Iterator[Batch]:
        try:
            batch = self._make_batch(combinations)
        except TooHeavy:
            middle = len(combinations) // 2
            yield from self._make_batches(combinations[:middle], report)
            yield from self._make_batches(combinations[middle:], report)
            return
        if batch is not None:
            yield batch
        elif specs := [spec for combination in combinations for spec in self.make(combination, report)]:
            yield Batch.of(specs)

    def _make_batch(self, combinations: list[Combination]) -> Batch | None:
        """The workflows of some combinations, or None when not all of them can be made."""
        count = len(combinations)
        columns: dict[str, Sequence[Any]] = {
            field: Repeated(value, count)
            for field, value in zip(WorkflowSpec._fields, self._base, strict=True)
        }
        try:
            for option, getter in self._dynamic.items():
                columns[FIELDS[option]] = evaluate_all(getter, combinations)
        except Unfit:
            return None
        columns["binding"] = combinations
        batch = Batch(columns, count)
        if not all(all(columns[option]) for option in self._required):
            return None
        if not self._has_id:
            columns["id"] = [default_id(self._manifest, spec) for spec in batch]
        return batch

    def make(self, combination: Combination, report: Report) -> Iterator[WorkflowSpec]:
        """The workflow of one combination; made slowly, to tell all that is wrong."""
        values = self._base.copy()
        fits = True
        for option, getter in self._dynamic.items():
            try:
                values[POSITIONS[FIELDS[option]]] = getter(combination)
            except Unfit as unfit:
                fits = False
                for diagnostic in unfit.diagnostics:
                    report(diagnostic, lambda: self.label(combination))
        values[POSITIONS["binding"]] = combination
        if fits:
            yield from self._complete(values, combination, report)

    def _complete(
        self, values: list[Any], combination: Combination, report: Report
    ) -> Iterator[WorkflowSpec]:
        spec = WorkflowSpec._make(values)
        missing = [option for option in self._required if not getattr(spec, option)]
        for option in missing:
            path = self._options[option].path if option in self._options else ("workflows", self.entry)
            written = option in self._options and self._options[option].value is not None
            problem = _empty_option(option, path) if written else missing_option(option, path)
            report(problem, lambda: self.label(combination))
        if not missing:
            yield spec if self._has_id else spec._replace(id=default_id(self._manifest, spec))

    def label(self, combination: Combination) -> str:
        return label_binding(self.matrix.names if self.matrix else (), combination)


def label_binding(names: tuple[str, ...], combination: Combination) -> str:
    """`day=2026-01-01 region=eu`."""
    shown = []
    for name, cell in zip(names, combination, strict=False):
        if cell[0] is not UNSET:
            text = cell[0] if isinstance(cell[0], str) else canonical_json(cell[0])
            shown.append(f"{name}={text if len(text) <= 60 else text[:59] + '…'}")
    return " ".join(shown)


def _empty_option(option: str, path: Path) -> Diagnostic:
    help = "give every workflow a value" + ("; only an entry without `id` gets one made" * (option == "id"))
    return make_diagnostic("invalid-text", f"`{option}` is blank", path, help=help)


def missing_option(option: str, path: Path) -> Diagnostic:
    return make_diagnostic(
        "missing-option",
        f"the workflow has no `{option}`",
        path,
        help=f"write `{option}: …` in the entry or under `defaults`",
    )


def relocate(problem: Diagnostic, path: Path) -> Diagnostic:
    """What was found of an option's value, where the option is written."""
    return replace(problem, path=(*path, *problem.path[1:]))


def _cell_getter(position: int) -> Getter:
    return lambda combination: combination[position][0]


class _ColumnGetter:
    """A column of an axis as a function of a combination, or of many."""

    def __init__(self, position: int, column: int) -> None:
        self._position, self._column = position, column

    def __call__(self, combination: Combination) -> Any:
        return self.of_all([combination])[0]

    def of_all(self, combinations: Sequence[Combination]) -> list[Any]:
        position, column = self._position, self._column
        values = [combination[position][column] for combination in combinations]
        if _Failed in {*map(type, values)}:
            raise next(value.unfit for value in values if type(value) is _Failed)
        return values


def _keeping_failures(made: Getter) -> Column:
    def column(value: Any) -> Any:
        try:
            return made(value)
        except Unfit as unfit:
            return _Failed(unfit)

    return column
