"""Lay out the cells of a status page as calendars or grids, each with the IDs that it lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from ..core.plural import count_of
from ..planning.status_cells import StatusCell
from ..planning.status_detail import Listed, ListedCell, StatusDetail
from .calendar import (
    MONTHS,
    WEEKDAYS,
    describe_failed_days,
    find_date_axis,
    group_by_day,
    month_weeks,
    weeks_of,
)
from .status_marks import FAILED, MARKS, Mark, mark_of, mark_of_status
from .stored_results import describe_output
from .text import printable, shorten

MOST_CALENDARS = 24
_MOST_YEARS = 6
_MOST_COLUMNS = 60  # of a grid
_MOST_ROWS = 200
_WIDEST_HEADINGS = 100  # characters of the headings of a grid in one line
_MOST_LISTED = 20  # IDs of a cell
_LONGEST_ID = 200
_LONGEST_LABEL = 60
_KINDS = dict(
    zip(MARKS, ("failed", "cancelled", "absent", "unknown", "running", "waiting", "succeeded"), strict=True)
)
Key = tuple[str, ...]


class IdList(NamedTuple):
    """IDs with the same status."""

    status: str
    kind: str  # the class of the mark of its status
    workflows: str
    ids: Sequence[str]
    more: str  # how many are not listed; empty for none


class IdPanel(NamedTuple):
    """The IDs of a cell, in a panel that opens from it."""

    number: int  # unique on the page
    title: str
    lists: Sequence[IdList]


class Square(NamedTuple):
    """A cell, drawn with a colour: in a calendar as a letter or digit, in a grid as a letter with counts."""

    kind: str
    letter: str
    text: str
    label: str
    panel: IdPanel | None


class LegendItem(NamedTuple):
    kind: str
    letter: str
    meaning: str


_HALF, _SOME = "failed half", "failed some"


class GridRow(NamedTuple):
    """A row of a calendar or grid; None where there are no workflows."""

    name: str
    squares: Sequence[Square | None]


class Chart(NamedTuple):
    """A calendar of one year, or a grid: columns under headings that span several of them."""

    title: str
    kind: str  # calendar, grid, or a grid with vertical headings: "grid dense"
    headings: Sequence[tuple[str, int]]
    rows: Sequence[GridRow]
    note: str = ""


class PanelMaker:
    """Makes panels until their text has used up a share of the page; numbers them over the whole page."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._number = 0

    def make(self, cells: Mapping[Key, ListedCell], titles: Mapping[Key, str]) -> dict[Key, IdPanel]:
        """Return the panels of cells, those with failures first, as far as there is room."""
        panels: dict[Key, IdPanel] = {}
        left = self._most_bytes
        ordered = sorted(cells.items(), key=lambda item: _rank(item[1]))
        for key, cell in ordered:
            panel = IdPanel(self._number + 1, titles[key], [*list_ids(cell.counts, cell.listed)])
            left -= _size_of(panel)
            if left < 0:
                break
            self._number += 1
            panels[key] = panel
        return panels


def list_ids(
    counts: Mapping[str, int], listed: Mapping[str, Sequence[Listed]], most: int = _MOST_LISTED
) -> Iterator[IdList]:
    """Yield the IDs of each status, the worst first, at most this many in all."""
    left = most
    for status in sorted(counts, key=lambda status: (MARKS.index(mark_of_status(status)), status)):
        shown = listed.get(status, ())[: max(left, 0)]
        left -= len(shown)
        more = f"… and {counts[status] - len(shown):,} more" if len(shown) < counts[status] else ""
        yield IdList(
            label_text(status), kind_of(status), f"{counts[status]:,}", [*map(_id_text, shown)], more
        )


def kind_of(*statuses: str) -> str:
    """Return the class of the colour of the worst of some statuses."""
    return _KINDS[mark_of(dict.fromkeys(statuses, 1))]


def _id_text(workflow: Listed) -> str:
    text = shorten(printable(workflow.id), _LONGEST_ID)
    output = describe_output(workflow.row) if workflow.row is not None else None
    return text if output is None else f"{text}  {output}"


def _rank(cell: StatusCell) -> int:
    return MARKS.index(mark_of(cell.counts))


def _size_of(panel: IdPanel) -> int:
    """Estimate the bytes of a panel in HTML, where some characters become references such as `&#34;`."""
    texts = [panel.title, *(text for part in panel.lists for text in (part.status, *part.ids))]
    characters = sum(8 * len(text) - 7 * sum(map(_is_plain, text)) for text in texts)
    return 320 + characters + sum(60 + 4 * len(part.ids) for part in panel.lists)


def _is_plain(character: str) -> bool:
    return character.isascii() and character not in "&<>\"'"


class CellCharts(NamedTuple):
    """The cells of one manifest as charts."""

    charts: Sequence[Chart]
    legend: Sequence[LegendItem]
    notes: Sequence[str]  # what is not shown
    panels: Mapping[Key, IdPanel]  # of a table's rows


def chart_cells(detail: StatusDetail, panels: PanelMaker) -> CellCharts:
    """Return cells as calendars if an axis has dates, or as grids if there are two axes or more."""
    place = find_date_axis(detail.cells)
    if place is not None:
        return _calendars(detail, place, panels)
    cells = detail.cells
    if len(detail.by) >= 2 and len({key[-1] for key in cells}) <= _MOST_COLUMNS:
        return _grids(detail, panels)
    titles = {key: _title(detail.by, key) for key in cells}
    return CellCharts([], [], [], panels.make(cells, titles))


