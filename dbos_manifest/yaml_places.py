"""Paths in, their places in the text out: a second reading, made only for what is shown."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from .diagnostic import Fragment, Path, Span


class Place(NamedTuple):
    key: Span | None  # None for what is no map's value
    value: Span
    start: int = 0  # offsets of the value in the text
    end: int = 0
    exact: bool = True  # False: of its nearest ancestor


def find_places(text: str, file: str, document: int, wanted: Collection[Path]) -> dict[Path, Place]:
    """The place of each path in one document; a path that is not there has its nearest ancestor's.

    What stands behind an alias is where the alias is.
    """
    finder = _Finder(text, file, wanted)
    with suppress(yaml.YAMLError, ValueError):  # broken further on: what was found stands
        finder.read(document)
    places = finder.places
    for path in wanted:
        near = path
        while near and near not in places:
            near = near[:-1]
        if near in places:
            places[path] = places[near]._replace(exact=near == path)
    return places


def find_fragment(text: str, file: str, place: Place, fragment: Fragment) -> Span:
    """The place of a part of a scalar: as far from its `${{` in the text as in the scalar."""
    at = place.start
    for _ in range(fragment.expression + 1):
        at = text.find(fragment.sign, at, place.end)
        if at < 0:
            return place.value
        at += len(fragment.sign)
    start = min(at - len(fragment.sign) + fragment.start - fragment.mark, place.end)
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    return Span(file, line, column, line, column + max(1, fragment.end - fragment.start))


class _Finder:
    def __init__(self, text: str, file: str, wanted: Collection[Path]) -> None:
        self._parser: Any = yaml.CBaseLoader(text)  # its marks and events are always there
        self._lines = text.split("\n")
        self._file = file
        self.places: dict[Path, Place] = {}
        self._trie: dict[Any, Any] = {}
        for path in wanted:
            node = self._trie
            for part in path:
                node = node.setdefault(part, {})

    def read(self, document: int) -> None:
        number = 0
        while not isinstance(event := self._parser.get_event(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                node = self._trie if number == document else None
                self._node(self._parser.get_event(), node, (), None)
            elif isinstance(event, DocumentEndEvent):
                number += 1

    def _span(self, start: Event, end: Event) -> Span:
        """From start to end; what goes over several lines is shown by its first one."""
        first: Any = start.start_mark
        last: Any = end.end_mark
        if first.line == last.line:
            return Span(self._file, first.line + 1, first.column + 1, last.line + 1, last.column + 1)
        width = len(self._lines[first.line].rstrip()) if first.line < len(self._lines) else first.column
        return Span(
            self._file, first.line + 1, first.column + 1, first.line + 1, max(width, first.column) + 1
        )

    def _node(self, event: Event, trie: dict[Any, Any] | None, path: Path, key: Event | None) -> None:
        end = event
        if isinstance(event, MappingStartEvent):
            end = self._map(trie, path)
        elif not isinstance(event, (ScalarEvent, AliasEvent)):
            end = self._list(trie, path)
        if trie is not None:
            value = self._span(event, end)
            start: Any = event.start_mark
            stop: Any = end.end_mark
            key_span = self._span(key, key) if key is not None else None
            self.places[path] = Place(key_span, value, start.index, stop.index)

    def _list(self, trie: dict[Any, Any] | None, path: Path) -> Any:
        index = 0
        while not isinstance(event := self._parser.get_event(), SequenceEndEvent):
            below = trie.get(index) if trie else None
            self._node(event, below, (*path, index) if below is not None else (), None)
            index += 1
        return event

    def _map(self, trie: dict[Any, Any] | None, path: Path) -> Any:
        while not isinstance(key := self._parser.get_event(), MappingEndEvent):
            name = key.value if isinstance(key, ScalarEvent) else None
            if name is None and not isinstance(key, AliasEvent):
                self._node(key, None, (), None)
            below = trie.get(name) if trie and name is not None else None
            self._node(
                self._parser.get_event(),
                below,
                (*path, name) if below is not None and name is not None else (),
                key,
            )
        return key
