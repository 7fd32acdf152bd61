"""Make the screen that a result is laid out for."""

from __future__ import annotations

import shutil
import sys

from ..report.screen import Screen
from ..report.text import Paint


def make_screen(paint: Paint) -> Screen:
    """Return a screen as wide as the terminal, or COLUMNS; elsewhere of 80 cells."""
    return Screen(shutil.get_terminal_size().columns, paint, _has_unicode())


def _has_unicode() -> bool:
    """Return whether standard output can encode the characters of bars and calendars."""
    try:
        "█░…→".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
