"""Test timeouts of the server, a clock that goes back, and a damaged lockfile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from fault_harness import Batch, run_here
from waiting import wait_until

WORKFLOWS = 40
HOUR_MS = 3_600_000


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE :by = ANY(pg_blocking_pids(pid))"


@contextmanager
def blocked_writes(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Block inserts of other sessions, but not reads."""
    with engine.connect() as connection:
        connection.execute(sa.text("SET lock_timeout = 0"))
        connection.execute(sa.text("SET statement_timeout = 0"))
        connection.execute(sa.text("LOCK TABLE dbos.workflow_status IN SHARE ROW EXCLUSIVE MODE"))
        yield connection


@contextmanager
def blocked_twice(engine: sa.Engine) -> Iterator[None]:
    """Block inserts until another session has timed out once and waits again."""
    with blocked_writes(engine) as blocker:
        pid = blocker.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()

        def someone_waits() -> bool:
            with engine.connect() as connection:
                return bool(connection.execute(sa.text(WAITING), {"by": pid}).scalar_one())

        ended = threading.Event()

        def release() -> None:
            for waits in (True, False, True):
                wait_until(lambda waits=waits: someone_waits() is waits or ended.is_set(), every_s=0.01)
            blocker.rollback()

        thread = threading.Thread(target=release)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def set_for_all(engine: sa.Engine, setting: str) -> None:
    with engine.begin() as connection:
        name = connection.execute(sa.text("SELECT current_database()")).scalar_one()
        connection.execute(sa.text(f'ALTER DATABASE "{name}" SET {setting}'))


def test_lock_timeout_is_retried(postgres_url: str, make_pg_batch: Callable[[str, int], Batch]) -> None:
    batch = make_pg_batch("locked", WORKFLOWS)
    set_for_all(batch.engine, "lock_timeout = '100ms'")
    with blocked_twice(batch.engine):
        assert run_here("apply", batch.path, "--database-url", postgres_url, "--retry-budget", "10m") == 0
    batch.check_complete()


LOCKS = {
    "a table": "LOCK TABLE dbos.workflow_status",
    "a table against writers": "LOCK TABLE dbos.workflow_status IN SHARE MODE",
    "the inputs": "LOCK TABLE dbos.workflow_input",
    "an ID": "INSERT INTO dbos.workflow_status (workflow_uuid, created_at) VALUES ('held-3', 1)",
}


@pytest.mark.parametrize("locked", LOCKS)
def test_lock_of_another_transaction_ends_the_apply_after_the_lock_timeout(
    postgres_url: str,
    make_pg_batch: Callable[[str, int], Batch],
    capsys: pytest.CaptureFixture[str],
    locked: str,
) -> None:
    batch = make_pg_batch("held", WORKFLOWS)
    words = ["apply", batch.path, "--database-url", postgres_url, "--retry-budget", "10m"]
    with batch.engine.connect() as connection:
        pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
        connection.execute(sa.text(LOCKS[locked]))
        assert run_here(*words, "--lock-timeout", "1s") == 6
    error = capsys.readouterr().err
    assert f"process {pid}," in error and "--lock-timeout" in error
    assert batch.rows() == {}
    assert run_here(*words) == 0
    batch.check_complete()


def test_statement_timeout_ends_with_a_hint(
    postgres_url: str, make_pg_batch: Callable[[str, int], Batch], capsys: pytest.CaptureFixture[str]
) -> None:
    batch = make_pg_batch("slow", WORKFLOWS)
    set_for_all(batch.engine, "statement_timeout = '500ms'")
    with blocked_writes(batch.engine):
        assert run_here("apply", batch.path, "--database-url", postgres_url) == 3
    told = capsys.readouterr().err
    assert "statement timeout" in told and "--chunk-size" in told
    assert batch.rows() == {}
    assert run_here("apply", batch.path, "--database-url", postgres_url) == 0
    batch.check_complete()


def test_idle_transaction_timeout_does_not_release_the_lock(
    postgres_url: str, make_pg_batch: Callable[[str, int], Batch]
) -> None:
    batch = make_pg_batch("idle", 3000)
    set_for_all(batch.engine, "idle_in_transaction_session_timeout = '100ms'")
    assert run_here("apply", batch.path, "--database-url", postgres_url, "--chunk-size", 20) == 0
    batch.check_complete()


