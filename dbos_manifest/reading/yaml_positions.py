"""Find where values are in YAML text, by reading it a second time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

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

from ..core.diagnostic import Span, ValuePath
from ..core.lines import split_lines
from .positions import Place, add_ancestors
from .yaml_parser import open_parser


def find_yaml_places(
    text: str, file: str, wanted: Mapping[int, Collection[ValuePath]]
) -> dict[int, dict[ValuePath, Place]]:
    """Find the places of paths, by document; a path without a value gets that of its nearest ancestor.

    A value inside an alias has the place of the alias.
    """
    finder = _Finder(text, file, wanted)
    with suppress(yaml.YAMLError, ValueError):  # not YAML after some line: the places before it are known
        finder.read()
    return {number: add_ancestors(finder.places[number], paths) for number, paths in wanted.items()}


_Trie = dict[str | int, "_Trie"]  # the wanted paths, part by part


def _make_trie(paths: Iterable[ValuePath]) -> _Trie:
    root: _Trie = {}
    for path in paths:
        node = root
        for part in path:
            node = node.setdefault(part, {})
    return root


class _Finder:
    """Collects the places of the wanted paths while it reads a text."""

    def __init__(self, text: str, file: str, wanted: Mapping[int, Collection[ValuePath]]) -> None:
        self._text = text
        self._lines = split_lines(text)
        self._file = file
        self.places: dict[int, dict[ValuePath, Place]] = {number: {} for number in wanted}
        self._tries = {number: _make_trie(paths) for number, paths in wanted.items()}

    def read(self) -> None:
        """Read up to the last wanted document."""
        self._get_event = open_parser(self._text)
        number, last = 0, max(self._tries)
        while not isinstance(event := self._get_event(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                self._found = self.places.get(number, {})
                self._node(self._get_event(), self._tries.get(number), (), None)
            elif isinstance(event, DocumentEndEvent):
                number += 1
                if number > last:
                    return

    def _span(self, start: Event, end: Event) -> Span:
        """Return the span from start to end, cut off at the end of the first line."""
        first, last = start.start_mark, end.end_mark
        assert first is not None and last is not None
        if first.line == last.line:
            return Span(self._file, first.line + 1, first.column + 1, last.line + 1, last.column + 1)
        width = len(self._lines[first.line].rstrip()) if first.line < len(self._lines) else first.column
        return Span(
            self._file, first.line + 1, first.column + 1, first.line + 1, max(width, first.column) + 1
        )

    def _node(self, event: Event, trie: _Trie | None, path: ValuePath, key: Event | None) -> None:
        end = event
        if isinstance(event, MappingStartEvent):
            end = self._map(trie, path)
        elif not isinstance(event, (ScalarEvent, AliasEvent)):
            end = self._list(trie, path)
        if trie is not None:
            start, stop = event.start_mark, end.end_mark
            assert start is not None and stop is not None
            key_span = self._span(key, key) if key is not None else None
            self._found[path] = Place(key_span, self._span(event, end), start.index, stop.index)

    def _list(self, trie: _Trie | None, path: ValuePath) -> Event:
        index = 0
        while not isinstance(event := self._get_event(), SequenceEndEvent):
            below = trie.get(index) if trie else None
            self._node(event, below, (*path, index) if below is not None else (), None)
            index += 1
        return event

    def _map(self, trie: _Trie | None, path: ValuePath) -> Event:
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