def _title(names: Sequence[str], values: Sequence[str]) -> str:
    pairs = zip(names, values, strict=True)
    return ", ".join(f"{printable(name)} {label_text(value)}" for name, value in pairs)


def label_text(value: str) -> str:
    """Return the text of a value of an axis."""
    return shorten(printable(value), _LONGEST_LABEL)


def _calendars(detail: StatusDetail, place: int, maker: PanelMaker) -> CellCharts:
    names = detail.by[:place] + detail.by[place + 1 :]
    found = group_by_day(detail.cells, place, ListedCell)
    shown = dict(list(found.items())[:MOST_CALENDARS])
    years = sorted({day.year for days in found.values() for day in days})[-_MOST_YEARS:]
    cells = {
        (*others, str(day)): cell
        for others, days in shown.items()
        for day, cell in days.items()
        if day.year in years
    }
    titles = {key: ", ".join(filter(None, (key[-1], _title(names, key[:-1])))) for key in cells}
    panels = maker.make(cells, titles)
    squares = {key: _square(cell, titles[key], panels.get(key)) for key, cell in cells.items()}
    charts = []
    for others, days in shown.items():
        for year in years:
            drawn = {day: squares.get((*others, str(day))) for day in sorted(days) if day.year == year}
            if drawn:
                note = describe_failed_days({day: mark_of(days[day].counts) for day in drawn})
                title = " · ".join(filter(None, (_title(names, others), str(year))))
                charts.append(_calendar(title, year, drawn, "".join(note[:1]) + ", ".join(note[1:])))
    return _finish(detail, cells, charts, squares)


def _finish(
    detail: StatusDetail,
    drawn: Mapping[Key, ListedCell],
    charts: Sequence[Chart],
    squares: Mapping[Key, Square],
) -> CellCharts:
    hidden = sum(cell.size for cell in detail.cells.values()) - sum(cell.size for cell in drawn.values())
    more = f"{count_of(hidden, 'workflow is', 'workflows are')} not in these charts: use --select"
    without_ids = sum(square.panel is None for square in squares.values())
    short = f"{count_of(without_ids, 'cell lists', 'cells list')} no IDs, to keep the page small: use -o csv"
    notes = [*([more] if hidden else []), *([short] if without_ids else [])]
    return CellCharts(charts, _legend(squares.values(), in_calendar=charts[0].kind == "calendar"), notes, {})


def _calendar(title: str, year: int, squares: Mapping[date, Square | None], note: str) -> Chart:
    rows = [
        GridRow(name, [squares.get(day) if day is not None else None for day in days])
        for name, days in zip(WEEKDAYS, weeks_of(year), strict=True)
    ]
    starts = [0, *month_weeks(year)[1:], len(rows[0].squares)]
    headings = [(name, end - begin) for name, (begin, end) in zip(MONTHS, pairwise(starts), strict=True)]
    return Chart(title, "calendar", headings, rows, note)


def _grids(detail: StatusDetail, maker: PanelMaker) -> CellCharts:
    *names, row_name, column_name = detail.by
    rows = dict.fromkeys(key[:-1] for key in detail.cells)
    shown = [*rows][:_MOST_ROWS]
    cells = {key: cell for key, cell in detail.cells.items() if key[:-1] in set(shown)}
    columns = [*dict.fromkeys(key[-1] for key in detail.cells)]
    titles = {key: _title(detail.by, key) for key in cells}
    panels = maker.make(cells, titles)
    squares = {key: _square(cell, titles[key], panels.get(key)) for key, cell in cells.items()}
    headings = [(label_text(column), 1) for column in columns]
    is_dense = sum(len(label) + 3 for label, _ in headings) > _WIDEST_HEADINGS
    charts = []
    for others in dict.fromkeys(key[:-1] for key in shown):
        lines = [
            GridRow(label_text(key[-1]), [squares.get((*key, column)) for column in columns])
            for key in shown
            if key[:-1] == others
        ]
        title = ", ".join(
            filter(None, (_title(names, others), f"{printable(row_name)} × {printable(column_name)}"))
        )
        charts.append(Chart(title, "grid dense" if is_dense else "grid", headings, lines))
    return _finish(detail, cells, charts, squares)


def _square(cell: StatusCell, title: str, panel: IdPanel | None) -> Square:
    mark = mark_of(cell.counts)
    count = sum(number for status, number in cell.counts.items() if mark_of_status(status) == mark)
    size = cell.size
    share = f"{count:,}" if count == size else f"{count:,} of {size:,}"
    kind, letter = _KINDS[mark], _letter(mark)
    if mark is FAILED and count < size:  # a digit for each tenth: 1 for less than one
        kind, letter = _HALF if 2 * count >= size else _SOME, f"{min(10 * count // size + 1, 9)}"
    text = f"{_letter(mark)} {share.replace(' of ', '/')}"
    return Square(kind, letter, text, f"{title}: {share} {mark.meaning}", panel)


def _legend(squares: Iterable[Square], *, in_calendar: bool) -> list[LegendItem]:
    used = {square.kind for square in squares}
    known = [LegendItem(kind, _letter(mark), mark.meaning) for mark, kind in _KINDS.items()]
    half, some = ("6-9", "1-5") if in_calendar else ("X", "X")
    known[1:1] = [LegendItem(_HALF, half, "half or more failed"), LegendItem(_SOME, some, "some failed")]
    return [item for item in known if item.kind in used]


def _letter(mark: Mark) -> str:
    return mark.letter if mark.letter.isascii() else "·"
