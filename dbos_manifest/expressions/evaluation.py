"""Evaluate parsed expressions, as functions of a combination of axis values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.suggest import did_you_mean
from ..core.work_budget import spend_bytes
from .filters import MAX_TEXT, UNSET, Function, text_of
from .syntax import Expression, ExpressionError, Part, Template

_SHORT_TEXT = 1_000  # whose work is that of any evaluation
Getter = Callable[[Any], Any]
"""Returns a value for a combination. Only the functions that scopes provide look inside a combination."""


def bind_template(template: Template, getters: Mapping[str, Getter], *, text: bool = False) -> Getter:
    """Return the function that evaluates a template.

    Shape:  the value of a single expression keeps its type, unless `text`; otherwise all pieces are joined.
    Raises: ExpressionError for an unknown name; the returned function, for a value that does not fit.
    """
    if len(template.pieces) == 1 and isinstance(template.pieces[0], Expression) and not text:
        return _bind(template.pieces[0], getters)
    pieces = [piece if isinstance(piece, str) else _as_text(piece, getters) for piece in template.pieces]

    def join(combination: object) -> str:
        text = "".join([piece if isinstance(piece, str) else piece(combination) for piece in pieces])
        if len(text) > MAX_TEXT:
            last = template.expressions[-1]
            raise last.error(
                "expression-value", f"the text is longer than {MAX_TEXT:,} characters", last.path[0]
            )
        return text

    return join


def _as_text(expression: Expression, getters: Mapping[str, Getter]) -> Getter:
    value_of = _bind(expression, getters)

    def text(combination: object) -> str:
        value = value_of(combination)
        if value.__class__ is str:
            return value
        try:
            return text_of(value)
        except ValueError as error:
            last = (expression.filters or expression.path)[-1]
            raise expression.error("expression-value", str(error), last) from None

    return text


def _bind(expression: Expression, getters: Mapping[str, Getter]) -> Getter:
    root, *steps = expression.path
    getter = getters.get(root.name)
    if getter is None:
        message = f"unknown name `{root.name}`"
        raise expression.error("unknown-name", message, root, did_you_mean(root.name, getters))
    if root.name == "vars":
        _check_variable(expression, getter(None))
    with_default = bool(expression.filters) and expression.filters[0].name == "default"
    if not steps and not expression.filters:
        return _require_set(getter, expression)

    def evaluate(combination: object) -> object:
        value = root = getter(combination)
        for step in steps:
            value = _step_into(value, step, expression)
        if value is UNSET and not with_default:
            raise _not_set(expression, root)
        return _apply_filters(value, expression)

    return evaluate


def _check_variable(expression: Expression, variables: Mapping[str, object]) -> None:
    if expression.variable not in variables:
        part = expression.path[-1 if len(expression.path) == 1 else 1]
        name = expression.variable
        message = f"unknown variable `{name}`" if name is not None else "`vars` needs a name: `vars.start`"
        raise expression.error("unknown-name", message, part, did_you_mean(name or "", variables))


def _require_set(getter: Getter, expression: Expression) -> Getter:
    def value_of(combination: object) -> object:
        value = getter(combination)
        if value is UNSET:
            raise _not_set(expression, value)
        return value

    return value_of


def _not_set(expression: Expression, root: object) -> ExpressionError:
    """Return the error for a path without a value, at the first step that has none."""
    value, shown = root, expression.root
    for step in expression.path[1:]:
        if value is UNSET or (below := _step_into(value, step, expression)) is UNSET:
            break
        value = below
        shown += f".{step.name}" if step.name == step.value else f"[{step.name}]"
    else:
        step = expression.path[-1]
    if value is UNSET:
        message, help = f"`{shown}` is not set here", "append `| default(…)` to give it a value"
    elif isinstance(value, dict):
        kind = "column" if shown == expression.root else "key"
        message = f"there is no {kind} `{step.value}` in `{shown}`"
        help = did_you_mean(str(step.value), value)
    else:
        count = len(value) if isinstance(value, list) else 0
        message, help = f"`{shown}` has {count} items, but no `[{step.value}]`", "the first item is `[0]`"
    return expression.error("expression-value", message, step, help)


def _step_into(value: object, step: Part, expression: Expression) -> object:
    if value is UNSET:
        return UNSET
    if isinstance(value, dict) and isinstance(step.value, str):
        return value.get(step.value, UNSET)
    if isinstance(value, list) and isinstance(step.value, int):
        return value[step.value] if -len(value) <= step.value < len(value) else UNSET
    what = "a list" if isinstance(value, list) else "a map" if isinstance(value, dict) else "a single value"
    raise expression.error("expression-value", f"{what} has no `{step.name}`", step)


def _apply_filters(value: object, expression: Expression) -> object:
    for part in expression.filters:
        function: Function = part.value
        try:
            if value is None and part.name not in ("default", "json"):
                raise ValueError(f"{part.name} needs a value, found null: put `default(…)` before it")
            value = function(value)
        except ValueError as error:
            raise expression.error("expression-value", str(error), part) from None
        if isinstance(value, str) and len(value) > _SHORT_TEXT:
            spend_bytes(len(value))
            if len(value) > MAX_TEXT:
                message = f"the text is longer than {MAX_TEXT:,} characters"
                raise expression.error("expression-value", message, part)
        if isinstance(value, float) and value - value != 0:
            raise expression.error("expression-value", "the number is out of range", part)
    return value
