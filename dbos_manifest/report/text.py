"""Make any text or value safe and readable on a terminal and in the log of a pipeline."""

from __future__ import annotations

import json
import re
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


def unstyled(text: str) -> str:
    """Return printable text without the escape sequences of styles, to measure it."""
    return _COLOUR.sub("", text) if "\x1b" in text else text


def printable(text: str) -> str:
    """Escape what controls a terminal or a CI runner: control, format and unpaired characters, `##[`."""
    if not text.isprintable():
        text = "".join(_escape(c) if unicodedata.category(c) in _HIDDEN else c for c in text)
    return _escape_commands(text)


_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_commands(text: str) -> str:
    """Break commands that count anywhere in a line, with an escape that JSON and YAML read as `#`.

    Source: GitHub's runner (`##[name]`), Azure's agent (`##vso[name]`), TeamCity (`##teamcity[name]`).
    """
    return _COMMAND.sub(r"#\\u0023", text) if "##" in text else text


_COMMAND = re.compile(r"##(?=\w*\[)")
# a runner ignores the space before it, and colours may be removed from a log
_LINE_COMMAND = re.compile(r"^((?:\x1b\[[0-9;]*m|[^\S\n])*):(?=:)", re.MULTILINE)
_COLOUR = re.compile(r"(\x1b\[(?:[012]|3[0-9])m)")  # those that `Paint` makes: a value may not hide text


_ASCII_CONTROLS = bytes(code for code in (*range(32), 127) if code != ord("\n"))


def _is_printable(text: str) -> bool:
    """Return whether the lines of a text are printable; for ASCII three times as fast as `isprintable`."""
    if text.isascii():
        return len(text.encode().translate(None, _ASCII_CONTROLS)) == len(text)
    return text.replace("\n", "").isprintable()


class OutputEscaper:
    """Escape an output that is written in pieces, so that none of its lines is a command to a CI runner.

    Renderers escape each value with `printable` or as JSON; this holds also where one is forgotten.
    Cost:   a few searches in C for each piece, unless there is something to escape.
    """

    def __init__(self) -> None:
        self._at_start = True  # of a line, or after its indentation

    def escape(self, text: str, *, colours: bool = False, commands: bool = False) -> str:
        """Escape the next piece, except for colours and lines that are `::` commands if these are wanted."""
        at_start, last = self._at_start, text.rfind("\n") + 1
        self._at_start = (at_start or last > 0) and not _COLOUR.sub("", text[last:]).strip()
        if not _is_printable(text) or ("#" in text and "##" in text):
            parts = _COLOUR.split(text) if colours else [text]
            parts[::2] = ("\n".join(map(printable, part.split("\n"))) for part in parts[::2])
            text = "".join(parts)
        if "::" not in text or commands:
            return text
        begin = 0 if at_start else text.find("\n") + 1 or len(text)
        return text[:begin] + _LINE_COMMAND.sub(r"\1\\u003a", text[begin:])


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


def show_seconds(seconds: float) -> str:
    """Return `42 ms`, `1.8 s` or `12 min 4 s`."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s"


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


def id_line(workflow_id: str) -> str:
    """Return the line of an ID; as a JSON string if the ID has a line break or would be a command."""
    plain = printable(workflow_id) == workflow_id and not workflow_id.lstrip().startswith(('"', "::"))
    return f"{workflow_id if plain else to_json(workflow_id)}\n"
