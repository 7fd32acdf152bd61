"""Write a number with its noun."""

from __future__ import annotations


def count_of(count: int, noun: str, nouns: str | None = None) -> str:
    """Return `1 workflow`, `1,188 workflows`; `nouns` is a plural that is not made with `s`."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"
