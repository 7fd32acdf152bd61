"""A value as written in, with its expressions as a function of whatever they are to be a function of out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..core.columns import weigh
from ..core.diagnostic import Diagnostic, Fragment, Path, Target, make_diagnostic
from ..core.memory_budget import BUDGET
from .evaluation import Getter, bind_template
from .syntax import MARK, ExpressionError, Template, parse_template

_ESCAPED_MARK = re.compile(r"\$\$\{\{")


class Unfit(Exception):
    """Values for which an option cannot be made, with what to say about it."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__(diagnostics)
        self.diagnostics = diagnostics


class TooHeavy(Exception):
    """Values that are not to be held together."""


class Scope:
    """What names mean for a value that is bound: functions of whatever the result is to be a function of."""

    def __init__(self, getters: Mapping[str, Getter], variables: Mapping[str, Any]) -> None:
        self.getters = {**getters, "vars": lambda _: variables}

    def hoist(self, value: Value) -> Getter | None:
        """A cheaper way to the same value, if this scope knows one."""
        return None


class Value(NamedTuple):
    """A value with expressions in it, `size` of them."""

    size: int
    names: frozenset[str]
    make: Callable[[Scope], Getter]
    is_text: bool = False  # whatever the expressions give

    def bind(self, scope: Scope) -> Getter:
        """The value as a function. Raises: Unfit for a name that the scope does not have."""
        return scope.hoist(self) or self.make(scope)


def contains_mark(value: Any) -> bool:
    """Whether there may be an expression in it; exact but for keys, and at C speed."""
    return MARK in (value if isinstance(value, str) else repr(value)) if value is not None else False


def compile_value(raw: Any, path: Path) -> Value | None:
    """A value's expressions, None for a value without any.

    Raises: Unfit with every expression that cannot be read.
    """
    found: list[Diagnostic] = []
    value = _compile(raw, path, found)
    if found:
        raise Unfit(found)
    return value


def _compile(raw: Any, path: Path, found: list[Diagnostic]) -> Value | None:
    if isinstance(raw, str):
        return _compile_text(raw, path, found) if MARK in raw else None
    if isinstance(raw, list):
        items = [_compile(item, (*path, index), found) for index, item in enumerate(raw)]
        return _compile_list(raw, items) if any(items) else None
    if isinstance(raw, dict):
        values = {key: _compile(item, (*path, key), found) for key, item in raw.items()}
        if any(MARK in key for key in raw):
            names = {key: _read_key(key, path, found) for key in raw}
            raw = {names[key]: item for key, item in raw.items()}
            return _compile_map(raw, {names[key]: value for key, value in values.items()})
        return _compile_map(raw, values) if any(values.values()) else None
    return None


def _read_key(key: str, path: Path, found: list[Diagnostic]) -> str:
    """A key as it is meant: `$${{` is a literal `${{`, and expressions are not read in keys."""
    read = _ESCAPED_MARK.sub(MARK, key)
    if MARK in _ESCAPED_MARK.sub("", key):
        found.append(
            make_diagnostic(
                "misplaced-expression",
                "`${{ }}` is not read in a key",
                (*path, key),
                target=Target.KEY,
                help="write the expression as a value; for a literal `${{` in a key, write `$${{`",
            )
        )
    return read


def _compile_text(raw: str, path: Path, found: list[Diagnostic]) -> Value | None:
    try:
        template = parse_template(raw)
    except ExpressionError as error:
        found.append(explain(error, path))
        return None
    if len(template.pieces) == 1 or not template.names:
        return _scalar(template, path)
    parts: list[Template] = []  # each expression with the text behind it; the text before goes to the first
    for piece in template.pieces:
        if parts and (isinstance(piece, str) or not parts[-1].names):
            parts[-1] = Template((*parts[-1].pieces, piece))
        else:
            parts.append(Template((piece,)))
    return _concatenation([_scalar(part, path, text=True) for part in parts])


def _scalar(template: Template, path: Path, *, text: bool = False) -> Value:
    def make(scope: Scope) -> Getter:
        try:
            value_of = bind_template(template, scope.getters, text=text)
        except ExpressionError as error:
            raise Unfit([explain(error, path)]) from None

        def value(combination: Any) -> Any:
            try:
                return value_of(combination)
            except ExpressionError as error:
                raise Unfit([explain(error, path)]) from None

        return value

    return Value(max(1, len(template.expressions)), template.names, make)


def _concatenation(parts: list[Value]) -> Value:
    def make(scope: Scope) -> Getter:
        return _Concatenated([part.bind(scope) for part in parts])

    names = frozenset[str]().union(*(part.names for part in parts))
    return Value(sum(part.size for part in parts), names, make, is_text=True)


class _Concatenated:
    """Texts, one behind the other, as a function of a combination, or of many."""

    def __init__(self, getters: list[Getter]) -> None:
        self._getters = getters

    def __call__(self, combination: Any) -> str:
        return "".join([getter(combination) for getter in self._getters])

    def of_all(self, combinations: Sequence[Any]) -> list[str]:
        columns = [evaluate_all(getter, combinations) for getter in self._getters]
        if (
            sum(sum(map(len, column)) for column in columns) > BUDGET.evaluated_bytes
            and len(combinations) > 1
        ):
            raise TooHeavy
        return [*map("".join, zip(*columns, strict=True))]


def evaluate_all(getter: Getter, combinations: Sequence[Any]) -> list[Any]:
    """The values of many combinations; in one go, where the getter has a way to.

    Raises: TooHeavy when more than one combination makes more bytes than the memory budget allows.
    """
    of_all: Callable[[Sequence[Any]], list[Any]] | None = getattr(getter, "of_all", None)
    if of_all is not None:
        return of_all(combinations)
    out, weight, most = [], 0, BUDGET.evaluated_bytes
    for value in map(getter, combinations):
        out.append(value)
        weight += weigh(value)
        if weight > most and len(combinations) > 1:
            raise TooHeavy
    return out


def explain(error: ExpressionError, path: Path) -> Diagnostic:
    """An expression's error as a diagnostic at its own column."""
    start = error.start
    return make_diagnostic(
        error.code,
        error.message,
        path,
        help=error.help,
        fragment=Fragment(error.number, error.mark, start, max(error.end, start + 1)),
    )


def _compile_list(raw: list[Any], items: list[Value | None]) -> Value:
    varying = [(index, value) for index, value in enumerate(items) if value is not None]
    return _collection(raw, varying)


def _compile_map(raw: dict[str, Any], values: dict[str, Value | None]) -> Value:
    return _collection(raw, [(key, value) for key, value in values.items() if value is not None])


def _collection(raw: Any, varying: Sequence[tuple[Any, Value]]) -> Value:
    def make(scope: Scope) -> Getter:
        parts = [(key, value.bind(scope)) for key, value in varying]

        def fill(combination: Any) -> Any:
            out = raw.copy()
            for key, part in parts:
                out[key] = part(combination)
            return out

        return fill

    names = frozenset[str]().union(*(value.names for _, value in varying))
    return Value(sum(value.size for _, value in varying), names, make)


def resolve_constants(raw: Any, path: Path, variables: Mapping[str, Any]) -> Any:
    """A value whose expressions may name variables only.

    Raises: Unfit for others, and for a variable that has no value.
    """
    value = compile_value(raw, path) if contains_mark(raw) else None
    if value is None:
        return raw
    return value.bind(Scope({}, variables))(None)
