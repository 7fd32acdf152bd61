"""The one place that decides the exit code of a call, from all that the call did."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a call ends with. Source: SPEC §10."""

    DONE = 0
    INVALID_FILES = 1
    WRONG_USAGE = 2
    UNUSABLE = 3  # database or lockfile
    PARTIAL = 5
    REFUSED = 6
    SOME_FAILED = 7  # waited
    TIMED_OUT = 8  # waited
    MORE_TO_ENQUEUE = 9
    CHANGES = 10
    BUG = 70
    INTERRUPTED = 130


_NOTHING_ENQUEUED = frozenset(
    {ExitCode.INVALID_FILES, ExitCode.WRONG_USAGE, ExitCode.UNUSABLE, ExitCode.REFUSED}
)
"""Codes that promise that the call enqueued nothing."""
_GOOD = frozenset({ExitCode.DONE, ExitCode.CHANGES})


def decide_exit_code(
    code: int, *, enqueued: int = 0, output_failed: bool = False, reader_left: bool = False
) -> int:
    """Decide the exit code of a call.

    code           what the command itself comes to: its finding, or the code of the error that stopped it
    enqueued       workflows that this call enqueued
    output_failed  whether a result could not be written, as to a full disk
    reader_left    whether the reader of standard output left before its end, as `| head` does: no error for
                   a command that only reads, and for one that enqueued an outcome that went unseen
    """
    if code in _GOOD and output_failed:
        code = ExitCode.WRONG_USAGE
    if enqueued and (code in _NOTHING_ENQUEUED or (code == ExitCode.DONE and reader_left)):
        code = ExitCode.PARTIAL
    return int(code)
