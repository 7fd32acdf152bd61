"""Test that a skip is allowed only for a program that is not installed."""

from __future__ import annotations

import pytest
from toolchains import IN_E2E, skip_is_allowed


@pytest.mark.parametrize(
    ("reason", "allowed"),
    [
        (IN_E2E, True),
        ("the package registry is not reachable: no route\nto host", True),
        ("no-such-program is not installed", True),
        ("no-such-program is not installed (Debian: none)", True),
        ("sh is not installed", False),
        ("sh is not installed (Debian: dash)", False),
        ("does not work today", False),
        ("", False),
    ],
)
def test_skip_needs_a_missing_program(reason: str, allowed: bool) -> None:
    assert skip_is_allowed(reason) is allowed
