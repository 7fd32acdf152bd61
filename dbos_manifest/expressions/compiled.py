"""Compile values that contain expressions to functions of a combination of axis values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..core.columns import weigh
from ..core.diagnostic import Diagnostic, Fragment, ValuePath, make_diagnostic
from ..core.memory_budget import BUDGET
from ..core.work_budget import spend, spend_bytes
from .evaluation import Getter, bind_template
from .filters import MAX_TEXT
from .syntax import MARK, ExpressionError, Template, parse_template

_EXPRESSION_STEPS = 45  # of work to compile one
_ESCAPED_MARK = re.compile(r"\$\$\{\{")


class DiagnosticError(Exception):
    """A value cannot be computed. The diagnostics have the reasons."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__(diagnostics)
        self.diagnostics = diagnostics


class MemoryBudgetExceeded(Exception):
    """The values of some combinations together exceed the memory budget."""


class Scope:
    """The names that expressions may use, each with a function that returns its value for a combination."""

    def __init__(self, getters: Mapping[str, Getter], variables: Mapping[str, object]) -> None:
        self.getters = {**getters, "vars": lambda _: variables}

    def hoist(self, value: CompiledValue) -> Getter | None:
        """Return a cheaper function for the same value, if this scope has one."""
        return None


class CompiledValue(NamedTuple):
    """A compiled value."""

    size: int  # number of expressions
    names: frozenset[str]
    make: Callable[[Scope], Getter]
    is_text: bool = False  # for all values of its expressions

    def bind(self, scope: Scope) -> Getter:
        """Return a function that computes the value for a combination.

        Raises: DiagnosticError for a name that is not in the scope.
        """
        return scope.hoist(self) or self.make(scope)


def contains_mark(value: object) -> bool:
    """Return quickly whether a value may have expressions; one in a key counts too."""
    return MARK in (value if isinstance(value, str) else repr(value)) if value is not None else False


def compile_value(raw: object, path: ValuePath) -> CompiledValue | None:
    """Compile the expressions of a value; None for a value without expressions.

    Raises: DiagnosticError with every expression that cannot be parsed.
    """
    if isinstance(raw, str):
        return _compile_text(raw, path) if MARK in raw else None
    if isinstance(raw, list):
        items = _compile_items(enumerate(raw), path)
        return _collection(raw, items, path) if items else None
    if isinstance(raw, dict):
        return _compile_map(raw, path)
    return None


def _compile_items(
    items: Iterable[tuple[str | int, object]], path: ValuePath
) -> list[tuple[str | int, CompiledValue]]:
    """Compile the items of a list or a map, and return those with expressions."""
    compiled: list[tuple[str | int, CompiledValue]] = []
    problems: list[Diagnostic] = []
    for key, item in items:
        try:
            value = compile_value(item, (*path, key))
        except DiagnosticError as error:
            problems += error.diagnostics
        else:
            if value is not None:
                compiled.append((key, value))
    if problems:
        raise DiagnosticError(problems)
    return compiled


def _compile_map(raw: dict[str, object], path: ValuePath) -> CompiledValue | None:
    if not any(MARK in key for key in raw):
        items = _compile_items(raw.items(), path)
        return _collection(raw, items, path) if items else None
    problems = [_misplaced(key, path) for key in raw if MARK in _ESCAPED_MARK.sub("", key)]
    try:
        items = _compile_items(raw.items(), path)
    except DiagnosticError as error:
        raise DiagnosticError([*error.diagnostics, *problems]) from None
    if problems:
        raise DiagnosticError(problems)
    names = {key: _ESCAPED_MARK.sub(MARK, key) for key in raw}
    unescaped = {names[key]: item for key, item in raw.items()}
    return _collection(unescaped, [(names[str(key)], value) for key, value in items], path)


def _misplaced(key: str, path: ValuePath) -> Diagnostic:
    return make_diagnostic(
        "misplaced-expression",
        "`${{ }}` is not evaluated in a key",
        (*path, key),
        at_key=True,
        help="write the expression as a value; for a literal `${{` in a key, write `$${{`",
    )


def _compile_text(raw: str, path: ValuePath) -> CompiledValue:
    spend(_EXPRESSION_STEPS * raw.count(MARK))
    try:
        template = parse_template(raw)
    except ExpressionError as error:
        raise DiagnosticError([_to_diagnostic(error, path)]) from None
    if len(template.pieces) == 1 or not template.names:
        return _scalar(template, path)
    parts: list[Template] = []  # each expression with the text after it; the first also with the text before
    for piece in template.pieces:
        if parts and (isinstance(piece, str) or not parts[-1].names):
            parts[-1] = Template((*parts[-1].pieces, piece))
        else:
            parts.append(Template((piece,)))
    return _concatenation([_scalar(part, path, text=True) for part in parts], path)


