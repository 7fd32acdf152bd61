"""Waiting for what must happen: tests on slow machines take longer, and do not fail."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 600  # only against hanging: what a test waits for takes a second


def wait_until(
    happened: Callable[[], object], describe: Callable[[], str] = str, *, every_s: float = 0.02
) -> None:
    """Wait for a condition."""
    give_up = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < give_up, describe()
        time.sleep(every_s)
