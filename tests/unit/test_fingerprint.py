"""Test which fingerprints can belong to the same database."""

from __future__ import annotations

import pytest

from dbos_manifest.lockfile.fingerprint import combine, find_contradiction, make_part

A, B, C, D = (make_part(fact) for fact in "abcd")


@pytest.mark.parametrize(
    ("known", "found", "contradicts"),
    [
        (f"{A}.{B}.{C}", f"{A}.{B}.{C}", None),
        (f"{A}.{B}.{C}", f"{D}.{B}.{C}", "created again"),
        (f"{A}.{B}.{C}", f"{A}.{D}.{C}", "a different server"),
        (f"{A}.-.{C}", f"{A}.-.{D}", "different application versions"),
        (
            f"{A}.-.{C}",
            f"{A}.-.none",
            "different application versions",
        ),  # registered versions are never removed
        (f"{A}.-.none", f"{A}.-.{C}", None),  # the first worker has registered its version since
        (f"{A}.-.-", f"{A}.-.{C}", None),
        (f"{A}.-.{C}", f"{A}.-.-", None),
        (f"{A}.{B}.{C}", f"{A}.-.{C}", None),  # read by a role without access to the server's identifier
        (f"{A}.-.{C}", f"{A}.{B}.{C}", None),
        (f"{A}.{B}.{C}", f"{A}.-.{D}", "different application versions"),
        (f"{A}.{B}.{C}", f"{A}.{B}.{D}", None),  # the server has the same identifier
        (f"{A}.{B}", f"{A}.none", "a different file"),  # a recreated SQLite file
        (f"{A}.none", f"{A}.{B}", None),
        ("text", "other", "created again"),
        ("text", "text", None),
    ],
)
def test_contradicting_fingerprints_have_a_reason(known: str, found: str, contradicts: str | None) -> None:
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
def test_combined_fingerprint_keeps_all_known_parts(known: str, found: str, combined: str) -> None:
    assert combine(known, found) == combined
