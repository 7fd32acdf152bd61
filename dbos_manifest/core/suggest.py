"""Suggest the name that was meant for one that is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN = 20  # of the names that are known
_CUTOFF = 0.6  # how similar a name must be, of 1; the default of difflib


def find_closest(name: str, known: Iterable[str], cutoff: float = _CUTOFF) -> str | None:
    """Return the known name that is most similar; None where none is similar enough."""
    return next(iter(get_close_matches(name, known, 1, cutoff)), None)


def suggest(name: str, known: Iterable[str], cutoff: float = _CUTOFF) -> str:
    """Return ``did you mean `x`?``; an empty text where no known name is similar enough."""
    closest = find_closest(name, known, cutoff)
    return "" if closest is None else f"did you mean `{closest}`?"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the help for an unknown name: the most similar one, or else the known ones."""
    choices = list(known)
    if suggestion := suggest(name, choices):
        return suggestion
    if not choices:
        return "there are none here"
    more = f" and {len(choices) - _SHOWN:,} more" if len(choices) > _SHOWN else ""
    return f"known here: {', '.join(choices[:_SHOWN])}{more}"
