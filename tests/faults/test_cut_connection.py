"""The connection is cut at a message of an apply, before the server has it or before its answer is back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fault_harness import COUNTS, THOROUGH, Batch, run_here
from proxy import CuttingProxy

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
WORKFLOWS, CHUNK = 6, 2
STEP = 1 if THOROUGH else 9  # every message, or each ninth


@pytest.mark.parametrize("deliver", [False, True], ids=["request lost", "answer lost"])
@pytest.mark.parametrize("atomic", [False, True], ids=["chunks", "atomic"])
def test_every_point_of_an_apply(
    database_url: str, make_batch: Callable[[str, int], Batch], deliver: bool, atomic: bool
) -> None:
    options = ["--chunk-size", CHUNK, "--retry-budget", "20s", *(["--atomic"] if atomic else [])]
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
            else:  # two threads: an apply may do with some messages less
                assert code == 0 and point > proxy.messages > messages - 10
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
    assert codes[0] > sum(codes.values()) // 2
