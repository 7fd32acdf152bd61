"""Text that is safe and readable on a terminal, whatever is in it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from ..canonical import canonical_json

Paint = Callable[[str, str], str]
"""(style, text) → text: red, green, yellow, cyan, dim, bold."""


def plain(style: str, text: str) -> str:
    return text


def printable(text: str) -> str:
    """The text with control, format and unpaired characters written out: no escape codes, no bidi tricks."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _HIDDEN else c for c in text)


_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def count_cells(text: str) -> int:
    """Count the cells of printable text on a terminal: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me") or "\u1160" <= character <= "\u11ff":  # jamo join
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def show_value(value: Any, width: int = 60) -> str:
    """A JSON value on one line."""
    return shorten(printable(canonical_json(value)), width)


def count_of(count: int, noun: str) -> str:
    """`1 workflow`, `1,000 workflows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
