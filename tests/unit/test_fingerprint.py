"""Which fingerprints can be of one database."""

from __future__ import annotations

import pytest

from dbos_manifest.lockfile.fingerprint import combine, find_contradiction, make_part

A, B, C, D = (make_part(fact) for fact in "abcd")


@pytest.mark.parametrize(
    ("known", "found", "contradicts"),
    [
        (f"{A}.{B}.{C}", f"{A}.{B}.{C}", None),
        (f"{A}.{B}.{C}", f"{D}.{B}.{C}", "created again"),
        (f"{A}.{B}.{C}", f"{A}.{D}.{C}", "another server"),
        (f"{A}.-.{C}", f"{A}.-.{D}", "other application versions"),
        (f"{A}.-.{C}", f"{A}.-.none", "other application versions"),  # a version is never removed
        (f"{A}.-.none", f"{A}.-.{C}", None),  # the first worker has started since
        (f"{A}.-.-", f"{A}.-.{C}", None),
        (f"{A}.-.{C}", f"{A}.-.-", None),
        (f"{A}.{B}.{C}", f"{A}.-.{C}", None),  # by a role that may not know the server
        (f"{A}.-.{C}", f"{A}.{B}.{C}", None),
        (f"{A}.{B}.{C}", f"{A}.-.{D}", "other application versions"),
        (f"{A}.{B}.{C}", f"{A}.{B}.{D}", None),  # the server is known to be the same
        (f"{A}.{B}", f"{A}.none", "another file"),  # SQLite: created again
        (f"{A}.none", f"{A}.{B}", None),
        ("text", "other", "created again"),
        ("text", "text", None),
    ],
)
def test_what_contradicts(known: str, found: str, contradicts: str | None) -> None:
    reason = find_contradiction(known, found)
    assert reason is None if contradicts is None else reason is not None and contradicts in reason


@pytest.mark.parametrize(
    ("known", "found", "combined"),
    [
        (f"{A}.-.none", f"{A}.{B}.{C}", f"{A}.{B}.{C}"),
        (f"{A}.{B}.{C}", f"{A}.-.-", f"{A}.{B}.{C}"),
        (f"{A}.none", f"{A}.{B}", f"{A}.{B}"),
        (f"{A}.-.-", f"{A}.-.none", f"{A}.-.none"),
        (A, f"{A}.{B}.-", f"{A}.{B}.-"),
    ],
)
def test_what_is_known_together(known: str, found: str, combined: str) -> None:
    assert combine(known, found) == combined
