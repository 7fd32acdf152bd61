"""Test how long a workflow waited and ran."""

from __future__ import annotations

import pytest

from dbos_manifest.core.units import describe_duration
from dbos_manifest.planning.durations import Durations, measure
from dbos_manifest.planning.rows import LiveRow

NOW = 100_000


def row(status: str, created: object, started: object, completed: object) -> LiveRow:
    return LiveRow("a", status, "f", "q", created, started, completed, 1, None, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "queued", "ran"),
    [
        (row("SUCCESS", 1_000, 3_000, 7_000), 2_000, 4_000),
        (row("ENQUEUED", 1_000, None, None), 99_000, None),
        (row("PENDING", 1_000, 3_000, None), 2_000, 97_000),
        (row("PENDING", 1_000, 3_000, 5_000), 2_000, 97_000),
        (row("CANCELLED", 1_000, None, 5_000), None, None),
        (row("SUCCESS", 1_500, 1_000, 1_000), 0, 0),  # whole seconds
        (row("SUCCESS", 9_000, 3_000, 1_000), None, None),  # clocks disagree
        (row("SUCCESS", "x", b"y", 2**70), None, None),
        (row("SUCCESS", 1_000, 1.5, None), None, None),
    ],
)
def test_durations_are_measured_from_stored_times(
    found: LiveRow, queued: int | None, ran: int | None
) -> None:
    assert measure(found, NOW) == Durations(queued, ran)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"), (999, "999 ms"), (1_000, "1.0 s"), (59_949, "59.9 s"), (59_950, "1 min 0 s"),
        (3_599_000, "59 min 59 s"), (3_599_999, "1 h 0 min"), (86_399_000, "23 h 59 min"),
        (86_400_000, "1 d 0 h"), (400 * 86_400_000, "400 d 0 h"),
    ],
)  # fmt: skip
def test_durations_are_described_in_two_units(milliseconds: int, text: str) -> None:
    assert describe_duration(milliseconds) == text
