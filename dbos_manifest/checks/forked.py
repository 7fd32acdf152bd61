"""A check in a process beside this one, which tells only whether it found nothing."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable


class Beside:
    """A copy of this process that makes a check and ends, also when this process ends before it.

    What it found stays with it: whoever needs to know looks again. So nothing is sent between the two.
    """

    def __init__(self, finds_nothing: Callable[[], bool]) -> None:
        """Begin. Only before threads are started and connections made, which a copy cannot share."""
        there, self._here = os.pipe()
        self._pid: int | None = os.fork()
        if self._pid == 0:
            os.close(self._here)
            _check_and_end(finds_nothing, there)
        os.close(there)
        self._found_nothing = False

    def found_nothing(self) -> bool:
        """Wait for the end; False also when the check was cut short."""
        if self._pid is not None:
            _, status = os.waitpid(self._pid, 0)
            self._pid = None
            os.close(self._here)
            self._found_nothing = status == 0
        return self._found_nothing


def _check_and_end(finds_nothing: Callable[[], bool], parent: int) -> None:
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the process that waits decides
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
        gc.freeze()  # or its first collection copies every page
        status = 0 if finds_nothing() else 1
    finally:
        os._exit(status)  # nothing of the copied process may be written or closed twice


def _end_with(parent: int) -> None:
    os.read(parent, 1)  # nobody writes: it returns when the other end is gone
    os._exit(1)


def is_possible() -> bool:
    """Whether there are processes that can be copied, and a second processor for the copy."""
    if not hasattr(os, "fork") or threading.active_count() > 1:
        return False
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors > 1
