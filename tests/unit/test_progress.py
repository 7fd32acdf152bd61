"""Progress: rates, the time that is left, counts in words, and when plain lines are written."""

from __future__ import annotations

import pytest

from dbos_manifest.cli.progress import PlainLines, Stopwatch
from dbos_manifest.planning.results import Progress, WaitProgress
from dbos_manifest.report.progress import (
    bar_parts,
    describe_pace,
    describe_statuses,
    enqueue_snapshot,
    progress_line,
    wait_snapshot,
)


@pytest.mark.parametrize(
    ("ended", "left", "seconds", "pace"),
    [
        (100_000, 75_000, 4, ["25,000/s", "about 3 s left"]),
        (41, 301, 60, ["41/min", "about 7 min left"]),
        (3, 2, 2, ["1.5/s", "about 1 s left"]),
        (2, 1, 2, ["1/s", "about 1 s left"]),
        (2, 1, 2 * 3600, ["1/h", "about 1 h 0 min left"]),
        (59, 3540, 59, ["1/s", "about 59 min left"]),
        (5, 0, 2, ["2.5/s"]),
        (1, 596, 10, ["6/min", "about 1 h 39 min left"]),
        (10, 10**30, 1, ["10/s", "about 99 d or more left"]),
        (0, 20, 60, []),
        (-1, 20, 60, []),
        (0, 0, 0, []),
        (20, 20, 0.5, []),
        (1, 20, 3601, []),
        (1, 20, float("inf"), []),
    ],
)
def test_pace(ended: int, left: int, seconds: float, pace: list[str]) -> None:
    assert describe_pace(ended, left, seconds) == pace


@pytest.mark.parametrize(
    ("counts", "disappeared", "line", "text"),
    [
        (
            {"SUCCESS": 1175, "ERROR": 12, "PENDING": 20, "ENQUEUED": 301},
            0,
            "1,175 done, 12 failed, 20 running, 301 waiting",
            "1,175 succeeded, 12 failed, 20 running, 301 waiting",
        ),
        (
            {"DELAYED": 1, "ENQUEUED": 2, "CANCELLED": 1},
            3,
            "1 failed, 3 waiting, 3 disappeared",
            "1 failed (1 CANCELLED), 3 waiting (2 ENQUEUED, 1 DELAYED), 3 disappeared",
        ),
        ({"NEW\x1b[31m": 1}, 0, "1 NEW\\x1b[31m", "1 NEW\\x1b[31m"),
        ({"SUCCESS": 0}, 0, "no workflows", ""),
        ({}, 1, "1 disappeared", "1 disappeared"),
    ],
)
def test_counts_in_words(counts: dict[str, int], disappeared: int, line: str, text: str) -> None:
    total = sum(counts.values()) + disappeared
    assert progress_line(wait_snapshot(WaitProgress("jobs", counts, disappeared, total)), ()) == line
    assert describe_statuses(counts, disappeared) == text


def test_ended_counts_final_statuses_and_rows_that_disappeared() -> None:
    counts = {"SUCCESS": 3, "CANCELLED": 1, "PENDING": 5, "DELAYED": 7}
    assert WaitProgress("jobs", counts, 2, 18).ended == 6


@pytest.mark.parametrize("total", [0, 1, 3, 7, 24, 1000])
def test_a_bar_has_its_width_and_the_colour_of_each_count(total: int) -> None:
    for done in range(min(total, 30) + 1):
        counts = {"SUCCESS": done, "ENQUEUED": total - done}
        parts = bar_parts(wait_snapshot(WaitProgress("jobs", counts, 0, total)), 24)
        assert sum(cells for cells, _ in parts) == 24
        assert all(cells >= 0 and style in ("green", "dim", "") for cells, style in parts)


def test_plain_lines_are_written_every_ten_seconds_and_at_the_end() -> None:
    now, written = 0.0, list[str]()

    def clock() -> float:
        return now

    watch = Stopwatch(clock)
    lines = PlainLines(written.append, clock)
    for second in range(31):
        now = float(second)
        snapshot = enqueue_snapshot(Progress("jobs", second * 1000, 30_500))
        lines.show(snapshot, watch.report(snapshot))
    assert written == [
        "enqueued: 10,000 of 30,500, 1,000/s, about 20 s left",
        "enqueued: 20,000 of 30,500, 1,000/s, about 10 s left",
        "enqueued: 30,000 of 30,500, 1,000/s, about 1 s left",
    ]
    now = 30.5
    snapshot = enqueue_snapshot(Progress("jobs", 30_500, 30_500))
    lines.show(snapshot, watch.report(snapshot))
    assert len(written) == 3
    lines.close()
    lines.close()
    assert written[3:] == ["enqueued: 30,500 of 30,500, 1,000/s"]
    assert watch.seconds == {"jobs": 30.5}


def test_the_last_line_of_each_manifest_is_written() -> None:
    written = list[str]()
    lines = PlainLines(written.append, lambda: 0.0)
    for name in ("a", "b"):
        for done in (1, 2):
            lines.show(enqueue_snapshot(Progress(name, done, 2)), ())
    lines.close()
    assert written == ["enqueued: 2 of 2", "enqueued: 2 of 2"]


@pytest.mark.parametrize(
    ("since_start", "seconds"), [(False, {"a": 5.0, "b": 3.0}), (True, {"a": 5.0, "b": 8.0})]
)
def test_the_seconds_of_several_manifests(since_start: bool, seconds: dict[str, float]) -> None:
    now = 100.0
    watch = Stopwatch(lambda: now, since_start=since_start)
    for at, name, done in ((102.0, "a", 1), (105.0, "a", 4), (106.0, "b", 3), (108.0, "b", 4)):
        now = at
        pace = watch.report(enqueue_snapshot(Progress(name, done, 4)))
    assert watch.seconds == seconds
    assert pace == ["30/min"]  # only what ended after the first report counts
