"""Count lines and columns as editors, YAML 1.2 and JSON do: only LF, CR and CRLF break a line."""

from __future__ import annotations

import re
from bisect import bisect_right

_BREAK = re.compile(r"\r\n|\r|\n")


def split_lines(text: str) -> list[str]:
    """Split a text into lines without their line breaks."""
    return _BREAK.split(text) if "\r" in text else text.split("\n")


class LineIndex:
    """Converts offsets in a text to lines and columns, both from 1, the column in code points."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(match.end() for match in _BREAK.finditer(text))]

    def position(self, index: int) -> tuple[int, int]:
        """Return the line and column of a character."""
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1

    def end_of_line(self, line: int) -> int:
        """Return the column after the last non-blank character of a line."""
        start = self._starts[line - 1]
        end = self._starts[line] if line < len(self._starts) else len(self._text)
        return len(self._text[start:end].rstrip()) + 1


def find_position(text: str, index: int) -> tuple[int, int]:
    """Return the line and column of one character, without an index."""
    start = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    line = text.count("\n", 0, start)
    if "\r" in text:
        line += text.count("\r", 0, start) - text.count("\r\n", 0, start)
    return line + 1, index - start + 1
