"""Paths -> places in YAML text, by reading it a second time."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

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

from ..core.diagnostic import Path, Span
from ..core.lines import split_lines
from .positions import Place, add_ancestors
from .yaml_parser import open_parser


def find_yaml_places(text: str, file: str, document: int, wanted: Collection[Path]) -> dict[Path, Place]:
    """The place of each path in one document; a path that is not there has its nearest ancestor's.

    What stands behind an alias is where the alias is.
    """
    places: dict[Path, Place] = {}
    with suppress(yaml.YAMLError, ValueError):  # broken further on: what was found is kept
        _Finder(text, file, wanted, places).read(document)
    return add_ancestors(places, wanted)


class _Finder:
    def __init__(self, text: str, file: str, wanted: Collection[Path], places: dict[Path, Place]) -> None:
        self._get_event = open_parser(text)
        self._lines = split_lines(text)
        self._file = file
        self._places = places
        self._trie: dict[Any, Any] = {}
        for path in wanted:
            node = self._trie
            for part in path:
                node = node.setdefault(part, {})

    def read(self, document: int) -> None:
        number = 0
        while not isinstance(event := self._get_event(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                node = self._trie if number == document else None
                self._node(self._get_event(), node, (), None)
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
            self._places[path] = Place(key_span, value, start.index, stop.index)

    def _list(self, trie: dict[Any, Any] | None, path: Path) -> Any:
        index = 0
        while not isinstance(event := self._get_event(), SequenceEndEvent):
            below = trie.get(index) if trie else None
            self._node(event, below, (*path, index) if below is not None else (), None)
            index += 1
        return event

    def _map(self, trie: dict[Any, Any] | None, path: Path) -> Any:
        while not isinstance(key := self._get_event(), MappingEndEvent):
            name = key.value if isinstance(key, ScalarEvent) else None
            if name is None and not isinstance(key, AliasEvent):
                self._node(key, None, (), None)
            below = trie.get(name) if trie and name is not None else None
            self._node(
                self._get_event(),
                below,
                (*path, name) if below is not None and name is not None else (),
                key,
            )
        return key
