"""Cut the connection at a message of an apply, before the server gets it or before its reply arrives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fault_harness import COUNTS, THOROUGH, Batch, run_here
from proxy import CuttingProxy
from toolchains import IN_FAULTS

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
WORKFLOWS, CHUNK = 6, 2
STEP = 1 if THOROUGH else 9  # every message, or every ninth one


@pytest.mark.parametrize("deliver", [False, True], ids=["request lost", "reply lost"])
@pytest.mark.parametrize("atomic", [False, True], ids=["transactions", "atomic"])
def test_apply_completes_when_any_message_is_cut(
    database_url: str, make_batch: Callable[[str, int], Batch], deliver: bool, atomic: bool
) -> None:
    options = ["--chunk-size", CHUNK, "--retry-budget", "10m", *(["--atomic"] if atomic else [])]
    with CuttingProxy(database_url) as proxy:
        url = proxy.url(database_url)
        assert run_here("apply", make_batch("whole", WORKFLOWS).path, "--database-url", url, *options) == 0
        messages = proxy.messages
        assert messages > 20
        codes: dict[int, int] = {}
        for point in range(1, messages + 1, STEP):
            batch = make_batch(f"cut{point}", WORKFLOWS)
            proxy.arm(point, deliver=deliver)
            code = run_here("apply", batch.path, "--database-url", url, *options)
            if proxy.cuts:
                codes[code] = codes.get(code, 0) + 1
            else:  # the number of messages varies, because an apply has two threads
                assert code == 0 and point > proxy.messages
            batch.check_honest()
            if code == 0:
                batch.check_complete()
            proxy.arm(None, deliver=False)
            assert run_here("apply", batch.path, "--database-url", url) == 0
            batch.check_complete()
            assert run_here("apply", batch.path, "--database-url", url, "--locked") == 0
    COUNTS.append(
        f"{sum(codes.values())} of {messages} points cut; exit codes {codes}; 0 lost, 0 doubled, 0 lies"
    )
    assert codes.keys() <= {0, 3, 5}
    assert sum(codes.values()) > messages / STEP / 2
    assert codes[0] > sum(codes.values()) // 2


@pytest.mark.parametrize("deliver", [False, True], ids=["request lost", "reply lost"])
@pytest.mark.parametrize("atomic", [False, True], ids=["transactions", "atomic"])
def test_rows_of_a_lost_commit_are_not_inserted_again_after_their_removal(
    database_url: str, make_batch: Callable[[str, int], Batch], deliver: bool, atomic: bool
) -> None:
    """The same apply finds out what a lost COMMIT did before it inserts the rows again."""
    options = ["--chunk-size", CHUNK, "--retry-budget", "10m", *(["--atomic"] if atomic else [])]
    cuts = 0
    with CuttingProxy(database_url) as proxy:
        url = proxy.url(database_url)
        while True:
            batch = make_batch(f"c{cuts}", WORKFLOWS)
            ran: set[str] = set()

            def remove(batch: Batch = batch, ran: set[str] = ran) -> None:
                batch.wait_for_its_server()
                ran |= batch.run_and_remove()

            proxy.arm(cuts + 1, deliver=deliver, containing=b"COMMIT", on_cut=remove)
            assert run_here("apply", batch.path, "--database-url", url, *options) == 0
            proxy.wait()
            assert batch.locked().keys() == batch.ids.keys()
            assert not ran & batch.rows().keys()
            assert ran | batch.rows().keys() == batch.ids.keys()
            assert not batch.journal.exists()
            if not proxy.cuts:
                break
            cuts += 1
            assert ran or not deliver  # its COMMIT was already done
    assert cuts >= (1 if atomic else WORKFLOWS // CHUNK)
    COUNTS.append(f"{cuts} COMMITs cut and all rows deleted; 0 lost, 0 doubled")


@pytest.mark.skipif(not THOROUGH, reason=IN_FAULTS)
def test_finished_workflows_are_not_enqueued_again_when_any_message_is_cut(
    database_url: str, make_batch: Callable[[str, int], Batch]
) -> None:
    """Neither this apply nor the next one enqueues them again."""
    codes: dict[int, int] = {}
    with CuttingProxy(database_url) as proxy:
        url, point = proxy.url(database_url), 0
        while True:
            point += 1
            batch = make_batch(f"p{point}", WORKFLOWS)
            ran: set[str] = set()

            def remove(batch: Batch = batch, ran: set[str] = ran) -> None:
                batch.wait_for_its_server()
                ran |= batch.run_and_remove()

            proxy.arm(point, deliver=True, on_cut=remove)
            words = ["apply", batch.path, "--database-url", url]
            code = run_here(*words, "--chunk-size", CHUNK, "--retry-budget", "10m")
            proxy.wait()
            if not proxy.cuts:
                break
            codes[code] = codes.get(code, 0) + 1
            assert not ran & batch.rows().keys()
            ran |= batch.run_and_remove()
            proxy.arm(None, deliver=False)
            assert run_here(*words, "--skip-missing") == 0
            assert not ran & batch.rows().keys()
            assert ran | batch.rows().keys() == batch.ids.keys()
            assert batch.locked().keys() == batch.ids.keys()
    COUNTS.append(f"{point - 1} points cut and all rows deleted; exit codes {codes}; 0 lost, 0 doubled")
    assert codes.keys() <= {0, 3, 5}
