"""The filters of expressions. Each makes a function of one value, and has a tested example."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from typing import Any, NamedTuple

from ..core.canonical_json import canonical_json
from ..core.dates import add_step, check_directives, format_by, format_moment, parse_moment, parse_step

MAX_TEXT = 2**20  # characters of any result
MAX_DIGITS = 1000
MAX_PAD = 1000


class _Unset:
    __slots__ = ()

    def __repr__(self) -> str:
        return "unset"


UNSET = _Unset()
"""The value of a name without a value in a combination."""

Function = Callable[[Any], Any]
_INTEGER = re.compile(rf"[-+]?[0-9]{{1,{MAX_DIGITS}}}", re.ASCII)
_NUMBER = re.compile(r"[-+]?[0-9]{1,400}(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,4})?", re.ASCII)


class OutOfRange(ValueError):
    """A number that is valid JSON but too large for a float."""


class Filter(NamedTuple):
    """A filter. `make` returns its function for the arguments in parentheses.

    Raises: ValueError for invalid arguments.
    """

    make: Callable[..., Function]
    parameters: tuple[str, ...]  # names that end in `?` are optional
    summary: str
    example: tuple[str, Any, Any]  # expression that uses `x`, the value of `x`, the result


def text_of(value: object) -> str:
    """Return a value as part of a text: text unchanged, numbers and booleans as JSON.

    Raises: ValueError for null, lists and maps.
    """
    if isinstance(value, str):
        return value
    if value is None or value is UNSET:
        raise ValueError("null cannot be inserted into text: append `| default('…')`")
    if isinstance(value, (list, dict)):
        raise ValueError(
            f"{_kind(value)} cannot be inserted into text: use one of its values, or append `| json`"
        )
    return canonical_json(value)


def _kind(value: object) -> str:
    kinds = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "a map",
    }
    return "null" if value is None else kinds.get(type(value), "a value")


def _take_text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"`{name}` expects text, found {_kind(value)}: put `str` before it")
    return value


def _text_filter(name: str, change: Callable[[str], str]) -> Callable[[], Function]:
    return lambda: lambda value: change(_take_text(value, name))


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def _make_strftime(pattern: object) -> Function:
    if not isinstance(pattern, str):
        raise ValueError("`strftime` expects a pattern in quotes, such as '%Y%m%d'")
    check_directives(pattern)
    return lambda value: format_by(parse_moment(value), pattern)


def _make_shift(name: str, sign: int) -> Callable[[object], Function]:
    def make(amount: object) -> Function:
        if isinstance(amount, str):
            step = parse_step(amount).times(sign)

            def shift(value: object) -> str:
                if not isinstance(value, str):
                    raise ValueError(f"`{name}('{amount}')` expects a date, found {_kind(value)}")
                return format_moment(add_step(parse_moment(value), step), zulu=value[-1:] in "Zz")

            return shift
        if isinstance(amount, bool) or not isinstance(amount, (int, float)):
            raise ValueError(f"`{name}` expects a number, or a step in quotes, such as '1d'")

        def count(value: object) -> float:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"`{name}({amount})` expects a number, found {_kind(value)}")
            return value + sign * amount

        return count

    return make


def _to_int(value: object) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"{_shown(value)} is not a whole number")


def _to_float(value: object) -> float:
    is_number = _NUMBER.fullmatch(value) if isinstance(value, str) else type(value) in (int, float)
    if is_number and isinstance(value, (str, int, float)):
        with suppress(OverflowError):
            if isfinite(number := float(value)):
                return number
        raise OutOfRange(f"{_shown(value)} is out of range: the largest number is about 1.8e308")
    raise ValueError(f"{_shown(value)} is not a number")


def _make_replace(old: object, new: object) -> Function:
    if not isinstance(old, str) or not isinstance(new, str) or not old:
        raise ValueError("`replace` expects two strings in quotes, the first not empty")

    def replace(value: object) -> str:
        text = _take_text(value, "replace")
        if len(text) + text.count(old) * (len(new) - len(old)) > MAX_TEXT:
            raise ValueError(f"the result is longer than {MAX_TEXT:,} characters")
        return text.replace(old, new)

    return replace


def _make_pad(width: object, fill: object = "0") -> Function:
    if isinstance(width, bool) or not isinstance(width, (int, float)) or width not in range(MAX_PAD + 1):
        raise ValueError(f"`pad` expects a width from 0 to {MAX_PAD}")
    if not isinstance(fill, str) or len(fill) != 1:
        raise ValueError("`pad` expects a single character to pad with")
    return lambda value: text_of(value).rjust(int(width), fill)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return f"`{text[:60]}{'…' if len(text) > 60 else ''}`"


FILTERS = {
    "strftime": Filter(
        _make_strftime, ("pattern",), "a date or date-time in another format", ("x | strftime('%Y%m%d')",
        "2026-01-31", "20260131"),
    ),
    "add": Filter(
        _make_shift("add", 1), ("amount",), "a sum of numbers, or of a date and a step (y mo w d h m s)",
        ("x | add('1mo')", "2026-01-31", "2026-02-28"),
    ),
    "sub": Filter(
        _make_shift("sub", -1), ("amount",), "a difference, like `add`", ("x | sub(1)", 8, 7),
    ),
    "int": Filter(lambda: _to_int, (), "text as a whole number", ("x | int", "042", 42)),
    "float": Filter(lambda: _to_float, (), "text or a whole number as a float", ("x | float", "0.5", 0.5)),
    "str": Filter(lambda: text_of, (), "a number or boolean as text", ("x | str", 42, "42")),
    "lower": Filter(_text_filter("lower", str.lower), (), "lower case", ("x | lower", "EU", "eu")),
    "upper": Filter(_text_filter("upper", str.upper), (), "upper case", ("x | upper", "eu", "EU")),
    "slug": Filter(
        _text_filter("slug", _slug), (), "lower-case ASCII letters, digits and single hyphens",
        ("x | slug", "Zürich / Süd", "zurich-sud"),
    ),
    "replace": Filter(
        _make_replace, ("old", "new"), "text with every occurrence of `old` replaced",
        ("x | replace(':', '-')", "09:30", "09-30"),
    ),
    "default": Filter(
        lambda value: lambda given: value if given is None or given is UNSET else given, ("value",),
        "another value if the value is null or not set", ("x | default('eu')", None, "eu"),
    ),
    "json": Filter(
        lambda: canonical_json, (), "any value as JSON text", ("x | json", {"b": 1, "a": [True]},
        '{"a":[true],"b":1}'),
    ),
    "pad": Filter(
        _make_pad, ("width", "fill?"), "text padded on the left, with zeros by default",
        ("x | pad(3)", 7, "007"),
    ),
}  # fmt: skip
