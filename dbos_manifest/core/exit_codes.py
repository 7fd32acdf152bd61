"""Decide the exit code of a command from everything that it did."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of all commands.

    Source: SPEC §10.
    """

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
"""Codes after which nothing was enqueued."""
_GOOD = frozenset({ExitCode.DONE, ExitCode.CHANGES})


def decide_exit_code(
    code: int, *, enqueued: int = 0, output_failed: bool = False, reader_left: bool = False
) -> int:
    """Decide the exit code of a command.

    code           the result of the command, or the code of the error that stopped it
    enqueued       number of workflows that the command enqueued
    output_failed  whether a result could not be written, for example because the disk is full
    reader_left    whether the reader of standard output closed it early, as `| head` does; an error only for
                   a command that enqueued something, because the outcome was not printed
    """
    if code in _GOOD and output_failed:
        code = ExitCode.WRONG_USAGE
    if enqueued and (code in _NOTHING_ENQUEUED or (code == ExitCode.DONE and reader_left)):
        code = ExitCode.PARTIAL
    return int(code)
