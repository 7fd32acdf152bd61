"""Draw a calendar: a row for each weekday, a column for each week, and a letter for the worst status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from ..core.plural import count_of
from .screen import Screen, wrap_parts
from .status_marks import FAILED, MARKS, Mark, mark_of

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LABEL = 6  # cells before the first week
_MOST_YEARS = 6
_RUNS_SHOWN = 6


def calendar_lines(screen: Screen, days: Mapping[date, Mapping[str, int]]) -> Iterator[str]:
    """Yield a calendar for each year, the legend, and the days that have failures.

    Shape:  `days` has the number of workflows by status of each day; a week begins on Monday.
    """
    marks = {day: mark_of(statuses) for day, statuses in sorted(days.items()) if statuses}
    years = sorted({day.year for day in marks})
    for year in years[-_MOST_YEARS:]:
        yield from _year_lines(screen, year, {day: mark for day, mark in marks.items() if day.year == year})
    if len(years) > _MOST_YEARS:
        yield f"  {count_of(len(years) - _MOST_YEARS, 'earlier year')} not shown: use --select"
    used = [mark for mark in MARKS if mark in marks.values()]
    legend = [f"{screen.paint(mark.style, _letter(screen, mark))} {mark.meaning}" for mark in used]
    for line in wrap_parts(legend, screen.width - _LABEL, "   "):
        yield f"{'':{_LABEL}}{line}"
    failed = [day for day, mark in marks.items() if mark is FAILED]
    if failed:
        runs = [*_runs([*marks], failed)]
        more = [f"{len(runs) - _RUNS_SHOWN:,} more"] if len(runs) > _RUNS_SHOWN else []
        text = f"Failed on {count_of(len(failed), 'day')}: "
        lines = wrap_parts([*runs[:_RUNS_SHOWN], *more], screen.width - _LABEL - len(text), ", ")
        for place, line in enumerate(lines):
            yield f"{'':{_LABEL}}{text if place == 0 else '':{len(text)}}{line}"


def _year_lines(screen: Screen, year: int, marks: Mapping[date, Mark]) -> Iterator[str]:
    first = date(year, 1, 1)
    monday = first - timedelta(days=first.weekday())
    weeks = (date(year, 12, 31) - monday).days // 7 + 1
    step = 2 if _LABEL + 2 * weeks <= screen.width else 1
    header = ""
    for month, name in enumerate(_MONTHS, 1):
        # a month is named above the first week that begins in it, or with it
        column = -(-(date(year, month, 1) - monday).days // 7) * step
        header = header.ljust(column) + name
    yield f"{year:<{_LABEL}}{header}".rstrip()
    for weekday, name in enumerate(_WEEKDAYS):
        cells = []
        for week in range(weeks):
            mark = marks.get(monday + timedelta(days=7 * week + weekday))
            cells.append(screen.paint(mark.style, _letter(screen, mark)) if mark is not None else " ")
        yield f"  {name} {(' ' * (step - 1)).join(cells)}".rstrip()


def _letter(screen: Screen, mark: Mark) -> str:
    return mark.letter if screen.has_unicode or mark.letter.isascii() else "."


def _runs(days: Sequence[date], chosen: Sequence[date]) -> Iterator[str]:
    """Yield `2025-12-01 … 2025-12-31` for each run of days that follow one another in `days`."""
    places = {day: place for place, day in enumerate(days)}
    begin = end = chosen[0]
    for day in chosen[1:]:
        if places[day] != places[end] + 1:
            yield _run(begin, end)
            begin = day
        end = day
    yield _run(begin, end)


def _run(begin: date, end: date) -> str:
    return f"{begin}" if begin == end else f"{begin} … {end}"
