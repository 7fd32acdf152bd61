"""Interrupt applies with Ctrl-C, SIGTERM and SIGHUP, and fill the disk while the lockfile is written."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable

import pytest
from fault_harness import Apply, Batch, run_here
from waiting import wait_until

WORKFLOWS = 1000


def _heed_hangups() -> None:
    """Reset SIGHUP, because the tests may run under `nohup`."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP], [signal.SIGINT] * 2])
def test_interrupted_apply_can_be_continued(
    database_url: str, make_batch: Callable[[str, int], Batch], signals: list[signal.Signals]
) -> None:
    code = 0
    for attempt in range(20):
        batch = make_batch(f"stopped{attempt}", WORKFLOWS)
        apply = Apply(batch, database_url, "--chunk-size", 1, preexec_fn=_heed_hangups)
        apply.wait_for_rows(1)
        for number in signals:
            apply.process.send_signal(number)
            # the system would merge two equal signals that arrive before the first one is handled
            wait_until(lambda apply=apply: "stopping after" in apply.log or not apply.runs)
        code = apply.wait()
        batch.check_honest()
        if code != 0:
            break
        batch.check_complete()  # apply finished before the signal
    assert code == 130 or (len(signals) == 2 and code == -signal.SIGINT), apply.log
    rows = batch.count_rows()
    assert rows > 0
    if len(signals) == 1:
        assert len(batch.locked()) == rows
    assert run_here("apply", batch.path, "--database-url", database_url) == 0
    batch.check_complete()


def test_ignored_sighup_does_not_stop_apply(
    database_url: str, make_batch: Callable[[str, int], Batch]
) -> None:
    """SIGHUP is ignored under nohup."""
    batch = make_batch("nohup", 200)
    apply = Apply(
        batch,
        database_url,
        "--chunk-size",
        1,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    apply.wait_for_rows(1)
    apply.process.send_signal(signal.SIGHUP)
    assert apply.wait() == 0, apply.log
    batch.check_complete()


@pytest.mark.parametrize(
    "database_url", ["postgresql"], indirect=True
)  # the limit applies to SQLite's files too
def test_apply_on_a_full_disk_can_be_continued(
    database_url: str, make_batch: Callable[[str, int], Batch]
) -> None:
    batch = make_batch("full", 200)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    apply = Apply(batch, database_url, "--chunk-size", 2, preexec_fn=limit)
    assert apply.wait() == 5, apply.log
    assert "journal" in apply.log and "Traceback" not in apply.log
    assert 0 < len(batch.rows()) < 200  # a transaction that does not fit into the journal is not committed
    batch.check_honest()
    batch.wait_for_its_server()
    ran = batch.run_and_remove()
    assert [path.name for path in batch.path.parent.glob("*tmp*")] == []
    assert run_here("apply", batch.path, "--database-url", database_url, "--skip-missing") == 0
    assert batch.rows().keys() == batch.ids.keys() - ran
    assert batch.locked().keys() == batch.ids.keys()
