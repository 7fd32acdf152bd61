"""Resolve the variables of a manifest: the values written in it and those given on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from ..core.canonical_json import canonical_json
from ..core.errors import UsageError
from ..core.portable_json import read_json
from ..core.suggest import did_you_mean
from ..expressions.filters import FILTERS, OutOfRange

_KINDS = {str: "text", bool: "true or false", list: "a list", dict: "a map"}


class Given(NamedTuple):
    """Values given on the command line; `texts` take precedence."""

    texts: Mapping[str, str] = {}  # of `--var name=value`
    values: Mapping[str, object] = {}  # of `--vars-file`


class Variables(NamedTuple):
    """The variables of a manifest, resolved."""

    values: dict[str, object]
    missing: frozenset[str]  # declared as null, and not given


def resolve_variables(declared: Mapping[str, object], given: Given) -> Variables:
    """Return the value of each declared variable; a text is converted to the type of the default.

    Raises: UsageError for a value of another type than the default's.
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
                    f"expected {_kind(default)} for the variable `{name}`, found {_found(value)} in the "
                    "variables file",
                    "write it as in the manifest: text in quotes, numbers without quotes",
                )
        values[name] = value
    missing = frozenset(name for name, value in values.items() if value is None)
    return Variables({name: value for name, value in values.items() if value is not None}, missing)


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a number")


def _found(value: object) -> str:
    return f"`{canonical_json(value)}`" if isinstance(value, bool) else _kind(value)


def _convert(name: str, text: str, default: object) -> object:
    if default is None or isinstance(default, str):
        return text
    why = f"expected {_kind(default)}"
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
            return int(FILTERS["int"].make()(text))
    return float(FILTERS["float"].make()(text))


def check_given(given: Given, declared: set[str]) -> list[str]:
    """Return the names in the variables file that no manifest declares.

    Raises: UsageError when `--var` sets a variable that no manifest declares.
    """
    for name in given.texts:
        if name not in declared:
            raise UsageError(
                f"no manifest declares the variable `{name}`", did_you_mean(name, sorted(declared))
            )
    return sorted(set(given.values) - declared)
