"""The terminal or file that a result is laid out for, and tables that fit it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .text import Paint, count_cells, plain, unstyled

_BLOCKS = " ▏▎▍▌▋▊▉█"


class Screen(NamedTuple):
    """A width in cells, a function that colours text, and whether characters beyond ASCII can be shown."""

    width: int = 80
    paint: Paint = plain
    has_unicode: bool = True

    def bar(self, share: float, width: int) -> str:
        """Return a bar; a share above 0 is never empty."""
        if not self.has_unicode:
            return "#" * max(round(share * width), share > 0)
        eighths = max(round(share * width * 8), share > 0)
        return "█" * (eighths // 8) + _BLOCKS[eighths % 8].strip()

    def fit(self, text: str, width: int) -> str:
        """Cut printable text to a width in cells, with an ellipsis."""
        if count_cells(text) <= width:
            return text
        mark = "…" if self.has_unicode else "~"
        out, size = "", 0
        for character in text:
            size += count_cells(character)
            if size > width - 1:
                break
            out += character
        return out + mark


class Cell(NamedTuple):
    """A text in a table, and its style."""

    text: str
    style: str = ""


def table_lines(
    screen: Screen, rows: Sequence[Sequence[Cell]], *, left: int = 1, indent: int = 2
) -> Iterator[str]:
    """Yield the rows with aligned columns: the first `left` columns to the left, the others to the right."""
    widths = [max(count_cells(cell.text) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        parts = []
        for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - count_cells(cell.text))
            text = screen.paint(cell.style, cell.text) if cell.style and cell.text else cell.text
            parts.append(text + space if place < left else space + text)
        yield f"{' ' * indent}{'  '.join(parts)}".rstrip()


def wrap_parts(parts: Sequence[str], width: int, separator: str) -> Iterator[str]:
    """Join parts, which may have colours, to lines of this width; a longer part has a line of its own."""
    line = ""
    for part in parts:
        longer = f"{line}{separator}{part}" if line else part
        if line and count_cells(unstyled(longer)) > width:
            yield f"{line}{separator.rstrip()}"
            line = part
        else:
            line = longer
    if line:
        yield line
