"""Make any text or value safe and readable on a terminal."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from math import isfinite

from ..core.canonical_json import canonical_json
from ..core.portable_json import MAX_DEPTH

Paint = Callable[[str, str], str]
"""(style, text) → text: red, green, yellow, cyan, dim, bold."""


def plain(style: str, text: str) -> str:
    """Return the text without a style."""
    return text


def printable(text: str) -> str:
    """Escape control, format and unpaired characters, so that text cannot control the terminal."""
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
    """Cut a text to a width, with an ellipsis."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def show_value(value: object, width: int = 60) -> str:
    """Show any value on one line, a JSON value as JSON."""
    try:
        text = canonical_json(value)
        text.encode()
    except (ValueError, RecursionError):
        text = canonical_json(plain_value(value))
    return shorten(printable(text), width)


def plain_value(value: object, depth: int = MAX_DEPTH) -> object:
    """Return the value as strict JSON, which every parser accepts.

    Shape:  values that JSON lacks become text: "NaN", "Infinity", bytes and lone surrogates escaped. Values
            nested deeper than `depth` are replaced by a note.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else _NOT_FINITE.get(value, "NaN")
    if isinstance(value, str):
        return _plain_text(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "backslashreplace")
    if not isinstance(value, (dict, list, tuple)):
        return _plain_text(str(value))
    if depth <= 0:
        return "(nested too deeply to be shown)"
    if isinstance(value, dict):
        return {_plain_text(str(key)): plain_value(item, depth - 1) for key, item in value.items()}
    return [plain_value(item, depth - 1) for item in value]


_NOT_FINITE = {float("inf"): "Infinity", float("-inf"): "-Infinity"}


def _plain_text(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def to_json(document: object, indent: int | None = None) -> str:
    """Write any document as strict JSON, in ASCII.

    Cost:   one call in C, unless the document has a value that JSON lacks, or a character beyond the basic
            plane, which may be a lone surrogate.
    """
    try:
        text = json.dumps(document, indent=indent, allow_nan=False)
        if "\\ud" not in text:
            return text
    except (ValueError, TypeError, RecursionError):
        pass
    return json.dumps(plain_value(document), indent=indent)
