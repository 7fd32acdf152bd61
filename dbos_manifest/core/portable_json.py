"""Read JSON text, and find what is not portable JSON together with its position in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any, NamedTuple

from .diagnostic import ValuePath

MAX_DEPTH = 100
MAX_DIGITS = 1000
Range = tuple[int, int]
"""A part of a text: offsets in code points, the end exclusive."""

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
_WORD = re.compile(r"true|false|null|NaN|-?Infinity")
_SURROGATE = re.compile("[\ud800-\udfff]")
_INFINITIES = (float("inf"), float("-inf"))
_decode_value = json.JSONDecoder().raw_decode


class JsonProblem(NamedTuple):
    """A part of a text that is not portable JSON."""

    code: str
    message: str
    path: ValuePath
    range: Range
    help: str | None = None
    first: Range | None = None  # of a duplicate key: its first use


class ValueRange(NamedTuple):
    """The position of a value, and of its key if it is in an object."""

    key: Range | None
    value: Range


def read_json(text: str) -> tuple[Any, list[JsonProblem]]:
    """Read JSON text. If there are problems, do not use the value.

    Raises: json.JSONDecodeError with line and column for text that is not JSON at all.
    """
    suspect = False

    def take_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal suspect
        out = dict(pairs)
        suspect = suspect or len(out) != len(pairs)
        return out

    def refuse_constant(name: str) -> None:
        nonlocal suspect
        suspect = True

    data = None
    try:
        data = json.loads(text, object_pairs_hook=take_object, parse_constant=refuse_constant)
        json.dumps(data, allow_nan=False, ensure_ascii=False).encode()
    except json.JSONDecodeError:
        raise
    except (RecursionError, ValueError):  # also: a lone surrogate, thousands of digits, a float beyond 1e308
        suspect = True
    suspect = suspect or _deeper_than(data, MAX_DEPTH) or ("\\u0000" in text and _has_nul(data))
    return data, _Scanner(text).scan().problems if suspect else []


def find_ranges(text: str, paths: Collection[ValuePath]) -> dict[ValuePath, ValueRange]:
    """Find the values at some paths of a JSON text; a path without a value is left out."""
    return _Scanner(text, paths).scan().ranges


class _Scanner:
    """Reads JSON text value by value to find positions and problems, much more slowly than `read_json`."""

    def __init__(self, text: str, wanted: Collection[ValuePath] = ()) -> None:
        self._text = text
        self._wanted = wanted
        self.problems: list[JsonProblem] = []
        self.ranges: dict[ValuePath, ValueRange] = {}

    def scan(self) -> _Scanner:
        """Read the whole text. There is at least one problem if it is not JSON."""
        try:
            self._value(self._skip(0), (), None)
        except _TooDeep:
            pass  # already a problem, and the rest is not read
        except (IndexError, ValueError):
            self._note("yaml-syntax", "not JSON", (), (0, 1))
        return self

    def _note(
        self,
        code: str,
        message: str,
        path: ValuePath,
        at: Range,
        help: str | None = None,
        first: Range | None = None,
    ) -> None:
        self.problems.append(JsonProblem(code, message, path, at, help, first))

    def _skip(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        assert match is not None
        return match.end()

    def _value(self, at: int, path: ValuePath, key: Range | None) -> int:
        first = self._text[at]
        if first in "{[" and len(path) >= MAX_DEPTH:
            self._note("too-large", f"values are nested more than {MAX_DEPTH} deep", path, (at, at + 1))
            raise _TooDeep
        if first == '"':
            end = self._string(at, path)[1]
        elif first == "{":
            end = self._object(at, path)
        elif first == "[":
            end = self._list(at, path)
        else:
            end = self._atom(at, path)
        if path in self._wanted:
            self.ranges[path] = ValueRange(key, (at, end))
        return end

    def _string(self, at: int, path: ValuePath) -> tuple[str, int]:
        if self._text[at] != '"':
            raise ValueError("expected a string")
        text, end = _decode_value(self._text, at)
        if "\0" in text:
            message = "text contains a NUL character, which databases cannot store"
            self._note("not-portable", message, path, (at, end))
        elif not text.isascii() and _SURROGATE.search(text):
            message = "text contains a lone surrogate, which is not valid Unicode"
            self._note("not-portable", message, path, (at, end))
        return text, end

    def _atom(self, at: int, path: ValuePath) -> int:
        match = _WORD.match(self._text, at) or _NUMBER.match(self._text, at)
        if match is None:
            raise ValueError("expected a JSON value")
        word, end = match[0], match.end()
        if word[-1] in "Ny":
            help = "write it in quotes, or remove it"
            self._note("not-portable", f"JSON has no `{word}`", path, (at, end), help)
        elif len(word) > MAX_DIGITS or (word[-1] in "0123456789" and float(word) in _INFINITIES):
            shown = word if len(word) <= 40 else f"{word[:40]}…"
            message = f"{shown} is out of range for a number"
            self._note("not-portable", message, path, (at, end), "write it in quotes")
        return end

    def _list(self, at: int, path: ValuePath) -> int:
        at, index = self._skip(at + 1), 0
        if self._text[at] == "]":
            return at + 1
        while True:
            at = self._skip(self._value(at, (*path, index), None))
            if self._text[at] == "]":
                return at + 1
            at, index = self._skip(at + 1), index + 1

    def _object(self, at: int, path: ValuePath) -> int:
        at = self._skip(at + 1)
        seen: dict[str, Range] = {}
        while self._text[at] != "}":
            name, end = self._string(at, path)
            here, below = (at, end), (*path, name)
            if name in seen:
                message = f"`{name}` occurs twice in a map"
                self._note("duplicate-key", message, below, here, "keep one of the two", seen[name])
            colon = self._skip(end)
            end = self._skip(self._value(self._skip(colon + 1), below, here))
            seen.setdefault(name, here)
            at = self._skip(end + 1) if self._text[end] == "," else end
        return at + 1


class _TooDeep(Exception):
    pass


def _deeper_than(value: object, depth: int) -> bool:
    level = [value]
    for _ in range(depth + 1):
        level = [
            item
            for part in level
            if isinstance(part, (dict, list))
            for item in (part.values() if isinstance(part, dict) else part)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))
