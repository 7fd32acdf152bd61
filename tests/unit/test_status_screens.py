"""Compare status screens and files with golden files; UPDATE_GOLDEN=1 writes them again for review."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import jsonschema_rs
import pytest
from status_cases import DAYS, Source, every_status, row_of, status_of, summarize, year

from dbos_manifest.cli.terminal import _style
from dbos_manifest.files.bundled import read_schema
from dbos_manifest.planning.failure_digest import LastStep
from dbos_manifest.planning.status_table import StatusSummary
from dbos_manifest.planning.workflow_status import WorkflowStatus
from dbos_manifest.report.calendar import calendar_lines
from dbos_manifest.report.screen import Screen
from dbos_manifest.report.status_command import StatusCommand
from dbos_manifest.report.status_csv import StatusCsv
from dbos_manifest.report.status_json import StatusJson, StatusJsonLines
from dbos_manifest.report.status_markdown import StatusMarkdown
from dbos_manifest.report.status_text import StatusText, status_line
from dbos_manifest.report.text import count_cells, plain

ROOT = Path(__file__).parent.parent.parent
GUIDE = ROOT / "docs" / "guides" / "status.md"
GOLDEN = ROOT / "tests" / "cases" / "status"
COMMAND = StatusCommand(("jobs/orders.yaml",), (("--target", "prod"),))
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
YEAR, MIXED = year(), every_status()
MIXED_AXES = {"day": DAYS[:9]}


def check_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def draw(screen: Screen, summaries: Sequence[StatusSummary], *by: str) -> str:
    command = COMMAND._replace(paths=[summary.file for summary in summaries])
    return "".join(f"{line}\n" for line in StatusText(screen, by, command).lines(summaries))


SCREENS: dict[str, Callable[[], list[StatusSummary]]] = {
    "failures": lambda: [summarize(YEAR)],
    "calendar": lambda: [summarize(YEAR, "day")],
    "calendars": lambda: [summarize(YEAR, "region", "day")],
    "mixed": lambda: [summarize(MIXED, "day", axes=MIXED_AXES)],
    "manifests": lambda: [summarize(YEAR), summarize(MIXED, axes=MIXED_AXES)],
}
BY = {"calendar": ("day",), "calendars": ("region", "day"), "mixed": ("day",)}


@pytest.mark.parametrize("name", SCREENS)
@pytest.mark.parametrize("width", [80, 120])
def test_screen_is_as_reviewed_with_and_without_colour(name: str, width: int) -> None:
    summaries, by = SCREENS[name](), BY.get(name, ())
    text = draw(Screen(width, plain), summaries, *by)
    check_golden(f"{name}-{width}.text", text)
    coloured = draw(Screen(width, _style), summaries, *by)
    check_golden(f"{name}-{width}.ansi", coloured)
    assert COLOUR.sub("", coloured) == text
    assert COLOUR.sub("", coloured).replace("\n", "").isprintable()
    assert all(count_cells(line) <= width for line in text.splitlines())


def test_the_screen_shows_which_region_fails_and_since_when() -> None:
    text = draw(Screen(80), [summarize(YEAR)])
    assert "TimeoutError: warehouse <n> did not respond in 30 s" in text
    assert "all 20 have day>=2025-12-01 region=us; so do 10 other finished workflows" in text
    command = text.splitlines()[-2:]
    assert command[0].endswith(" \\")
    assert shlex.split("".join(line.removesuffix("\\") for line in command)) == [
        "dbos-manifest", "status", "jobs/orders.yaml", "--target", "prod", "--only", "ERROR",
        "--select", "day>=2025-12-01 region=us", "-o", "ids",
    ]  # fmt: skip


def test_each_of_several_manifests_has_the_command_for_its_own_file() -> None:
    text = draw(Screen(200), SCREENS["manifests"]())
    assert [line.split()[:3] for line in text.splitlines() if "-o ids" in line] == [
        ["dbos-manifest", "status", "jobs/orders.yaml"],
        ["dbos-manifest", "status", "jobs/mixed.yaml"],
    ]
    assert "--only ERROR --only MAX_RECOVERY_ATTEMPTS_EXCEEDED --only CANCELLED -o ids" in text
    assert COMMAND.of_file("<stdin>").line() == "dbos-manifest status - --target prod"


def test_the_pages_show_these_screens() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    screen = (GOLDEN / "failures-80.text").read_text(encoding="utf-8")
    assert screen in guide
    assert screen in (ROOT / "README.md").read_text(encoding="utf-8")
    calendar = (GOLDEN / "calendar-80.text").read_text(encoding="utf-8").split("\n\n")[2]
    assert calendar in guide


def test_the_list_has_a_line_for_each_workflow() -> None:
    lines = [status_line(Screen(80), found, show_values=True) for found in MIXED]
    check_golden("list.text", "".join(f"{line}\n" for line in lines))
    assert "".join(lines).isprintable()
    assert "10 orders" not in status_line(Screen(80), MIXED[0], show_values=False)


@pytest.mark.parametrize("width", [20, 40, 60, 79, 200])
def test_every_screen_can_be_drawn_at_any_width(width: int) -> None:
    for name, summaries in SCREENS.items():
        text = draw(Screen(width, plain, has_unicode=False), summaries(), *BY.get(name, ()))
        assert set(text) - {"…", "→"} <= {chr(code) for code in range(128)}, name


def test_a_table_of_every_status_fits_80_cells() -> None:
    summary = summarize(MIXED, "workflow", axes=MIXED_AXES)
    lines = draw(Screen(80), [summary], "workflow").splitlines()
    heading = next(line for line in lines if line.startswith("  workflow"))
    assert re.split(" {2,}", heading.strip()) == [
        "workflow", "succeeded", "waiting", "running", "?", "not enqueued", "cancelled", "failed"
    ]  # fmt: skip
    assert lines[lines.index(heading) + 1].split() == ["ingest_orders", "1", "2", "1", "1", "1", "1", "2"]
    assert all(count_cells(line) <= 80 for line in lines)


def test_a_calendar_of_a_leap_year_has_every_day_in_its_place() -> None:
    days = {
        date(2024, 1, 1).fromordinal(date(2024, 1, 1).toordinal() + n): {"SUCCESS": 1} for n in range(366)
    }
    days[date(2024, 2, 29)] = {"SUCCESS": 5, "ERROR": 1}
    lines = [*calendar_lines(Screen(80), days)]
    assert sum(line.count("░") for line in lines[1:8]) == 365
    thursday = next(line for line in lines if line.startswith("  Thu"))
    assert thursday[6 + 8] == "X"  # the ninth week
    assert lines[-1].strip() == "Failed on 1 day: 2024-02-29"


def test_a_month_is_named_above_the_week_of_its_first_day() -> None:
    for number in range(2018, 2030):
        days = {date(number, month, 1): {"ERROR": 1} for month in range(1, 13)}
        header, *rows = [*calendar_lines(Screen(80), days)][:8]
        marked = {place for row in rows for place, letter in enumerate(row) if place >= 6 and letter == "X"}
        assert {match.start() for match in re.finditer("[A-Z]", header)} == marked


def test_failed_days_are_counted_and_long_runs_shortened() -> None:
    done = {date(2025, 1, 1) + timedelta(days=number): {"SUCCESS": 1} for number in range(60)}
    failed = [0, 2, 3, 5, 6, 7, 9, 11, 12, 13, 14, 20]
    days = done | {date(2025, 1, 1) + timedelta(days=number): {"ERROR": 1} for number in failed}
    text = " ".join(" ".join(calendar_lines(Screen(80), days)).split())
    assert text.endswith(
        "Failed on 12 days: 2025-01-01, 2025-01-03, 2025-01-04, 2025-01-06 … 2025-01-08, 2025-01-10, "
        "2025-01-12 … 2025-01-15, and 1 more day"
    )


def test_an_unknown_status_has_a_mark_of_its_own() -> None:
    days = {date(2025, 1, 1): {"NEW": 1, "PENDING": 1}, date(2025, 1, 2): {"NEW": 1, "ERROR": 1}}
    lines = [*calendar_lines(Screen(80), days)]
    assert lines[3].endswith("?")
    assert "      Worst status of each day: X failed   ? unknown status" in lines


def test_a_calendar_of_the_last_year_ends_with_its_last_day() -> None:
    lines = [*calendar_lines(Screen(80), {date(9999, 12, 31): {"ERROR": 1}})]
    assert lines[5] == f"  Fri {'X':>53}".rstrip()
    assert lines[-1].strip() == "Failed on 1 day: 9999-12-31"


def test_values_that_are_no_days_are_counted_below_the_calendar() -> None:
    axes = {"day": [*DAYS[:5], "2026-02-30", "someday"]}
    source = Source(axes)
    found = [status_of(source, spec, row_of(spec, "SUCCESS", 0)) for spec in source.specs()]
    text = draw(Screen(80), [summarize(found, "day", axes=axes)], "day")
    assert text.count("░") == 5 + 1  # and the legend
    assert "  2 workflows have no date in day\n" in text


def write_all(
    view: StatusJson | StatusJsonLines | StatusCsv | StatusMarkdown, found: Sequence[WorkflowStatus]
) -> None:
    for status in found:
        view.add(status)
    view.finish([summarize(found, axes=MIXED_AXES)] if found is MIXED else [summarize(found)])


@pytest.mark.parametrize("found", [YEAR, MIXED])
def test_documents_match_the_schema(found: list[WorkflowStatus]) -> None:
    parts: list[str] = []
    write_all(StatusJson(parts.append, True), found)
    document = json.loads("".join(parts))
    jsonschema_rs.validator_for(json.loads(read_schema("status.v1"))).validate(document)
    assert len(document["workflows"]) == len(found) == sum(document["counts"].values())
    lines: list[str] = []
    write_all(StatusJsonLines(lines.append, True), found)
    by_type: dict[str, list[object]] = {"workflow": [], "manifest": []}
    for line in lines:
        entry = json.loads(line)
        assert entry.pop("format_version") == 1
        by_type[entry.pop("type")].append(entry)
    assert by_type == {"workflow": document["workflows"], "manifest": document["manifests"]}


def test_json_has_axes_durations_attempts_and_the_explained_failure() -> None:
    parts: list[str] = []
    write_all(StatusJson(parts.append, False), YEAR)
    document = json.loads("".join(parts))
    first = document["workflows"][0]
    assert first["axes"] == {"day": "2025-01-01", "region": "eu"}
    assert (first["attempts"], first["queued_ms"], first["ran_ms"] >= 2_000) == (1, 0, True)
    assert "output" not in first
    failure = document["manifests"][0]["failures"][0]
    assert failure["condition"]["select"] == "day>=2025-12-01 region=us"
    assert failure["condition"]["covered"] == failure["count"] == document["counts"]["ERROR"] - 1
    assert failure["step"] == {"number": 2, "name": "fetch", "failed": True}


def test_csv_has_a_line_for_each_workflow_and_no_formulas() -> None:
    source = Source({"day": DAYS[:2], "value": ["=1+1", "-2"]})
    found = [status_of(source, spec, None) for spec in source.specs()]
    failed = row_of(found[0].spec, "ERROR", 0, error='{"name": "@E", "message": "+cmd\\n"}')
    found[0] = status_of(source, found[0].spec, failed, LastStep(1, "-x", True))
    parts: list[str] = []
    view = StatusCsv(parts.append, source.names)
    for status in found:
        view.add(status)
    view.finish([])
    rows = [*csv.DictReader(io.StringIO("".join(parts), newline=""))]
    assert [row["axis.value"] for row in rows] == ["'=1+1", "'-2", "'=1+1", "'-2"]
    assert (rows[0]["error_name"], rows[0]["error_message"], rows[0]["step_name"]) == (
        "'@E",
        "'+cmd\\n",
        "'-x",
    )
    assert rows[0]["ran_ms"] == "2000"
    assert (rows[1]["status"], rows[1]["queue"]) == ("NOT_ENQUEUED", "")


@pytest.mark.parametrize(("name", "found"), [("failures", YEAR), ("mixed", MIXED)])
def test_markdown_is_as_reviewed(name: str, found: list[WorkflowStatus]) -> None:
    parts: list[str] = []
    write_all(StatusMarkdown(parts.append), found)
    text = "".join(parts)
    check_golden(f"{name}.markdown", text)
    assert "<script>" not in text and "@team" not in text and "\x1b" not in text
