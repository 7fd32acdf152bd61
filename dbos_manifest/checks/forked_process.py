"""Run a check in a forked process, which only reports whether it passed."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable


class ForkedCheck:
    """A check in a forked process, which ends at the latest when this process ends.

    The process reports no diagnostics, so that none have to be transferred: if it does not pass, run the
    check again here.
    """

    def __init__(self, check: Callable[[], bool]) -> None:
        """Start. Call this before starting threads or opening connections, which a fork cannot share."""
        there, self._here = os.pipe()
        self._pid: int | None = os.fork()
        if self._pid == 0:
            os.close(self._here)
            _check_and_exit(check, there)
        os.close(there)
        self._passed = False

    def passed(self) -> bool:
        """Wait for the end, and return whether the check returned True."""
        if self._pid is not None:
            _, status = os.waitpid(self._pid, 0)
            self._pid = None
            os.close(self._here)
            self._passed = status == 0
        return self._passed


def _check_and_exit(check: Callable[[], bool], parent: int) -> None:
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the parent decides when to stop
        threading.Thread(target=_exit_with, args=(parent,), daemon=True).start()
        gc.freeze()  # otherwise the first collection copies every page
        status = 0 if check() else 1
    finally:
        os._exit(status)  # must not flush or close what belongs to the parent


def _exit_with(parent: int) -> None:
    os.read(parent, 1)  # nothing is written: this returns when the parent has ended
    os._exit(1)


def can_fork() -> bool:
    """Return whether this process can fork safely, and there is a second processor."""
    if not hasattr(os, "fork") or threading.active_count() > 1:
        return False
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors > 1
