"""The events of PyYAML's C parser in, plain values by YAML 1.2's core schema out, within bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

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

from ..core.diagnostic import Diagnostic, Related, Span, make_diagnostic
from ..core.lines import find_position
from .yaml_parser import find_unprintable, open_parser

MAX_DEPTH = 100
MAX_SCALAR = 16 * 2**20
MAX_ALIASED_NODES = 1_000_000
MAX_DIGITS = 1000

_KEYS_KEPT = 1000
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CONSTANTS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_MAYBE_NUMBER = frozenset("0123456789+-.")
_MAYBE_YAML11 = frozenset("yYnNoO0123456789+-.=")
_resolve_yaml11: Any = yaml.resolver.Resolver().resolve
_VALUES_OF_ARGUMENTS = frozenset({"args", "kwargs", "attributes"})


class Syntax(Exception):
    """The text is not YAML, from this place on."""

    def __init__(self, message: str, line: int, column: int, help: str | None = None) -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.help = message, line, column, help


class Refused(Exception):
    """A bound is passed: told as a diagnostic, and the rest is not read."""


def span_of(file: str, event: Event) -> Span:
    """The place of an event; a collection's is where it starts."""
    start: Any = event.start_mark
    end: Any = event.end_mark
    return Span(file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)


class Builder:
    """Builds the documents of one text, noting what is wrong as it goes."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._diagnostics: list[Diagnostic] = []
        self.document = 0  # the number of the one that is read
        self._path: list[str | int] = []
        self._anchors: dict[str, tuple[Any, int]] = {}  # value, nodes it stands for
        self._open: set[str] = set()
        self._good_keys: set[str] = set()  # plain ones that were looked at
        self._nodes = 0
        self._aliased = 0
        # libyaml drops a last line of blanks that no newline ends, which a block scalar may need
        last = text[text.rfind("\n") + 1 :]
        text += "\n" if last and not last.strip(" ") else ""
        self._source = text
        self._may_be_glued = "?" in text or "&" in text or "*" in text
        try:
            self._get_event = open_parser(text)
        except (yaml.YAMLError, ValueError) as error:
            self._fail(error)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        return self._diagnostics

    def documents(self) -> Iterator[tuple[int, Any]]:
        """Each document's number and value.

        Raises: Syntax where the text is not YAML, Refused where a bound is passed.
        """
        while not isinstance(event := self._next(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                self._anchors = {}
                value = self._value(self._next())
                yield self.document, value
            elif isinstance(event, DocumentEndEvent):
                self.document += 1

    def _next(self) -> Any:
        try:
            return self._get_event()
        except (yaml.YAMLError, ValueError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        if isinstance(error, yaml.MarkedYAMLError):
            mark = error.problem_mark or error.context_mark
            words = " ".join(part for part in (error.context, error.problem) if part)
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            raise Syntax(f"not YAML: {words}", line, column, _advice(words)) from None
        at = find_unprintable(self._source)
        if at is None:
            raise Syntax(f"not YAML: {error}".split("\n")[0], 1, 1) from None
        code = ord(self._source[at])
        escape = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
        raise Syntax(
            f"not YAML: the character U+{code:04X} cannot be written directly",
            *find_position(self._source, at),
            f"remove it, or write `{escape}` in double quotes" if code else "save the file as UTF-8 text",
        ) from None

    def _note(self, code: str, message: str, event: Event, help: str | None = None) -> None:
        self._diagnostics.append(
            make_diagnostic(
                code,
                message,
                tuple(self._path),
                span=span_of(self._file, event),
                file=self._file,
                document=self.document,
                help=help,
            )
        )

    def _refuse(self, message: str, event: Event) -> NoReturn:
        self._note("too-large", message, event)
        raise Refused

    def _refuse_glued(self, event: Any) -> None:
        """Where libyaml ends a name or takes a `?` for an indicator, and YAML 1.2 reads on."""
        if not self._may_be_glued:
            return
        text, start = self._source, event.start_mark.index
        if event.anchor is not None:
            after = start + 1 + len(event.anchor)
            if after < len(text) and text[after] not in " \t\r\n,[]{}":
                span = span_of(self._file, event)
                raise Syntax(
                    f"not YAML: `{text[start:after]}` runs into what follows it",
                    span.line,
                    span.column,
                    "write a blank behind the name of an anchor or alias",
                )
        elif start and text[start - 1] == "?":
            span = span_of(self._file, event)
            raise Syntax("not YAML: `?` runs into a key", span.line, span.column - 1, "quote the text")

    def _value(self, event: Any) -> Any:
        self._nodes += 1
        if event.anchor is not None:
            self._refuse_glued(event)
        if isinstance(event, ScalarEvent):
            value = self._scalar(event)
            if event.anchor is not None:
                self._anchors[event.anchor] = (value, 1)
            return value
        if isinstance(event, AliasEvent):
            return self._alias(event)
        if len(self._path) >= MAX_DEPTH:
            self._refuse(f"values are nested more than {MAX_DEPTH} deep", event)
        if event.tag is not None and event.tag not in ("!", _TAG + "map", _TAG + "seq"):
            self._note("unknown-tag", f"the tag `{event.tag}` has no JSON value", event, "leave the tag out")
        before = self._nodes + self._aliased
        if event.anchor is not None:
            self._open.add(event.anchor)
        value = self._map() if isinstance(event, MappingStartEvent) else self._list()
        if event.anchor is not None:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = (value, self._nodes + self._aliased - before + 1)
        return value

    def _alias(self, event: AliasEvent) -> Any:
        if event.anchor in self._open:
            self._note("recursive-alias", f"`*{event.anchor}` is inside the value it refers to", event)
            return None
        if event.anchor not in self._anchors:
            span = span_of(self._file, event)
            message = f"not YAML: there is no anchor `&{event.anchor}` before this alias"
            raise Syntax(message, span.line, span.column)
        value, nodes = self._anchors[event.anchor]
        self._aliased += nodes
        if self._aliased > MAX_ALIASED_NODES:
            self._refuse(f"aliases expand to more than {MAX_ALIASED_NODES:,} values", event)
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
                self._diagnostics.append(
                    make_diagnostic(
                        "duplicate-key",
                        f"`{key}` is written twice in one map",
                        tuple(path),
                        span=span_of(self._file, event),
                        file=self._file,
                        document=self.document,
                        related=(
                            Related("first written here", tuple(path), span_of(self._file, places[key])),
                        ),
                        help="keep one of the two",
                    )
                )
            value = self._value(self._next())
            if key is not None and key not in places:
                places[key] = event
                out[key] = value
        path.pop()
        return out

    def _key(self, event: Any) -> str | None:
        if self._may_be_glued:
            self._refuse_glued(event)
        if isinstance(event, ScalarEvent):
            text: str = event.value
            plain = event.style is None or event.style == ""
            if not plain or (event.tag == _TAG + "str"):
                return self._text(text, event)
            if text in self._good_keys and event.anchor is None:
                return text
            if text == "<<":
                self._note(
                    "merge-key",
                    "`<<` is not part of YAML 1.2",
                    event,
                    "write what workflows share under `defaults`, or repeat it",
                )
                return None
            if text in _CONSTANTS or _INT.fullmatch(text) or _FLOAT.fullmatch(text):
                self._note("non-string-key", f"the key `{text}` is not text", event, f'write it as "{text}"')
                return None
            if event.anchor is not None:
                self._anchors[event.anchor] = (text, 1)
            if text.isidentifier() and text.isascii() and len(self._good_keys) < _KEYS_KEPT:
                self._good_keys.add(text)
            return self._text(text, event)
        if isinstance(event, AliasEvent):
            value = self._alias(event)
            if isinstance(value, str):
                return value
        else:
            self._value(event)
        self._note("non-string-key", "a map or list cannot be a key", event, "write a text as the key")
        return None

    def _text(self, text: str, event: Event) -> str:
        if len(text) > MAX_SCALAR:
            self._refuse(f"a text is longer than {MAX_SCALAR // 2**20} MiB", event)
        if "\0" in text:
            self._note("not-portable", "a text has a NUL character, which databases cannot store", event)
        elif not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            self._note("not-portable", "a text has a lone surrogate, which is not Unicode text", event)
        return text

    def _scalar(self, event: ScalarEvent) -> Any:
        text: str = event.value
        tag = event.tag
        if tag is not None and tag != "!":
            return self._tagged(tag, text, event)
        if tag == "!" or not event.implicit[0]:
            return self._text(text, event)
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        first = text[0]
        value: Any = text
        if first in _MAYBE_NUMBER:
            value = self._number(text, event)
        decimal = type(value) is int and first in "123456789" and text.isdigit()  # a number to all
        if first in _MAYBE_YAML11 and not decimal and self._in_arguments():
            self._compare_with_yaml11(text, value, event)
        return self._text(text, event) if value is text else value

    def _number(self, text: str, event: ScalarEvent) -> Any:
        if _INT.fullmatch(text):
            if len(text) > MAX_DIGITS:
                self._note("not-portable", f"an integer of more than {MAX_DIGITS} digits", event, "quote it")
                return None
            return int(text, 8 if text[:2] == "0o" else 16 if text[:2] == "0x" else 10)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if number in (float("inf"), float("-inf")):
                self._note("not-portable", f"{text} is out of range for a number", event, "quote it")
                return None
            return number
        if _SPECIAL_FLOAT.fullmatch(text):
            self._note("not-portable", f"JSON has no `{text}`", event, "quote it, or leave it out")
            return None
        return text

    def _tagged(self, tag: str, text: str, event: ScalarEvent) -> Any:
        kind = tag.removeprefix(_TAG)
        if kind == "str":
            return self._text(text, event)
        value = _CONSTANTS.get(text, text)
        if kind in ("int", "float") and value is text and text:
            value = self._number(text, event)
            if kind == "float" and type(value) is int:
                value = float(value)
        accepted = {"null": (type(None),), "bool": (bool,), "int": (int,), "float": (float,)}
        if kind == "binary":
            self._note("not-portable", "JSON has no binary values", event, "write it as text, as base64")
        elif kind not in accepted:
            self._note("unknown-tag", f"the tag `{tag}` has no JSON value", event, "leave the tag out")
        elif type(value) not in accepted[kind]:
            self._note("unknown-tag", f"`{text}` is not of the type that its tag `!!{kind}` says", event)
        return value

    def _in_arguments(self) -> bool:
        path = self._path
        if len(path) > 2 and path[0] == "workflows":
            return path[2] in _VALUES_OF_ARGUMENTS
        return len(path) > 1 and path[0] == "defaults" and path[1] in _VALUES_OF_ARGUMENTS

    def _compare_with_yaml11(self, text: str, value: Any, event: ScalarEvent) -> None:
        if value is None:  # already rejected
            return
        tag = _resolve_yaml11(yaml.ScalarNode, text, (True, False)).removeprefix(_TAG)
        now = "str" if value is text else "int" if type(value) is int else "float"
        octal = tag == "int" and now == "int" and re.fullmatch(r"[-+]?0[0-9]+", text)
        if tag in (now, "value", "merge") and not octal:
            return
        number = "a number" if now == "str" else "another number"
        meanings = {
            "str": "text",
            "bool": "true or false",
            "int": number,
            "float": number,
            "timestamp": "a date",
        }
        self._note(
            "ambiguous-scalar",
            f"`{text}` is {'text' if now == 'str' else f'the number {value}'} here, "
            f"but {meanings.get(tag, tag)} to YAML 1.1 tools",
            event,
            f'quote it to be clear: "{text}"' if now == "str" else f'write {value}, or in quotes "{text}"',
        )


def _advice(words: str) -> str | None:
    if "escape character" in words or "hexdecimal number" in words:
        return "use single quotes, in which a backslash is a backslash, or write `\\\\` for it"
    if "cannot start any token" in words:
        return "quote a text that starts with `@`, a backquote or `%`; indent with blanks, not tabs"
    if "mapping values are not allowed" in words:
        return "quote a text that has `: ` in it, or check whether the line is indented too far"
    if "did not find expected" in words or "could not find expected" in words:
        return "check the indentation, and look for a missing quote, bracket or `:` on the lines before"
    return None
