"""Skip tests whose programs are not installed, and check the reasons of skipped tests."""

from __future__ import annotations

import re
import shutil

import pytest

IN_E2E = "`make e2e` runs it"
IN_FAULTS = "`make faults` runs it"
# Patterns of reasons that are valid on any machine. A missing program is the only other reason.
ALLOWED_SKIPS = (
    re.escape(IN_E2E),
    re.escape(IN_FAULTS),
    "the server given by the environment is on another machine",
    "only root may mount",
    "the package registry is not reachable: .*",
)


def require(tool: str) -> None:
    """Skip a test whose program is not installed."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")


def skip_is_allowed(reason: str) -> bool:
    """Return whether this machine could not have run the skipped test."""
    found = re.fullmatch(r"(\S+) is not installed.*", reason)
    if found is not None:
        return shutil.which(found[1]) is None
    return any(re.fullmatch(pattern, reason, re.DOTALL) for pattern in ALLOWED_SKIPS)