def _scalar(template: Template, path: ValuePath, *, text: bool = False) -> CompiledValue:
    def make(scope: Scope) -> Getter:
        try:
            value_of = bind_template(template, scope.getters, text=text)
        except ExpressionError as error:
            raise DiagnosticError([_to_diagnostic(error, path)]) from None

        def value(combination: object) -> object:
            try:
                return value_of(combination)
            except ExpressionError as error:
                raise DiagnosticError([_to_diagnostic(error, path)]) from None

        return value

    return CompiledValue(max(1, len(template.expressions)), template.names, make)


def _concatenation(parts: list[CompiledValue], path: ValuePath) -> CompiledValue:
    def make(scope: Scope) -> Getter:
        return _Concatenated([part.bind(scope) for part in parts], path)

    names = frozenset[str]().union(*(part.names for part in parts))
    return CompiledValue(sum(part.size for part in parts), names, make, is_text=True)


class _Concatenated:
    """Concatenated texts, as a function of one combination or of many."""

    def __init__(self, getters: list[Getter], path: ValuePath) -> None:
        self._getters = getters
        self._path = path

    def __call__(self, combination: object) -> str:
        return self.of_all([combination])[0]

    def of_all(self, combinations: Sequence[object]) -> list[str]:
        columns: list[list[str]] = []
        made = 0
        most = BUDGET.evaluated_bytes if len(combinations) > 1 else MAX_TEXT
        for getter in self._getters:
            columns.append(column := evaluate_all(getter, combinations))
            made += sum(map(len, column))
            if made > most:
                spend_bytes(made)
                raise MemoryBudgetExceeded if len(combinations) > 1 else self._too_long()
        spend_bytes(made)
        texts = [*map("".join, zip(*columns, strict=True))]
        if made > MAX_TEXT and max(map(len, texts)) > MAX_TEXT:
            raise self._too_long()
        return texts

    def _too_long(self) -> DiagnosticError:
        message = f"the text is longer than {MAX_TEXT:,} characters"
        return DiagnosticError([make_diagnostic("expression-value", message, self._path)])


def evaluate_all(getter: Getter, combinations: Sequence[object]) -> list[Any]:
    """Return the values for many combinations; in one call if the getter has a method for it.

    Raises: MemoryBudgetExceeded if the values of more than one combination exceed the memory budget.
    """
    of_all: Callable[[Sequence[object]], list[Any]] | None = getattr(getter, "of_all", None)
    if of_all is not None:
        return of_all(combinations)
    out, weight, most = [], 0, BUDGET.evaluated_bytes
    for value in map(getter, combinations):
        out.append(value)
        weight += weigh(value)
        if weight > most and len(combinations) > 1:
            spend_bytes(weight)
            raise MemoryBudgetExceeded
    spend_bytes(weight)
    return out


def _to_diagnostic(error: ExpressionError, path: ValuePath) -> Diagnostic:
    """Convert an error to a diagnostic at the column of the expression."""
    start = error.start
    fragment = Fragment(error.number, error.mark, start, max(error.end, start + 1))
    found = make_diagnostic(error.code, error.message, path, help=error.help)
    return replace(found, fragment=fragment)


def _collection(
    raw: Any, varying: Sequence[tuple[str | int, CompiledValue]], path: ValuePath
) -> CompiledValue:
    size = sum(value.size for _, value in varying)
    may_be_large = size * MAX_TEXT > BUDGET.held_bytes

    def make(scope: Scope) -> Getter:
        parts = [(key, value.bind(scope)) for key, value in varying]

        def fill(combination: object) -> object:
            out = raw.copy()
            for key, part in parts:
                out[key] = part(combination)
            return out

        def fill_and_weigh(combination: object) -> object:
            out, weight = raw.copy(), 0
            for key, part in parts:
                out[key] = value = part(combination)
                weight += weigh(value)
                if weight > BUDGET.held_bytes:
                    message = f"the value is larger than {BUDGET.held_bytes:,} bytes"
                    raise DiagnosticError([make_diagnostic("too-large", message, path)])
            return out

        return fill_and_weigh if may_be_large else fill

    names = frozenset[str]().union(*(value.names for _, value in varying))
    return CompiledValue(size, names, make)


def resolve_constants(raw: Any, path: ValuePath, variables: Mapping[str, object]) -> Any:
    """Compute a value whose expressions use only variables; return a value without expressions unchanged.

    Raises: DiagnosticError for another name, and for a variable without a value.
    """
    value = compile_value(raw, path) if contains_mark(raw) else None
    if value is None:
        return raw
    return value.bind(Scope({}, variables))(None)
