"""Paths -> places in the text, by reading it a second time, only for what is shown."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ..core.diagnostic import Fragment, Path, Span
from ..core.lines import LineIndex, find_position
from ..core.portable_json import Range, Scanner


class Place(NamedTuple):
    """Where a value and its key are in the text."""

    key: Span | None  # None for what is no map's value
    value: Span
    start: int = 0  # offsets of the value in the text
    end: int = 0
    exact: bool = True  # False: of its nearest ancestor


def add_ancestors(places: dict[Path, Place], wanted: Collection[Path]) -> dict[Path, Place]:
    """Give each wanted path that has no place the one of its nearest ancestor."""
    for path in wanted:
        near = path
        while near and near not in places:
            near = near[:-1]
        if near in places:
            places[path] = places[near]._replace(exact=near == path)
    return places


def find_json_places(text: str, file: str, wanted: Collection[Path]) -> dict[Path, Place]:
    """Find the place of each path in JSON text; a path that is not there has its nearest ancestor's."""
    lines = LineIndex(text)
    needed = {path[:length] for path in wanted for length in range(len(path) + 1)}
    places: dict[Path, Place] = {}

    def note(path: Path, key: Range | None, at: Range) -> None:
        if path in needed:
            key_span = make_span(lines, file, *key) if key is not None else None
            places[path] = Place(key_span, make_span(lines, file, *at), *at)

    Scanner(text, note).problems()
    return add_ancestors(places, wanted)


def make_span(lines: LineIndex, file: str, start: int, end: int) -> Span:
    """Make the span of a part of the text; what goes over several lines is shown by its first one."""
    line, column = lines.position(start)
    end_line, end_column = lines.position(end)
    if end_line != line:
        end_column = max(lines.end_of_line(line), column + 1)
    return Span(file, line, column, line, end_column)


def find_fragment(text: str, file: str, place: Place, fragment: Fragment) -> Span:
    """Find the place of a part of a scalar: as far from its sign in the text as in the scalar."""
    sign = fragment.sign
    at = place.start
    for _ in range(fragment.expression + 1):
        at = text.find(sign, at, place.end)
        if at < 0:
            return place.value
        at += len(sign)
    start = min(at - len(sign) + fragment.start - fragment.mark, place.end)
    line, column = find_position(text, start)
    return Span(file, line, column, line, column + max(1, fragment.end - fragment.start))
