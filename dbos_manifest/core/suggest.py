"""Suggest a known name that is similar to an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice, pairwise

from .work_budget import current_budget

_SHOWN = 20  # names that a help lists
_SEARCHED = 5_000  # names that are searched for a similar one
_EXACT_WORK = 1_000  # names that could be searched in the time of the exact comparison
_COMPARED = 30  # names that share most letters, compared exactly: this takes time quadratic in their length
_LONGEST = 100  # characters of a name that is compared
_CUTOFF = 0.6  # how similar a name must be, of 1; the default of difflib


def find_closest(name: str, known: Iterable[str], cutoff: float = _CUTOFF) -> str | None:
    """Return the most similar known name; None if none is similar enough, or after very many searches."""
    from difflib import get_close_matches  # loaded only for an error
    from heapq import nlargest

    if len(name) > _LONGEST:
        return None
    if (budget := current_budget()) is not None and budget.compared_names <= 0:
        return None
    candidates = [other for other in islice(known, _SEARCHED) if len(other) <= _LONGEST]
    if budget is not None:
        budget.compared_names -= len(candidates) + _EXACT_WORK
    if len(candidates) > _COMPARED:
        pairs = _pairs(name)
        candidates = nlargest(_COMPARED, candidates, key=lambda other: len(pairs & _pairs(other)))
    return next(iter(get_close_matches(name, candidates, 1, cutoff)), None)


def _pairs(text: str) -> set[str]:
    """Return the pairs of neighbouring letters, by which similar names are found quickly."""
    return {a + b for a, b in pairwise(text)}


def suggest(name: str, known: Iterable[str], cutoff: float = _CUTOFF) -> str:
    """Return ``did you mean `x`?``; an empty text if no known name is similar enough."""
    closest = find_closest(name, known, cutoff)
    return "" if closest is None else f"did you mean `{closest}`?"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the help for an unknown name: the most similar known name, or else some known names."""
    choices = list(known)
    if suggestion := suggest(name, choices):
        return suggestion
    if not choices:
        return "none is defined here"
    shown = [other if len(other) <= _LONGEST else f"{other[: _LONGEST - 1]}…" for other in choices[:_SHOWN]]
    more = f" and {len(choices) - _SHOWN:,} more" if len(choices) > _SHOWN else ""
    return f"expected one of: {', '.join(shown)}{more}"
