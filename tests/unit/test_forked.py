"""Test a check in a forked process: its result, its failures and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from waiting import wait_until

from dbos_manifest.checks.forked_process import ForkedCheck


def _kill() -> bool:
    os.kill(os.getpid(), signal.SIGKILL)
    return True


def _ignore_polite_signals() -> bool:
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    return True


def _raise() -> bool:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (lambda: True, True),
        (lambda: False, False),
        (_raise, False),
        (_kill, False),
        (_ignore_polite_signals, True),
        (lambda: sys.exit(0), False),
    ],
)
def test_check_passes_only_when_it_returns_true(check: Callable[[], bool], expected: bool) -> None:
    forked = ForkedCheck(check)
    assert forked.passed() is expected
    assert forked.passed() is expected  # the result can be read again


SCRIPT = """
import os, time
from dbos_manifest.checks.forked_process import ForkedCheck

def check():
    print(os.getpid(), flush=True)
    time.sleep(100_000)
    return True

ForkedCheck(check)
time.sleep(100_000)
"""


def test_forked_process_ends_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        copy = int(process.stdout.readline())
        process.kill()
    wait_until(lambda: not _runs(copy))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
