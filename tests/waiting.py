"""Wait for conditions, so that tests on slow machines take longer instead of failing."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 600  # only against hanging: conditions usually hold after a second


def wait_until(
    happened: Callable[[], object], describe: Callable[[], str] = str, *, every_s: float = 0.02
) -> None:
    """Wait until a condition holds."""
    give_up = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < give_up, describe()
        time.sleep(every_s)
