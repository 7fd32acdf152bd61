"""Compile the options of an entry to constants, columns of one axis, and functions of a combination."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..core.diagnostic import Diagnostic, ValuePath, make_diagnostic
from ..expressions.compiled import (
    CompiledValue,
    DiagnosticError,
    Scope,
    compile_value,
    contains_mark,
    evaluate_all,
)
from ..expressions.evaluation import Getter
from ..workflows.options import EMPTY, FIELDS, POSITIONS, TEXT_OPTIONS, TIME_OPTIONS, read_plain_option
from ..workflows.precedence import Option
from ..workflows.spec import DEFAULT_SPEC, make_workflow
from .matrix import COLUMNS, Column, Combination, Matrix

CheckOption = Callable[[str, object], list[Diagnostic]]
"""Checks an option's value against the manifest schema; the paths of its diagnostics start at the option."""


def relocate(problem: Diagnostic, path: ValuePath) -> Diagnostic:
    """Return a diagnostic of an option's value with the path where the option is written."""
    return replace(problem, path=(*path, *problem.path[1:]))


class CompiledOptions:
    """The options of one entry. A value that depends on one axis is computed once per value of that axis.

    Shape:  `base` has a value for each field of WorkflowSpec. `columns` are, by axis, what the matrix
            computes of each value of that axis. `names` has what each option that varies depends on.
    """

    def __init__(
        self,
        entry: int,
        options: Mapping[str, Option],
        matrix: Matrix | None,
        variables: Mapping[str, object],
        check: CheckOption,
        *,
        by_axis: bool = True,
    ) -> None:
        """Compile every option; without `by_axis` each is a function of the whole combination.

        Raises: DiagnosticError with every option that cannot be compiled.
        """
        self.written = options
        self.variables = variables
        self.axis_positions = {name: at for at, name in enumerate(matrix.names)} if matrix is not None else {}
        self._axes = matrix.axis_names if matrix is not None and by_axis else ()
        self._check = check
        self.size = 0  # expressions per workflow
        self.columns: dict[str, list[Column]] = {}
        self.base: list[object] = list(make_workflow({"entry": entry}))
        self.names: dict[str, frozenset[str]] = {}
        self._getters: dict[str, Getter] = {}  # by option
        problems: list[Diagnostic] = []
        for option in options.values():
            try:
                self._add(option)
            except DiagnosticError as error:
                problems += error.diagnostics
        if problems:
            raise DiagnosticError(problems)

    def sets(self, option: str) -> bool:
        """Return whether an option is written with a value other than null."""
        return option in self.written and self.written[option].value is not None

    def evaluate(self, combinations: Sequence[Combination]) -> dict[str, Sequence[object]]:
        """Return the column of each field that varies, for many combinations.

        Raises: DiagnosticError when a value cannot be made; MemoryBudgetExceeded when the values are too
                large for one batch.
        """
        return {
            FIELDS[option]: evaluate_all(getter, combinations) for option, getter in self._getters.items()
        }

    def evaluate_one(self, combination: Combination) -> tuple[list[object], list[Diagnostic]]:
        """Return the fields of one combination, and a diagnostic for each one that cannot be made."""
        values, problems = self.base.copy(), []
        for option, getter in self._getters.items():
            try:
                values[POSITIONS[FIELDS[option]]] = getter(combination)
            except DiagnosticError as error:
                problems += error.diagnostics
        return values, problems

    def value(self, option: str, combination: Combination) -> object:
        """Return one option of a combination.

        Raises: DiagnosticError when its value cannot be made.
        """
        getter = self._getters.get(option)
        return getter(combination) if getter is not None else self.base[POSITIONS[FIELDS[option]]]

    def _add(self, option: Option) -> None:
        value = compile_value(option.value, option.path) if contains_mark(option.value) else None
        position = POSITIONS[FIELDS[option.name]]
        if value is not None and value.names <= {"vars"}:
            constant = value.bind(Scope({}, self.variables))(None)
            for problem in self._check(option.name, constant):
                raise DiagnosticError([relocate(problem, option.path)])
            self.base[position] = _read(option, constant)
        elif value is None:
            self.base[position] = _read(option, option.value)
        else:
            self.size += value.size
            self.names[option.name] = value.names
            self._getters[option.name] = self._compile(option, value)

    def _compile(self, option: Option, value: CompiledValue) -> Getter:
        axis = self._only_axis(value)
        if axis is None:
            return self._reader(option, value, value.bind(_CombinationScope(self)))
        scope = Scope({axis: lambda cell: cell}, self.variables)
        return self._add_column(axis, self._reader(option, value, value.bind(scope)))

    def _only_axis(self, value: CompiledValue) -> str | None:
        names = value.names - {"vars"}
        return next(iter(names)) if len(names) == 1 and names.issubset(self._axes) else None

    def compile_part(self, value: CompiledValue) -> Getter | None:
        """Return a part of an option as a column of its axis; None if it depends on more than one axis."""
        axis = self._only_axis(value)
        if axis is None:
            return None
        return self._add_column(axis, value.make(Scope({axis: lambda cell: cell}, self.variables)))

    def _add_column(self, axis: str, value_of: Getter) -> Getter:
        columns = self.columns.setdefault(axis, [])
        columns.append(_keep_failures(value_of))
        return _ColumnGetter(self.axis_positions[axis], COLUMNS + len(columns) - 1)

    def _reader(self, option: Option, value: CompiledValue, value_of: Getter) -> Getter:
        if option.name in ("args", "kwargs") and not isinstance(option.value, str):
            return value_of  # its shape is as written, and any JSON value fits inside
        if option.name in TEXT_OPTIONS and value.is_text:
            return value_of

        def read(combination: object) -> object:
            found = value_of(combination)
            if problems := self._check(option.name, found):
                raise DiagnosticError([relocate(problem, option.path) for problem in problems])
            return _read(option, found)

        return read


