"""What a manifest's `vars` are in this call: the values written in it, and those given from outside."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ..core.errors import UsageError
from ..core.portable_json import read_json
from ..core.suggest import did_you_mean
from ..expressions.filters import FILTERS, OutOfRange

_KINDS = {str: "text", bool: "true or false", list: "a list", dict: "a map"}


class Given(NamedTuple):
    """Values from outside: texts of `--var name=value`, which stand over those of `--vars-file`."""

    texts: Mapping[str, str] = {}
    values: Mapping[str, Any] = {}


class Variables(NamedTuple):
    values: dict[str, Any]
    missing: frozenset[str]  # written as null, and not given


def resolve_variables(declared: Mapping[str, Any], given: Given) -> Variables:
    """The value of each declared variable: a text becomes of the kind that its default has.

    Raises: UsageError for a value of another kind than the default's.
    """
    values = {}
    for name, default in declared.items():
        value = default
        if name in given.texts:
            value = _convert(name, given.texts[name], default)
        elif name in given.values:
            value = given.values[name]
            if default is not None and value is not None and _kind(value) != _kind(default):
                raise UsageError(
                    f"the variable `{name}` is {_kind(value)} in the variables file, and {_kind(default)} "
                    "in the manifest",
                    "write it as the manifest does: text in quotes, numbers without",
                )
        values[name] = value
    missing = frozenset(name for name, value in values.items() if value is None)
    return Variables({name: value for name, value in values.items() if value is not None}, missing)


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a number")


def _convert(name: str, text: str, default: Any) -> Any:
    if default is None or isinstance(default, str):
        return text
    why = f"`{name}` is {_kind(default)}"
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, (int, float)):
            return _convert_number(text, whole=isinstance(default, int))
        value, problems = read_json(text)
        if not problems and type(value) is type(default):
            return value
        why = problems[0][1] if problems else why
    except OutOfRange as error:
        why = str(error)
    except (ValueError, KeyError):
        pass
    hint = " as JSON" if isinstance(default, (list, dict)) else ""
    raise UsageError(f"--var {name}={text[:60]}: {why}", f"write {_kind(default)}{hint}")


def _convert_number(text: str, *, whole: bool) -> int | float:
    with suppress(ValueError):
        if whole:
            return FILTERS["int"].make()(text)  # type: ignore[no-any-return]
    return FILTERS["float"].make()(text)  # type: ignore[no-any-return]


def check_given(given: Given, declared: set[str]) -> list[str]:
    """Names of the variables file that no manifest declares.

    Raises: UsageError when `--var` sets one that no manifest declares.
    """
    for name in given.texts:
        if name not in declared:
            raise UsageError(f"no manifest has a variable `{name}`", did_you_mean(name, sorted(declared)))
    return sorted(set(given.values) - declared)
