"""Lay out the number of workflows by status as a table, with a row for each value of an axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..core.plural import count_of
from ..core.units import describe_duration, format_timestamp
from ..planning.status_cells import StatusCell
from ..planning.status_table import StatusSummary, order_statuses
from .screen import Cell, Screen, table_lines
from .status_marks import MARKS, UNKNOWN, mark_of_status
from .text import count_cells, printable

_MOST_ROWS = 50
_LONGEST_HEADING = 12
_LONGEST_LABEL = 24
_TIMES = ("run p50", "run p90", "last finished")


class _Column(NamedTuple):
    """One or several statuses that are counted together."""

    heading: str
    style: str
    statuses: tuple[str, ...]


def axis_table_lines(screen: Screen, summary: StatusSummary) -> Iterator[str]:
    """Yield the table, with as many columns as fit; statuses are merged only where they do not fit."""
    cells = [*summary.cells.items()]
    if len(cells) > _MOST_ROWS:
        cells = sorted(cells, key=lambda item: -item[1].failed)
    single, merged = _columns(screen, summary), _merged_columns(summary)
    for columns, times in ((single, _TIMES), (single, _TIMES[:2]), (single, ()), (merged, ())):
        names = [screen.fit(printable(name), _LONGEST_LABEL) for name in summary.by]
        headings = [*names, *(column.heading for column in columns), *times]
        rows = [[Cell(heading, "dim") for heading in headings]]
        for key, cell in cells[:_MOST_ROWS]:
            labels = [Cell(screen.fit(printable(value), _LONGEST_LABEL)) for value in key]
            counts = [_count(cell, column) for column in columns]
            rows.append([*labels, *counts, *_times(cell, times, summary.as_of_ms)])
        plain_lines = table_lines(Screen(screen.width), rows, left=len(names))
        if max(map(count_cells, plain_lines)) <= screen.width:
            break
    yield from table_lines(screen, rows, left=len(names))
    if len(cells) > _MOST_ROWS:
        yield f"  {count_of(len(cells) - _MOST_ROWS, 'more row')}, with fewer failures: -o csv"


def _columns(screen: Screen, summary: StatusSummary) -> list[_Column]:
    statuses = order_statuses([*{"SUCCESS", "ERROR"} | summary.total.counts.keys()])
    return [
        _Column(screen.fit(printable(status), _LONGEST_HEADING), mark_of_status(status).style, (status,))
        for status in statuses
    ]


def _merged_columns(summary: StatusSummary) -> list[_Column]:
    """Return a column for each mark of a calendar."""
    found = []
    for mark in reversed(MARKS):
        statuses = tuple(status for status in summary.total.counts if mark_of_status(status) is mark)
        if statuses:
            heading = mark.letter if mark is UNKNOWN else mark.meaning  # so that all of them fit 80 cells
            found.append(_Column(heading, mark.style, statuses))
    return found


def _count(cell: StatusCell, column: _Column) -> Cell:
    count = sum(cell.counts[status] for status in column.statuses)
    return Cell(f"{count:,}", column.style if count else "dim")


def _times(cell: StatusCell, times: Sequence[str], as_of_ms: int) -> Iterator[Cell]:
    if times:
        for percent in (50, 90):
            yield Cell(duration_or_dash(cell.percentile(percent)))
    if "last finished" in times:
        yield Cell(describe_time(cell.last_ms, as_of_ms))


def duration_or_dash(duration_ms: int | None) -> str:
    """Return a duration, or `-` without one."""
    return "-" if duration_ms is None else describe_duration(duration_ms)


def describe_time(epoch_ms: int | None, as_of_ms: int) -> str:
    """Return the time of day in UTC, such as `09:18:02Z`; the full time if that is another day's."""
    if epoch_ms is None:
        return "-"
    text = format_timestamp(epoch_ms // 1000 * 1000)
    day, _, clock = text.partition("T")
    return clock if format_timestamp(as_of_ms).startswith(day) else text
