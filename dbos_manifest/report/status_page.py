"""Prepare the page of a status: every text that it shows, per manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..core.plural import count_of
from ..core.units import format_timestamp
from ..planning.failure_digest import FailureGroup
from ..planning.rows import FAILED_STATUSES
from ..planning.status_cells import StatusCell
from ..planning.status_detail import StatusDetail
from ..planning.status_table import StatusSummary, order_statuses
from .axis_table import describe_time, duration_or_dash
from .calendar import find_date_axis
from .failure_text import describe_condition, describe_error, describe_step
from .page_cells import (
    CellCharts,
    IdList,
    IdPanel,
    Key,
    PanelMaker,
    chart_cells,
    kind_of,
    label_text,
    list_ids,
)
from .page_charts import Histogram, Timeline, describe_percentiles, make_histogram, make_timeline
from .status_command import StatusCommand
from .status_text import describe_share
from .text import printable, shorten

_MOST_ROWS = 200
_MOST_GROUPS = 50
_MOST_LISTED = 100
_MOST_SECTIONS = 60
_MOST_CELLS = 12_000  # of all sections; one manifest has at most 10,001
_MOST_MANIFESTS = 5_000
_PERCENTS = (50, 90, 99, 100)


class CountRow(NamedTuple):
    """A status with its share, and the IDs of the first workflows."""

    status: str
    kind: str  # the class of its colour
    workflows: str
    share: str
    bar: str  # the share in percent
    ids: IdList


class TableRow(NamedTuple):
    """Workflows with the same values of axes."""

    values: Sequence[str]
    panel: IdPanel | None
    counts: Sequence[tuple[str, str]]  # with the class of a colour; empty for no workflows
    times: Sequence[str]


class Table(NamedTuple):
    """Counts and run times by the values of axes."""

    names: Sequence[str]
    statuses: Sequence[str]
    rows: Sequence[TableRow]
    more: str  # how many rows are not shown; empty for none


class FailureRow(NamedTuple):
    """A group of failed workflows."""

    kind: str  # the class of the colour of their worst status
    workflows: str
    error: str
    step: str
    condition: str
    others: str  # how many workflows outside of the group meet the condition
    first: str
    last: str
    examples: Sequence[str]
    more: str
    command: str  # that lists their IDs; empty if none lists only them


class DurationRow(NamedTuple):
    """Percentiles of a duration."""

    name: str
    workflows: str
    values: Sequence[str]


class ManifestPage(NamedTuple):
    """The part of the page about one manifest."""

    number: int
    name: str
    facts: Sequence[tuple[str, str]]
    verdict: str
    verdict_kind: str
    counts: Sequence[CountRow]
    failures: Sequence[FailureRow]
    more_failures: str
    steps_known: bool
    failed_command: str  # that lists all failed workflows; empty for none
    table: Table | None
    charts: CellCharts
    durations: Sequence[DurationRow]
    histogram: Histogram | None
    timeline: Timeline | None


class OverviewRow(NamedTuple):
    """A manifest among several, with the number of its section; 0 without one."""

    number: int
    name: str
    counts: Sequence[tuple[str, str]]  # with the class of a colour; empty for no workflows


class Overview(NamedTuple):
    """Several manifests in a table."""

    statuses: Sequence[str]
    rows: Sequence[OverviewRow]
    more: str  # which manifests are not shown; empty for none


def choose_sections(summaries: Sequence[StatusSummary]) -> list[int]:
    """Return the places of the manifests that have a section of their own: those with failures first."""
    ordered = sorted(
        range(len(summaries)),
        key=lambda place: (not summaries[place].total.failed, not summaries[place].total.unfinished),
    )
    chosen: list[int] = []
    cells = 0
    for place in ordered[:_MOST_SECTIONS]:
        detail = summaries[place].detail
        cells += len(detail.cells) if detail is not None else 0
        if chosen and cells > _MOST_CELLS:
            break
        chosen.append(place)
    return sorted(chosen)


def prepare_overview(summaries: Sequence[StatusSummary], sections: Sequence[int]) -> Overview:
    """Count the workflows of each manifest by status."""
    numbers = {place: number for number, place in enumerate(sections, 1)}
    statuses = order_statuses([*{status for summary in summaries for status in summary.total.counts}])
    places = sorted(
        range(len(summaries)), key=lambda place: place not in numbers and len(summaries) > _MOST_MANIFESTS
    )
    rows = [
        OverviewRow(
            numbers.get(place, 0),
            label_text(summaries[place].manifest),
            _counts(summaries[place].total, statuses),
        )
        for place in places[:_MOST_MANIFESTS]
    ]
    parts = []
    if hidden := len(summaries) - len(rows):
        parts.append(f"{count_of(hidden, 'more manifest')} not shown")
    if rest := len(rows) - len(sections):
        parts.append(f"{count_of(rest, 'manifest has', 'manifests have')} no section, to keep the page small")
    return Overview([*map(label_text, statuses)], rows, "; ".join(parts))


def _counts(cell: StatusCell, statuses: Sequence[str]) -> list[tuple[str, str]]:
    counts = [(cell.counts[status], status) for status in statuses]
    return [(f"{count:,}", kind_of(status) if count else "") for count, status in counts]


def describe_total(total: StatusCell) -> tuple[str, str]:
    """Return how the workflows are as a sentence, and the class of its colour."""
    if not total.size:
        return "No workflows", "absent"
    if not (total.failed or total.unfinished):
        return (
            f"All {total.size:,} workflows succeeded" if total.size > 1 else "1 workflow succeeded",
            "succeeded",
        )
    parts = []
    if total.failed:
        parts.append(f"{total.failed:,} of {count_of(total.size, 'workflow')} failed")
    if total.unfinished:
        of_all = (
            f"{total.unfinished:,}"
            if parts
            else f"{total.unfinished:,} of {count_of(total.size, 'workflow')}"
        )
        parts.append(f"{of_all} {'has' if total.unfinished == 1 else 'have'} not finished")
    if not total.failed:
        parts.append("none failed")
    return ", ".join(parts), "failed" if total.failed else "running"


def prepare_manifest(
    number: int, summary: StatusSummary, detail: StatusDetail, command: StatusCommand, panels: PanelMaker
) -> ManifestPage:
    """Prepare the part of a manifest; `command` shows the status of this manifest."""
    total = summary.total
    verdict, kind = describe_total(total)
    charts = chart_cells(detail, panels)
    shown = summary.failures[:_MOST_GROUPS]
    rest = summary.failures[_MOST_GROUPS:]
    more = count_of(len(rest), "more group") if rest else ""
    if rest:
        more += f" ({count_of(sum(group.size for group in rest), 'workflow')}): status --by error"
    return ManifestPage(
        number=number,
        name=label_text(summary.manifest),
        facts=[*_facts(summary, detail)],
        verdict=verdict,
        verdict_kind=kind,
        counts=_count_rows(total, detail),
        failures=[_failure_row(group, command) for group in shown],
        more_failures=more,
        steps_known=summary.steps_known,
        failed_command=_line(command.list_ids(FAILED_STATUSES & total.counts.keys())),
        table=_table(summary, detail, charts.panels),
        charts=charts,
        durations=_durations(total, detail),
        histogram=make_histogram(total.ran_ms),
        timeline=make_timeline(detail, summary.as_of_ms, unfinished=total.unfinished > 0),
    )


def _facts(summary: StatusSummary, detail: StatusDetail) -> list[tuple[str, str]]:
    facts = [("Manifest", summary.file), ("Database", summary.place)]
    if detail.commit is not None:
        facts.append(("Commit", detail.commit))
    facts.append(("As of", format_timestamp(summary.as_of_ms // 1000 * 1000)))
    if detail.wanted:
        facts.append(("Only", ", ".join(order_statuses([*detail.wanted]))))
    return [(name, shorten(printable(text), 300)) for name, text in facts]


def _count_rows(total: StatusCell, detail: StatusDetail) -> list[CountRow]:
    rows = []
    for status in order_statuses([*total.counts]):
        count = total.counts[status]
        (ids,) = list_ids({status: count}, detail.listed, _MOST_LISTED)
        share = max(100 * count / total.size, 0.3)
        text = describe_share(count, total.size)
        rows.append(CountRow(ids.status, ids.kind, f"{count:,}", text, f"{share:.1f}", ids))
    return rows


def _line(command: StatusCommand | None) -> str:
    return command.line() if command is not None else ""


def _failure_row(group: FailureGroup, command: StatusCommand) -> FailureRow:
    more = group.size - len(group.examples)
    listing = command.list_ids(group.statuses, group.condition) if group.condition is not None else None
    condition = describe_condition(group) or ("", "")
    return FailureRow(
        kind=kind_of(*group.statuses),
        workflows=f"{group.size:,}",
        error=describe_error(group),
        step=describe_step(group) or "",
        condition=condition[0],
        others=condition[1],
        first=_time_or_dash(group.first_ms),
        last=_time_or_dash(group.last_ms),
        examples=[shorten(printable(example), 120) for example in group.examples],
        more=f"… and {more:,} more" if more else "",
        command=_line(listing),
    )


def _time_or_dash(epoch_ms: int | None) -> str:
    return "-" if epoch_ms is None else format_timestamp(epoch_ms // 1000 * 1000)


def _table(summary: StatusSummary, detail: StatusDetail, panels: Mapping[Key, IdPanel]) -> Table | None:
    """Return the table by axis; the cells of the detail where the summary counts by days or by status."""
    by, cells = summary.by, summary.cells
    if panels:
        by, cells = detail.by, detail.cells
    if not by or not cells or by in (("error",), ("status",)) or find_date_axis(cells) is not None:
        return None
    ordered: list[tuple[Key, StatusCell]] = [*cells.items()]
    if len(ordered) > _MOST_ROWS:
        ordered.sort(key=lambda item: -item[1].failed)
    statuses = order_statuses([*summary.total.counts])
    rows = []
    for key, cell in ordered[:_MOST_ROWS]:
        counts = _counts(cell, statuses)
        times = [duration_or_dash(cell.percentile(percent)) for percent in (50, 90)]
        times.append(describe_time(cell.last_ms, summary.as_of_ms))
        rows.append(TableRow([*map(label_text, key)], panels.get(key), counts, times))
    hidden = len(ordered) - len(rows)
    more = f"{count_of(hidden, 'more row')}, with fewer failures: status -o csv" if hidden else ""
    return Table([*map(label_text, by)], [*map(label_text, statuses)], rows, more)


def _durations(total: StatusCell, detail: StatusDetail) -> list[DurationRow]:
    found = (("queued", detail.queued_ms), ("ran", total.ran_ms))
    return [
        DurationRow(name, f"{len(values):,}", describe_percentiles(values, _PERCENTS))
        for name, values in found
        if values
    ]
