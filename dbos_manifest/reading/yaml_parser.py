"""Read YAML text as events with PyYAML's C parser, and correct it where YAML 1.2 differs.

YAML 1.1 and libyaml also break lines at U+0085, U+2028 and U+2029. The parser gets private-use characters
in their place that the text does not have, and the events get the original ones again, so that positions
do not change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import yaml
from yaml.events import Event, NodeEvent, ScalarEvent

from ..core.diagnostic import Span
from ..core.lines import find_position

_BREAKS_OF_YAML11 = "\x85\u2028\u2029"
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HELP = {  # by words of libyaml's message
    "escape character": "use single quotes, in which a backslash is a backslash, or write `\\\\` for it",
    "hexdecimal number": "use single quotes, in which a backslash is a backslash, or write `\\\\` for it",
    "cannot start any token": "quote text that starts with `@`, a backquote or `%`; "
    "indent with spaces, not tabs",
    "mapping values are not allowed": "quote text that contains `: `, or check whether the line is indented "
    "too far",
    "not find expected": "check the indentation, and look for a missing quote, bracket or `:` on the lines "
    "before",
}


class YamlSyntaxError(Exception):
    """The text is not YAML. Line and column are those of the first error, from 1."""

    def __init__(self, message: str, line: int, column: int, help: str | None = None) -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.help = message, line, column, help


def open_parser(text: str) -> Callable[[], Any]:
    """Return a function that returns the next event of a text.

    Raises: yaml.YAMLError or ValueError, here or later, for text that is not YAML.
    """
    used = "" if text.isascii() else [mark for mark in _BREAKS_OF_YAML11 if mark in text]
    if not used:
        get_event: Callable[[], Any] = yaml.CBaseLoader(text).get_event
        return get_event
    replacements = dict(zip(used, _find_unused(text), strict=False))
    for mark, replacement in replacements.items():
        text = text.replace(mark, replacement)
    originals = str.maketrans({replacement: mark for mark, replacement in replacements.items()})
    return _restoring(yaml.CBaseLoader(text).get_event, originals)


def _restoring(
    get_event: Callable[[], Event | None], originals: dict[int, str]
) -> Callable[[], Event | None]:
    def get_restored() -> Event | None:
        event = get_event()
        if isinstance(event, ScalarEvent):
            event.value = event.value.translate(originals)
        return event

    return get_restored


def _find_unused(text: str) -> Iterator[str]:
    used = set(text)
    codes = chain(range(0xE000, 0xF900), range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))
    unused = (character for character in map(chr, codes) if character not in used)
    first = [next(unused, "") for _ in _BREAKS_OF_YAML11]
    if "" in first:
        raise ValueError("the text uses every private-use character of Unicode")
    return iter(first)


def make_syntax_error(error: Exception, text: str) -> YamlSyntaxError:
    """Convert an error of the parser, which names no position for a character that YAML does not allow."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        words = " ".join(part for part in (error.context, error.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        help = next((help for known, help in _HELP.items() if known in words), None)
        return YamlSyntaxError(f"not YAML: {words}", line, column, help)
    found = _NOT_PRINTABLE.search(text)
    if found is None:
        return YamlSyntaxError(f"not YAML: {error}".split("\n")[0], 1, 1)
    code = ord(found[0])
    escape = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return YamlSyntaxError(
        f"not YAML: the character U+{code:04X} must be escaped",
        *find_position(text, found.start()),
        f"remove it, or write `{escape}` in double quotes" if code else "save the file as UTF-8 text",
    )


def may_have_missing_space(text: str) -> bool:
    """Return quickly whether `find_missing_space` may find something in a text."""
    return "?" in text or "&" in text or "*" in text


def find_missing_space(event: NodeEvent, text: str) -> YamlSyntaxError | None:
    """Find an anchor, alias or `?` without a space after it, which libyaml accepts and YAML 1.2 does not."""
    assert event.start_mark is not None
    start, line, column = event.start_mark.index, event.start_mark.line + 1, event.start_mark.column + 1
    if event.anchor is not None:
        end = start + 1 + len(event.anchor)
        if end < len(text) and text[end] not in " \t\r\n,[]{}":
            message = f"not YAML: `{text[start:end]}` has no space after it"
            return YamlSyntaxError(message, line, column, "put a space after the name of an anchor or alias")
    elif start and text[start - 1] == "?":
        return YamlSyntaxError("not YAML: `?` has no space after it", line, column - 1, "quote the text")
    return None


def make_event_span(file: str, event: Event) -> Span:
    """Return the span of an event; that of a collection is where it starts."""
    start, end = event.start_mark, event.end_mark
    assert start is not None and end is not None
    return Span(file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)
