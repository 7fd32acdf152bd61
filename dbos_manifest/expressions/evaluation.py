"""Evaluate parsed expressions: functions that give an expression's value for a combination of axis values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.suggest import did_you_mean
from .filters import MAX_TEXT, UNSET, Function, text_of
from .syntax import Expression, ExpressionError, Part, Template

Getter = Callable[[Any], Any]
"""A function of a combination, which this module never looks into."""


def bind_template(template: Template, getters: Mapping[str, Getter], *, text: bool = False) -> Getter:
    """A template as a function of a combination: one expression keeps its type, else all become one text.

    With `text`, a single expression becomes text too.

    Raises: ExpressionError, at once for a name without a getter, when called for a value that does not fit.
    """
    if len(template.pieces) == 1 and isinstance(template.pieces[0], Expression) and not text:
        return _bind(template.pieces[0], getters)
    pieces = [piece if isinstance(piece, str) else _as_text(piece, getters) for piece in template.pieces]

    def join(combination: Any) -> str:
        text = "".join([piece if isinstance(piece, str) else piece(combination) for piece in pieces])
        if len(text) > MAX_TEXT:
            last = template.expressions[-1]
            raise last.error(
                "expression-value", f"the text has more than {MAX_TEXT:,} characters", last.path[0]
            )
        return text

    return join


def _as_text(expression: Expression, getters: Mapping[str, Getter]) -> Getter:
    value_of = _bind(expression, getters)

    def text(combination: Any) -> str:
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
        message = f"there is no `{root.name}` here"
        raise expression.error("unknown-name", message, root, did_you_mean(root.name, getters))
    if root.name == "vars":
        _check_variable(expression, getter(None))
    with_default = bool(expression.filters) and expression.filters[0].name == "default"
    if not steps and not expression.filters:
        return _set_only(getter, expression)

    def evaluate(combination: Any) -> Any:
        value = root = getter(combination)
        for step in steps:
            value = _step_into(value, step, expression)
        if value is UNSET and not with_default:
            raise _not_set(expression, root)
        return _filtered(value, expression)

    return evaluate


def _check_variable(expression: Expression, variables: Mapping[str, Any]) -> None:
    if expression.variable not in variables:
        part = expression.path[-1 if len(expression.path) == 1 else 1]
        name = expression.variable
        message = "`vars` needs a name: `vars.start`" if name is None else f"there is no variable `{name}`"
        raise expression.error("unknown-name", message, part, did_you_mean(name or "", variables))


def _set_only(getter: Getter, expression: Expression) -> Getter:
    def value_of(combination: Any) -> Any:
        value = getter(combination)
        if value is UNSET:
            raise _not_set(expression, value)
        return value

    return value_of


def _not_set(expression: Expression, root: Any) -> ExpressionError:
    """The error for a path that leads to nothing, at the step that is not there."""
    value, shown = root, expression.root
    for step in expression.path[1:]:
        if value is UNSET or (below := _step_into(value, step, expression)) is UNSET:
            break
        value = below
        shown += f".{step.name}" if step.name == step.value else f"[{step.name}]"
    else:
        step = expression.path[-1]
    if value is UNSET:
        message, help = f"`{shown}` is not set here", "write `| default(…)` for where it is not"
    elif isinstance(value, dict):
        kind = "column" if shown == expression.root else "key"
        message, help = (
            f"there is no {kind} `{step.value}` in `{shown}`",
            did_you_mean(str(step.value), value),
        )
    else:
        message, help = f"`{shown}` has {len(value)} items, so no `[{step.value}]`", "the first item is `[0]`"
    return expression.error("expression-value", message, step, help)


def _step_into(value: Any, step: Part, expression: Expression) -> Any:
    if value is UNSET:
        return UNSET
    if isinstance(value, dict) and isinstance(step.value, str):
        return value.get(step.value, UNSET)
    if isinstance(value, list) and isinstance(step.value, int):
        return value[step.value] if -len(value) <= step.value < len(value) else UNSET
    what = "a list" if isinstance(value, list) else "a map" if isinstance(value, dict) else "a single value"
    raise expression.error("expression-value", f"{what} has no `{step.name}`", step)


def _filtered(value: Any, expression: Expression) -> Any:
    for part in expression.filters:
        function: Function = part.value
        try:
            if value is None and part.name not in ("default", "json"):
                raise ValueError(f"{part.name} needs a value, found null: put `default(…)` before it")
            value = function(value)
        except ValueError as error:
            raise expression.error("expression-value", str(error), part) from None
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise expression.error(
                "expression-value", f"the text has more than {MAX_TEXT:,} characters", part
            )
        if isinstance(value, float) and value - value != 0:
            raise expression.error("expression-value", "the number is out of range", part)
    return value
