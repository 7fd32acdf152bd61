"""Test work in a second thread: it is done in order, one item at a time, and always finished."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from waiting import PATIENCE_S

from dbos_manifest.actions.prefetch import work_ahead


def nothing() -> None:
    pass


def test_results_are_paired_with_their_items_in_order() -> None:
    with work_ahead(lambda n: n * n, range(5), nothing) as pairs:
        assert list(pairs) == [(0, 0), (1, 1), (2, 4), (3, 9), (4, 16)]
    with work_ahead(lambda n: n, [], nothing) as pairs:
        assert list(pairs) == []


def test_next_item_is_produced_while_the_previous_one_is_processed() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    with work_ahead(lambda n: made.wait(PATIENCE_S), items(), nothing) as pairs:
        assert list(pairs) == [(1, True), (2, True)]


def test_no_item_is_started_after_a_failure() -> None:
    begun = []

    def work(n: int) -> int:
        begun.append(n)
        return 1 // (n - 1)

    with pytest.raises(ZeroDivisionError), work_ahead(work, range(9), nothing) as pairs:
        for _ in pairs:
            pass
    assert begun == [0, 1]


def test_started_work_is_finished_when_the_caller_fails() -> None:
    finished = []
    go = threading.Event()

    def work(n: int) -> None:
        go.wait(PATIENCE_S)
        finished.append(n)

    def items() -> Iterator[int]:
        yield 1
        go.set()
        raise KeyError

    with pytest.raises(KeyError), work_ahead(work, items(), nothing) as pairs:
        list(pairs)
    assert finished == [1]


def test_interrupt_stops_the_work() -> None:
    cut = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        work_ahead(lambda n: cut.wait(PATIENCE_S), items(), cut.set) as pairs,
    ):
        list(pairs)
    assert cut.is_set()