def _read(option: Option, value: object) -> object:
    """Return an option's value in the unit of its field.

    Raises: DiagnosticError for a duration or a time that cannot be read.
    """
    if value is None:
        return EMPTY.get(option.name, DEFAULT_SPEC[POSITIONS[FIELDS[option.name]]])
    if (time := TIME_OPTIONS.get(option.name)) is None:
        return read_plain_option(option.name, value)
    try:
        return time.parse(value)
    except ValueError as error:
        message = f"`{option.name}`: {error}"
        raise DiagnosticError([make_diagnostic(time.code, message, option.path)]) from None


class _CombinationScope(Scope):
    """Binds names to cells of a combination; a part that depends on one axis becomes a column of it."""

    def __init__(self, options: CompiledOptions) -> None:
        getters = {name: _cell_getter(position) for name, position in options.axis_positions.items()}
        super().__init__(getters, options.variables)
        self._options = options

    def hoist(self, value: CompiledValue) -> Getter | None:
        return self._options.compile_part(value)


class _Failure(NamedTuple):
    """Why a column has no value in a place."""

    error: DiagnosticError


def _keep_failures(value_of: Getter) -> Column:
    """Return failures as values: a combination whose failed value is excluded is not a problem."""

    def column(value: object) -> object:
        try:
            return value_of(value)
        except DiagnosticError as error:
            return _Failure(error)

    return column


def _cell_getter(position: int) -> Getter:
    return lambda combination: combination[position][0]


class _ColumnGetter:
    """Reads a column of an axis from one combination, or from many."""

    def __init__(self, position: int, column: int) -> None:
        self._position, self._column = position, column

    def __call__(self, combination: Combination) -> object:
        return self.of_all([combination])[0]

    def of_all(self, combinations: Sequence[Combination]) -> list[object]:
        position, column = self._position, self._column
        values = [combination[position][column] for combination in combinations]
        if _Failure in {*map(type, values)}:
            raise next(value.error for value in values if type(value) is _Failure)
        return values
