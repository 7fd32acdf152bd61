"""Compose the events of a YAML text into plain values: maps, lists, keys and aliases, within limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from ..core.diagnostic import Diagnostic, Related, Span, make_diagnostic
from ..core.work_budget import spend
from .yaml_parser import (
    YamlSyntaxError,
    find_missing_space,
    make_event_span,
    make_syntax_error,
    may_have_missing_space,
    open_parser,
)
from .yaml_scalars import (
    MAYBE_YAML11,
    TAG,
    ScalarError,
    check_text,
    compare_with_yaml11,
    is_plain_text,
    read_plain,
    read_tagged,
)

MAX_DEPTH = 100
MAX_ALIASED_NODES = 1_000_000
_BYTES_PER_NODE = 256  # a long text counts as several values, since an alias repeats it

_KEYS_KEPT = 1000
_TEXT_TAG = f"{TAG}str"
_COLLECTION_TAGS = (None, "!", f"{TAG}map", f"{TAG}seq")
_ARGUMENTS = frozenset({"args", "kwargs", "attributes"})  # options with values of the user's own


def read_yaml(text: str, file: str) -> tuple[list[tuple[int, Any]], list[Diagnostic], bool]:
    """Read the documents of a YAML text.

    Shape:  each document's number, from 0, with its value; every problem of the text; whether the text was
            read to its end. A document that was not read to its end is left out.
    """
    composer = _Composer(text, file)
    documents: list[tuple[int, Any]] = []
    try:
        documents.extend(composer.documents())
    except YamlSyntaxError as error:
        span = Span(file, error.line, error.column, error.line, error.column + 1)
        number = composer.document
        problem = make_diagnostic("yaml-syntax", error.message, help=error.help)
        whole = [document for document in documents if document[0] != number]
        return whole, [*composer.diagnostics, problem.in_file(file, number, span)], False
    except _LimitExceeded:
        return documents, composer.diagnostics, False
    return documents, composer.diagnostics, True


class _LimitExceeded(Exception):
    """Stops reading. The limit is reported as a diagnostic."""


class _Composer:
    """Composes the documents of one text, and collects the problems of the text."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self.diagnostics: list[Diagnostic] = []
        self.document = 0  # number of the current one
        self._path: list[str | int] = []
        self._anchors: dict[str, tuple[Any, int]] = {}  # value, and how many nodes it has
        self._open: set[str] = set()
        self._good_keys: set[str] = set()  # plain ones that were checked
        self._nodes = 0
        self._aliased = 0
        # libyaml drops a last line of spaces without a newline, which a block scalar may need
        last = text[text.rfind("\n") + 1 :]
        self._text = text + ("\n" if last and not last.strip(" ") else "")
        self._may_miss_space = may_have_missing_space(text)

    def documents(self) -> Iterator[tuple[int, Any]]:
        """Yield each document's number and value.

        Raises: YamlSyntaxError, _LimitExceeded.
        """
        try:
            self._get_event = open_parser(self._text)
        except (yaml.YAMLError, ValueError) as error:
            raise make_syntax_error(error, self._text) from None
        while not isinstance(event := self._next(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                self._anchors = {}
                yield self.document, self._value(self._next())
            elif isinstance(event, DocumentEndEvent):
                self.document += 1

    def _next(self) -> Any:
        try:
            return self._get_event()
        except (yaml.YAMLError, ValueError) as error:
            raise make_syntax_error(error, self._text) from None

    def _note(
        self,
        code: str,
        message: str,
        event: Event,
        help: str | None = None,
        related: tuple[Related, ...] = (),
    ) -> None:
        found = make_diagnostic(code, message, tuple(self._path), help=help, related=related)
        span = make_event_span(self._file, event)
        self.diagnostics.append(found.in_file(self._file, self.document, span))

    def _stop(self, message: str, event: Event) -> NoReturn:
        self._note("too-large", message, event)
        raise _LimitExceeded

    def _reject(self, error: ScalarError, event: Event) -> None:
        self._note(error.code, error.message, event, error.help)
        if error.code == "too-large":
            raise _LimitExceeded

    def _check_space(self, event: NodeEvent) -> None:
        if self._may_miss_space and (error := find_missing_space(event, self._text)) is not None:
            raise error

    def _value(self, event: NodeEvent) -> Any:
        self._nodes += 1
        anchor = event.anchor
        if anchor is not None:
            self._check_space(event)
        if isinstance(event, ScalarEvent):
            value = self._scalar(event)
            self._nodes += len(event.value) // _BYTES_PER_NODE
            if anchor is not None:
                self._anchors[anchor] = (value, 1 + len(event.value) // _BYTES_PER_NODE)
            return value
        if isinstance(event, AliasEvent):
            return self._alias(event)
        assert isinstance(event, CollectionStartEvent)
        if len(self._path) >= MAX_DEPTH:
            self._stop(f"values are nested more than {MAX_DEPTH} deep", event)
        if event.tag not in _COLLECTION_TAGS:
            self._note(
                "unknown-tag", f"the tag `{event.tag}` has no JSON equivalent", event, "remove the tag"
            )
        before = self._nodes + self._aliased
        if anchor is not None:
            self._open.add(anchor)
        value = self._map() if isinstance(event, MappingStartEvent) else self._list()
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = (value, self._nodes + self._aliased - before + 1)
        return value

    def _alias(self, event: AliasEvent) -> Any:
        if event.anchor in self._open:
            self._note("recursive-alias", f"`*{event.anchor}` is inside the value it refers to", event)
            return None
        if event.anchor not in self._anchors:
            span = make_event_span(self._file, event)
            message = f"not YAML: there is no anchor `&{event.anchor}` before this alias"
            raise YamlSyntaxError(message, span.line, span.column)
        value, nodes = self._anchors[event.anchor]
        self._aliased += nodes
        spend(nodes)
        if self._aliased > MAX_ALIASED_NODES:
            self._stop(f"aliases expand to more than {MAX_ALIASED_NODES:,} values", event)
        return value

    def _list(self) -> list[Any]:
        out: list[Any] = []
        path = self._path
        path.append(0)
        while not isinstance(event := self._next(), SequenceEndEvent):
            path[-1] = len(out)
            out.append(self._value(event))
        path.pop()
        return out

    def _map(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        places: dict[str, Event] = {}
        path = self._path
        path.append("")
        while not isinstance(event := self._next(), MappingEndEvent):
            key = self._key(event)
            path[-1] = key if key is not None else ""
            if key in places:
                first = make_event_span(self._file, places[key])
                related = Related("first written here", tuple(path), first)
                message = f"`{key}` occurs twice in this map"
                self._note("duplicate-key", message, event, "keep one of the two", (related,))
            value = self._value(self._next())
            if key is not None and key not in places:
                places[key] = event
                out[key] = value
        path.pop()
        return out

    def _key(self, event: NodeEvent) -> str | None:
        if self._may_miss_space:
            self._check_space(event)
        if isinstance(event, ScalarEvent):
            known = event.value in self._good_keys and not event.style and event.tag is event.anchor is None
            return event.value if known else self._scalar_key(event)
        if isinstance(event, AliasEvent):
            value = self._alias(event)
            if isinstance(value, str):
                return value
        else:
            self._value(event)
        self._note("non-string-key", "a map or list cannot be a key", event, "write text as the key")
        return None

    def _scalar_key(self, event: ScalarEvent) -> str | None:
        text = event.value
        if not event.style and event.tag != _TEXT_TAG:
            if text == "<<":
                help = "write shared values under `defaults`, or repeat them"
                self._note("merge-key", "`<<` is not part of YAML 1.2", event, help)
                return None
            if not is_plain_text(text):
                self._note("non-string-key", f"the key `{text}` is not text", event, self._key_help(text))
                return None
            if event.anchor is not None:
                self._anchors[event.anchor] = (text, 1 + len(text) // _BYTES_PER_NODE)
            if text.isidentifier() and text.isascii() and len(self._good_keys) < _KEYS_KEPT:
                self._good_keys.add(text)
        try:
            check_text(text)
        except ScalarError as error:
            self._reject(error, event)
        return text

    def _scalar(self, event: ScalarEvent) -> Any:
        text, tag = event.value, event.tag
        try:
            if tag is not None and tag != "!":
                return read_tagged(tag, text)
            if tag == "!" or not event.implicit[0]:
                check_text(text)
                return text
            value = read_plain(text)
        except ScalarError as error:
            return self._reject(error, event)
        if text[:1] in MAYBE_YAML11 and self._in_arguments() and (found := compare_with_yaml11(text, value)):
            message, help = found
            self._note("ambiguous-scalar", message, event, help)
        return value

    def _key_help(self, text: str) -> str:
        """Return how to write a key that is not text; quotes do not make a name of a number."""
        match self._path:
            case ["vars", _] | ["workflows", _, "matrix", _] if not text.isidentifier():
                example = f", such as `_{text}`" if text.isalnum() else ""
                return f"start the name with a letter or `_`{example}"
            case _:
                return f'write it as "{text}"'

    def _in_arguments(self) -> bool:
        path = self._path
        if len(path) > 2 and path[0] == "workflows":
            return path[2] in _ARGUMENTS
        return len(path) > 1 and path[0] == "defaults" and path[1] in _ARGUMENTS
