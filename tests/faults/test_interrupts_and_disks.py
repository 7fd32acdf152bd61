"""Ctrl-C twice, SIGTERM, SIGHUP, and a disk that is full when the lockfile is written."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from fault_harness import Batch, run_here

WORKFLOWS, CHUNK = 3000, 2  # so many commits that a signal lands between them on any machine


def begin(batch: Batch, database_url: str, **settings: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dbos_manifest", "apply", str(batch.path), "--database-url"]
    return subprocess.Popen(
        [*command, database_url, "--chunk-size", str(CHUNK)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        **settings,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP], [signal.SIGINT] * 2])
def test_interrupts(
    database_url: str, make_batch: Callable[[str, int], Batch], signals: list[signal.Signals]
) -> None:
    batch = make_batch("stopped", WORKFLOWS)
    process = begin(batch, database_url)
    while not batch.rows() and process.poll() is None:
        time.sleep(0.01)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.01)
    assert process.wait(timeout=30) == 130
    rows = len(batch.rows())
    assert 0 < rows < WORKFLOWS
    batch.check_honest()
    if len(signals) == 1:
        assert len(batch.locked()) == rows
    assert run_here("apply", batch.path, "--database-url", database_url) == 0
    batch.check_complete()


def test_a_hangup_that_is_ignored_stops_nothing(
    database_url: str, make_batch: Callable[[str, int], Batch]
) -> None:
    """As under nohup."""
    batch = make_batch("nohup", 200)
    process = begin(batch, database_url, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    while not batch.rows() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    process.communicate()
    assert process.returncode == 0
    batch.check_complete()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # the limit is on SQLite's files too
def test_a_full_disk(database_url: str, make_batch: Callable[[str, int], Batch]) -> None:
    batch = make_batch("full", 200)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    process = begin(batch, database_url, preexec_fn=limit)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 5, told.decode()
    assert b"journal" in told and b"Traceback" not in told
    assert 0 < len(batch.rows()) < 200  # what the journal cannot take is not committed
    batch.check_honest()
    batch.wait_for_its_server()
    ran = batch.run_and_remove()
    assert [path.name for path in batch.path.parent.glob("*tmp*")] == []
    assert run_here("apply", batch.path, "--database-url", database_url, "--skip-missing") == 0
    assert batch.rows().keys() == batch.ids.keys() - ran
    assert batch.locked().keys() == batch.ids.keys()
