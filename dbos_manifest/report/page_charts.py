"""Lay out the charts of a status page: a histogram of durations, and counts over time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from ..core.units import describe_duration, format_timestamp
from ..planning.status_cells import percentile_of
from ..planning.status_detail import StatusDetail

WIDTH, HEIGHT = 560, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 12, 30
_DAY_MS = 86_400_000
_STEPS_MS = (
    1000,
    5000,
    15_000,
    60_000,
    300_000,
    900_000,
    3_600_000,
    10_800_000,
    21_600_000,
    _DAY_MS,
    7 * _DAY_MS,
)
_MOST_BINS = 48
_FEW_BINS = 24  # of a histogram
_WIDE = 5  # the quotient of the longest and the shortest duration from which bins grow


class Tick(NamedTuple):
    """A label at a place of an axis."""

    at: float
    text: str
    anchor: str = "middle"


class Bar(NamedTuple):
    """A bar of a histogram: how many workflows ran for a duration."""

    x: float
    y: float
    width: float
    height: float
    label: str
    workflows: str


class Histogram(NamedTuple):
    """Bars with their axes."""

    bars: Sequence[Bar]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]


class Line(NamedTuple):
    """A line, as the points of an SVG polyline."""

    name: str
    points: str
    total: str


class Timeline(NamedTuple):
    """Lines that count workflows up to each moment, and the numbers of each step of time."""

    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    rows: Sequence[tuple[str, Sequence[str]]]


def make_histogram(durations_ms: Sequence[int]) -> Histogram | None:
    """Count durations in bins of equal width; bins grow where the durations differ by much.

    None if all durations are equal.
    """
    ordered = sorted(durations_ms)
    if not ordered or ordered[0] == ordered[-1]:
        return None
    edges = _edges(ordered)
    places = [bisect_right(ordered, edge) for edge in edges[:-1]]  # a value on an edge is in the lower bin
    counts = [end - begin for begin, end in zip([0, *places], [*places, len(ordered)], strict=True)]
    lows = [ordered[0], *edges[:-1]]
    top = _nice_top(max(counts))
    width = (WIDTH - _LEFT - _RIGHT) / len(counts)
    bars = []
    for place, (count, low, high) in enumerate(zip(counts, lows, edges, strict=True)):
        height = _scale(count, top)
        label = f"{describe_duration(low)} – {describe_duration(high)}"
        bar = Bar(
            _LEFT + place * width, HEIGHT - _BOTTOM - height, max(width - 1, 1), height, label, f"{count:,}"
        )
        bars.append(bar)
    every = -(-len(edges) // 5)
    ticks = [
        Tick(_LEFT + place * width, describe_duration(low))
        for place, low in enumerate(lows)
        if place % every == 0 and (len(lows) - place >= every or not place)
    ]
    return Histogram(bars, [*ticks, Tick(WIDTH - _RIGHT, describe_duration(edges[-1]), "end")], _y_ticks(top))


def _edges(ordered: Sequence[int]) -> list[int]:
    """Return the upper edges of bins of sorted durations in ms."""
    low, high = ordered[0], ordered[-1]
    if high > _WIDE * max(low, 1):
        begin = max(low, 1)
        ratio = (high / begin) ** (1 / _FEW_BINS)
        edges = [round(begin * ratio**place) for place in range(1, _FEW_BINS)]
    else:
        edges = [low + (high - low) * place // _FEW_BINS for place in range(1, _FEW_BINS)]
    return [*sorted({edge for edge in edges if low < edge < high}), high]


def make_timeline(detail: StatusDetail, as_of_ms: int, *, unfinished: bool) -> Timeline | None:
    """Count workflows up to each moment: until the last one ended, or until now if any is unfinished.

    Units:  epoch ms. A stored time that is more than a day ahead of the database's clock is skipped.
    """
    series = {"enqueued": detail.enqueued_ms, "succeeded": detail.succeeded_ms, "failed": detail.failed_ms}
    ordered = {name: _until(sorted(times), as_of_ms + _DAY_MS) for name, times in series.items()}
    known = [times for times in ordered.values() if times]
    if not known:
        return None
    begin = min(times[0] for times in known)
    end = max(as_of_ms if unfinished else begin, *(times[-1] for times in known))
    step = _step_of(end - begin)
    first = begin // step * step
    bins = (end - first) // step + 1
    counts = {name: _count(times, first, step, bins) for name, times in ordered.items() if times}
    top = _nice_top(max(map(sum, counts.values())))
    width = (WIDTH - _LEFT - _RIGHT) / bins
    lines = []
    for name, numbers in counts.items():
        heights = accumulate(numbers, initial=0)
        points = " ".join(
            f"{_LEFT + place * width:.1f},{HEIGHT - _BOTTOM - _scale(height, top):.1f}"
            for place, height in enumerate(heights)
        )
        lines.append(Line(name, points, f"{sum(numbers):,}"))
    rows = [
        (_time(first + place * step), [f"{numbers[place]:,}" for numbers in counts.values()])
        for place in range(bins)
        if any(numbers[place] for numbers in counts.values())
    ]
    return Timeline(lines, [*_time_ticks(first, step, bins)], _y_ticks(top), rows)


def _until(ordered: Sequence[int], most: int) -> Sequence[int]:
    return ordered[: bisect_right(ordered, most)]


def _step_of(span_ms: int) -> int:
    fitting = (step for step in _STEPS_MS if span_ms // step < _MOST_BINS)
    return next(fitting, -(-span_ms // _MOST_BINS // _DAY_MS) * _DAY_MS)


def _count(ordered: Sequence[int], first: int, step: int, bins: int) -> list[int]:
    places = [bisect_right(ordered, first + place * step - 1) for place in range(bins + 1)]
    return [end - begin for begin, end in pairwise(places)]


def _time_ticks(first: int, step: int, bins: int) -> Iterator[Tick]:
    left, right = _time(first), _time(first + bins * step)
    yield Tick(_LEFT, left, "start")
    yield Tick(WIDTH - _RIGHT, right.partition(" ")[2] if right[:10] == left[:10] else right, "end")


def _time(epoch_ms: int) -> str:
    return format_timestamp(epoch_ms).replace("T", " ").removesuffix("Z")


def _y_ticks(top: int) -> list[Tick]:
    counts = (0, top // 2, top) if top > 1 else (0, top)
    return [Tick(HEIGHT - _BOTTOM - _scale(count, top), f"{count:,}") for count in counts]


def _scale(count: int, top: int) -> float:
    return count / top * (HEIGHT - _TOP - _BOTTOM)


def _nice_top(most: int) -> int:
    """Return the least even number with one or two digits before its zeros that is not exceeded."""
    step = 2 * int("1".ljust(len(str(most)) - 1, "0"))
    return max(-(-most // step) * step, 2)


def describe_percentiles(durations_ms: Sequence[int], percents: Sequence[int]) -> list[str]:
    """Return the durations that these shares of workflows did not exceed; `-` without workflows."""
    ordered = sorted(durations_ms)
    found = [percentile_of(ordered, percent) for percent in percents]
    return ["-" if value is None else describe_duration(value) for value in found]
