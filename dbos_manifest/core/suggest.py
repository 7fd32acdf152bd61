"""Suggest a known name that is similar to an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN = 20  # names that a help lists
_CUTOFF = 0.6  # how similar a name must be, of 1; the default of difflib


def find_closest(name: str, known: Iterable[str], cutoff: float = _CUTOFF) -> str | None:
    """Return the most similar known name; None if none is similar enough."""
    return next(iter(get_close_matches(name, known, 1, cutoff)), None)


def suggest(name: str, known: Iterable[str], cutoff: float = _CUTOFF) -> str:
    """Return ``did you mean `x`?``; an empty text if no known name is similar enough."""
    closest = find_closest(name, known, cutoff)
    return "" if closest is None else f"did you mean `{closest}`?"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the help for an unknown name: the most similar known name, or else all known names."""
    choices = list(known)
    if suggestion := suggest(name, choices):
        return suggestion
    if not choices:
        return "none is defined here"
    more = f" and {len(choices) - _SHOWN:,} more" if len(choices) > _SHOWN else ""
    return f"expected one of: {', '.join(choices[:_SHOWN])}{more}"
