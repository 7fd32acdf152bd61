"""Find where values are in a text. Positions are not kept while reading: only diagnostics need them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from ..core.diagnostic import Fragment, Span, ValuePath
from ..core.lines import LineIndex
from ..core.portable_json import find_ranges


class Place(NamedTuple):
    """The position of a value and of its key in a text."""

    key: Span | None  # None if the value is not in a map
    value: Span
    start: int = 0  # offsets of the value in the text
    end: int = 0
    exact: bool = True  # False: the position of the nearest ancestor


def add_ancestors(places: Mapping[ValuePath, Place], wanted: Collection[ValuePath]) -> dict[ValuePath, Place]:
    """Return the places with those of wanted paths that have none: the places of their nearest ancestors."""
    found = dict(places)
    for path in wanted:
        near = path
        while near and near not in places:
            near = near[:-1]
        if near in places:
            found[path] = places[near]._replace(exact=near == path)
    return found


def find_json_places(text: str, file: str, wanted: Collection[ValuePath]) -> dict[ValuePath, Place]:
    """Find the place of each path in JSON text; a path without a value gets that of its nearest ancestor."""
    lines = LineIndex(text)
    needed = {path[:length] for path in wanted for length in range(len(path) + 1)}
    places = {
        path: Place(
            make_span(lines, file, *key) if key is not None else None, make_span(lines, file, *value), *value
        )
        for path, (key, value) in find_ranges(text, needed).items()
    }
    return add_ancestors(places, wanted)


def make_span(lines: LineIndex, file: str, start: int, end: int) -> Span:
    """Make the span of a part of the text, cut off at the end of its first line."""
    line, column = lines.position(start)
    end_line, end_column = lines.position(end)
    if end_line != line:
        end_column = max(lines.end_of_line(line), column + 1)
    return Span(file, line, column, line, end_column)


def find_fragment(text: str, file: str, place: Place, fragment: Fragment, lines: LineIndex) -> Span:
    """Find the span of a part of a scalar, by its distance from a marker that is both in scalar and text."""
    sign = fragment.sign
    at = place.start
    for _ in range(fragment.expression + 1):
        at = text.find(sign, at, place.end)
        if at < 0:
            return place.value
        at += len(sign)
    start = min(at - len(sign) + fragment.start - fragment.mark, place.end)
    line, column = lines.position(start)
    return Span(file, line, column, line, column + max(1, fragment.end - fragment.start))
