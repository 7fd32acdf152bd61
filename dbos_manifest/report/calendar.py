"""Draw a calendar: a row for each weekday, a column for each week, and a letter for the worst status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise

from ..core.plural import count_of
from ..planning.status_cells import CellT, is_date
from .screen import Screen, wrap_parts
from .status_marks import FAILED, MARKS, Mark, mark_of

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LABEL = 6  # cells before the first week
_MOST_YEARS = 6
_RUNS_SHOWN = 6
_SHORTEST_STEP = 28  # days: a longer one makes a calendar too thin


def find_date_axis(keys: Iterable[tuple[str, ...]]) -> int | None:
    """Return the place of the first value of keys that is a date, days or shorter apart for the most part."""
    for place, labels in enumerate(map(set, zip(*keys, strict=True))):
        found = [*filter(None, map(_day_of, labels))]
        dated = sorted(set(found))
        if len(dated) >= 2 and 2 * len(found) > len(labels):
            gaps = sorted((later - earlier).days for earlier, later in pairwise(dated))
            if gaps[len(gaps) // 2] < _SHORTEST_STEP:
                return place
    return None


def group_by_day(
    cells: Mapping[tuple[str, ...], CellT], place: int, make: Callable[[], CellT]
) -> dict[tuple[str, ...], dict[date, CellT]]:
    """Merge the cells of each day, for every combination of the other values; `place` is that of the date."""
    calendars: dict[tuple[str, ...], dict[date, CellT]] = {}
    for key, cell in cells.items():
        if (day := _day_of(key[place])) is not None:
            days = calendars.setdefault(key[:place] + key[place + 1 :], {})
            days.setdefault(day, make()).merge(cell)
    return calendars


def _day_of(label: str) -> date | None:
    """Return the day of a date or time; None for another value, and for such as 2026-02-30."""
    try:
        return date.fromisoformat(label[:10]) if is_date(label) else None
    except ValueError:
        return None


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
    yield from _labelled(screen, "Worst status of each day: ", legend, "   ")
    if failed := describe_failed_days(marks):
        text, *runs = failed
        yield from _labelled(screen, text, runs, ", ")


def _labelled(screen: Screen, label: str, parts: Sequence[str], separator: str) -> Iterator[str]:
    """Yield a label and its parts, which are aligned where they need several lines."""
    for place, line in enumerate(wrap_parts(parts, screen.width - _LABEL - len(label), separator)):
        yield f"{'':{_LABEL}}{label if place == 0 else '':{len(label)}}{line}"


def describe_failed_days(marks: Mapping[date, Mark]) -> list[str]:
    """Return `Failed on 9 days: ` and the first of these days or runs of days; nothing if no day failed."""
    failed = [day for day, mark in marks.items() if mark is FAILED]
    if not failed:
        return []
    runs = [*_runs([*marks], failed)]
    rest = sum(map(len, runs[_RUNS_SHOWN:]))
    texts = [f"{run[0]}" if len(run) == 1 else f"{run[0]} … {run[-1]}" for run in runs[:_RUNS_SHOWN]]
    more = [f"and {count_of(rest, 'more day')}"] if rest else []
    return [f"Failed on {count_of(len(failed), 'day')}: ", *texts, *more]


def _year_lines(screen: Screen, year: int, marks: Mapping[date, Mark]) -> Iterator[str]:
    rows = weeks_of(year)
    step = 2 if _LABEL + 2 * len(rows[0]) <= screen.width else 1
    header = ""
    for week, name in zip(month_weeks(year), MONTHS, strict=True):
        header = header.ljust(week * step) + name
    yield f"{year:<{_LABEL}}{header}".rstrip()
    for days, name in zip(rows, WEEKDAYS, strict=True):
        cells = []
        for day in days:
            mark = marks.get(day) if day is not None else None
            cells.append(screen.paint(mark.style, _letter(screen, mark)) if mark is not None else " ")
        yield f"  {name} {(' ' * (step - 1)).join(cells)}".rstrip()


def weeks_of(year: int) -> list[list[date | None]]:
    """Return the days of a year: a row for each weekday with a column for each week, None for other years."""
    first = date(year, 1, 1)
    days = (date(year, 12, 31) - first).days + 1
    before = first.weekday()
    weeks = -(-(before + days) // 7)
    rows: list[list[date | None]] = [[None] * weeks for _ in WEEKDAYS]
    for number in range(days):
        week, weekday = divmod(before + number, 7)
        rows[weekday][week] = first + timedelta(days=number)
    return rows


def month_weeks(year: int) -> list[int]:
    """Return the column of the week that has the first day of each month."""
    first = date(year, 1, 1)
    monday = first.toordinal() - first.weekday()
    return [(date(year, month, 1).toordinal() - monday) // 7 for month in range(1, 13)]


def _letter(screen: Screen, mark: Mark) -> str:
    return mark.letter if screen.has_unicode or mark.letter.isascii() else "."


def _runs(days: Sequence[date], chosen: Sequence[date]) -> Iterator[Sequence[date]]:
    """Yield the chosen days in runs of three or more that follow one another in `days`, others alone."""
    places = {day: place for place, day in enumerate(days)}
    run: list[date] = []
    for day in chosen:
        if run and places[day] != places[run[-1]] + 1:
            yield from _split_short(run)
            run = []
        run.append(day)
    yield from _split_short(run)


def _split_short(run: Sequence[date]) -> Iterator[Sequence[date]]:
    yield from [run] if len(run) > 2 else [[day] for day in run]