def test_created_at_increases_after_the_clock_was_set_back(
    database_url: str, engine: sa.Engine, make_batch: Callable[[str, int], Batch]
) -> None:
    """Workflows of the fast clock are still queued, and later workflows come after them."""
    words = ["--database-url", database_url]
    assert run_here("apply", make_batch("clock", WORKFLOWS).path, *words) == 0
    batch = make_batch("clock", 2 * WORKFLOWS)
    with engine.begin() as connection:
        ahead = f"UPDATE {batch.tables}workflow_status SET created_at = created_at + {HOUR_MS}"
        connection.execute(sa.text(f"{ahead}, updated_at = updated_at + {HOUR_MS}"))
    batch.lockfile.unlink()
    assert run_here("apply", batch.path, *words) == 0
    batch.check_complete()
    created = [batch.rows()[workflow_id][0] for workflow_id in batch.ids]
    assert created == sorted(created)


AHEAD = ("25 hours", 25 * HOUR_MS), ("10 years", 87_600 * HOUR_MS), ("another unit", 2**53)


@pytest.mark.parametrize("ahead_ms", [ms for _, ms in AHEAD], ids=[name for name, _ in AHEAD])
@pytest.mark.parametrize("recorded", [True, False], ids=["with lockfile", "without lockfile"])
@pytest.mark.parametrize("which", ["all", "one"])
def test_row_of_a_fast_clock_moves_no_later_one(
    database_url: str,
    engine: sa.Engine,
    make_batch: Callable[[str, int], Batch],
    capsys: pytest.CaptureFixture[str],
    which: str,
    recorded: bool,
    ahead_ms: int,
) -> None:
    words = ["--database-url", database_url]
    assert run_here("apply", make_batch("clock", WORKFLOWS).path, *words) == 0
    batch = make_batch("clock", 2 * WORKFLOWS)
    with engine.begin() as connection:
        change = f"UPDATE {batch.tables}workflow_status SET created_at = created_at + :ahead"
        change += " WHERE :which IN ('all', workflow_uuid)"
        connection.execute(sa.text(change), {"ahead": ahead_ms, "which": which.replace("one", "clock-7")})
    before = {workflow_id: created_at for workflow_id, (created_at, _) in batch.rows().items()}
    if not recorded:
        batch.lockfile.unlink()
    capsys.readouterr()
    assert run_here("plan", batch.path, *words) == 0
    planned = capsys.readouterr()
    assert "queued-in-the-future" in planned.out + planned.err
    assert "`clock-7`" in planned.out + planned.err or which == "all"
    assert run_here("apply", batch.path, *words) == 0
    rows = {workflow_id: created_at for workflow_id, (created_at, _) in batch.rows().items()}
    limit = time.time() * 1000 + HOUR_MS
    assert len(rows) == 2 * WORKFLOWS
    assert all(created_at < limit for workflow_id, created_at in rows.items() if workflow_id not in before)
    if which == "one":  # those of the right clock still come first
        first = max(created_at for created_at in before.values() if created_at < limit)
        assert all(created_at >= first for key, created_at in rows.items() if key not in before)


DAMAGE: dict[str, tuple[Callable[[str], str | None], int]] = {
    "deleted": (lambda text: None, 0),
    "every second line lost": (lambda text: "".join(text.splitlines(keepends=True)[::2]), 0),
    "no digests": (lambda text: text.replace('"digest":"', '"digest":"!'), 6),
    "digests that are not the workflows'": (
        lambda text: "\n".join([*rotate_digests(text.splitlines()), ""]),
        0,
    ),
    "cut inside a line": (lambda text: text[: len(text) // 2], 6),
    "empty": (lambda text: "", 6),
    "of another database": (lambda text: text.replace('"database":"', '"database":"0', 1), 6),
    "unmerged": (lambda text: f"{text}<<<<<<< HEAD\n", 6),
}


def rotate_digests(lines: list[str]) -> list[str]:
    digests = [line.split('"digest":"')[1][:22] for line in lines[1:]]
    return [lines[0]] + [
        line.replace(own, other)
        for line, own, other in zip(lines[1:], digests, digests[1:] + digests[:1], strict=True)
    ]


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_lockfile_is_refused_or_corrected(
    database_url: str, make_batch: Callable[[str, int], Batch], how: str
) -> None:
    """Apply refuses it or corrects it from the rows; without a lockfile it finds the rows."""
    damage, expected = DAMAGE[how]
    batch = make_batch("damaged", WORKFLOWS)
    words = ["apply", batch.path, "--database-url", database_url]
    assert run_here(*words) == 0
    good = [line.split(',"outcome"')[0] for line in batch.lockfile.read_text().splitlines()]
    text = damage(batch.lockfile.read_text())
    batch.lockfile.unlink()
    if text is not None:
        batch.lockfile.write_text(text)
    assert run_here(*words) == expected
    if expected:
        assert batch.lockfile.read_text() == text
        batch.lockfile.unlink()
        assert run_here(*words) == 0
    batch.check_complete()
    lines = [
        line.split(',"outcome"')[0].removesuffix("}") for line in batch.lockfile.read_text().splitlines()
    ]
    assert lines == [line.removesuffix("}") for line in good]
