"""Parse the HTML page of a status: what it shows, that it needs nothing else, and that data stays text."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pytest
from html_page import Element, check_page
from hypothesis import given, settings
from hypothesis import strategies as st
from status_cases import (
    DAYS,
    EMPTY,
    NOW_MS,
    REGIONS,
    TIMEOUT,
    Source,
    every_status,
    row_of,
    status_of,
    year,
)
from test_status_screens import COMMAND, check_golden

from dbos_manifest.files.bundled import read_template
from dbos_manifest.planning.failure_digest import LastStep
from dbos_manifest.planning.status_detail import DetailCollector
from dbos_manifest.planning.status_table import StatusSummary, StatusTable
from dbos_manifest.planning.workflow_status import WorkflowStatus
from dbos_manifest.report.page_charts import make_histogram
from dbos_manifest.report.status_command import StatusCommand
from dbos_manifest.report.status_html import StatusHtml

YEAR = year()
YEAR_AXES = {"day": DAYS, "region": REGIONS}
COMMIT = "3f2a9c1d" * 5
HOSTILE = [
    "</script><script>alert(1)</script>",
    "</style><style>*{display:none}</style>",
    "<!--",
    "-->",
    "<img src=x onerror=alert(1)>",
    '" onfocus="alert(1)" autofocus x="',
    "' onclick='alert(1)",
    "{{ 7 * 7 }}{% for x in y %}",
    "&lt;b&gt;&amp;",
    "<![CDATA[<b>]]>",
    "\u2028\u2029\x00\x1b[31m\x7f\x85",
    "\u202e\u2066bidi\u2069\ufeff",
    "::error::##[command]",
    "javascript:alert(1)",
    "\ud800",
    "日本語 שלום ✓",
]


def summarize(
    found: Sequence[WorkflowStatus],
    *by: str,
    axes: Mapping[str, Sequence[object]] | None = None,
    with_rows: bool = False,
) -> StatusSummary:
    source = Source(axes or YEAR_AXES, found[0].manifest)
    collector = DetailCollector(source, by, commit=COMMIT, with_rows=with_rows)
    table = StatusTable(source, by, frozenset(), collector)
    for status in found:
        table.add(status)
    return table.summarize("prod", NOW_MS, steps_known=True)


def write_page(*summaries: StatusSummary, command: StatusCommand = COMMAND) -> str:
    parts: list[str] = []
    StatusHtml(parts.append, command).finish(summaries)
    return "".join(parts)


def parse_page(*summaries: StatusSummary, command: StatusCommand = COMMAND) -> Element:
    return check_page(write_page(*summaries, command=command))


def cells_of(page: Element) -> list[Element]:
    """Return the buttons of the cells of calendars and grids."""
    tables = [table for table in page.find("table") if table.find("caption")]
    return [
        button for table in tables for button in table.find("button") if "aria-label" in button.attributes
    ]


def test_page_is_as_reviewed() -> None:
    check_golden("year.html", write_page(summarize(YEAR)))


def test_page_shows_which_region_fails_and_since_when() -> None:
    page = parse_page(summarize(YEAR))
    (title,) = page.find("head")[0].find("title")
    assert title.text == "orders: 21 of 1,095 workflows failed, 9 have not finished"
    assert COMMIT in page.text and "2026-01-31T09:30:00Z" in page.text
    failures = page.find("table", **{"class": "failures"})[0].text
    assert "TimeoutError: warehouse <n> did not respond in 30 s" in failures
    assert "all 20 have day>=2025-12-01 region=us; so do 10 other finished workflows" in failures
    assert f"{COMMAND.line()} --only ERROR --select 'day>=2025-12-01 region=us' -o ids" in failures
    captions = [caption.text for caption in page.find("caption")]
    assert captions == ["region eu · 2025", "region us · 2025", "region apac · 2025"]
    assert [
        row.find("th")[0].text for row in page.find("table", **{"class": "axis"})[0].find("tr")[1:]
    ] == REGIONS


def test_each_day_has_its_letter_and_lists_its_ids() -> None:
    page = parse_page(summarize(YEAR))
    cells = cells_of(page)
    assert len(cells) == len(YEAR)
    panels = {panel.attributes["id"]: panel for panel in page.find("div") if "popover" in panel.attributes}
    statuses = {found.id: found.status for found in YEAR}
    letters = {"SUCCESS": "·", "ERROR": "X", "PENDING": ">", "ENQUEUED": "o"}
    for cell in cells:
        panel = panels[cell.attributes["popovertarget"]]
        (listed,) = panel.find("p", **{"class": "ids"})
        label = cell.attributes["aria-label"] or ""
        day, _, rest = label.partition(", region ")
        region, _, description = rest.partition(": ")
        assert listed.text == f"orders-{day}-{region}"
        assert cell.text == letters[statuses[listed.text]]
        assert statuses[listed.text] in panel.text
        assert description.partition(" ")[0] == "1"


def test_page_needs_no_network_and_no_script() -> None:
    text = write_page(summarize(YEAR), summarize(every_status(), axes={"day": DAYS[:9]}))
    assert text.isascii()
    page = check_page(text)
    (style,) = page.find("style")
    assert "url(" not in style.text and "@import" not in style.text
    (policy,) = page.find("meta", **{"http-equiv": "Content-Security-Policy"})
    digest = b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    assert (policy.attributes["content"] or "").split("; ") == [
        "default-src 'none'", f"style-src 'sha256-{digest}'", "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip


def test_page_is_accessible() -> None:
    page = parse_page(summarize(YEAR), summarize(every_status(), axes={"day": DAYS[:9]}))
    assert page.find("html")[0].attributes["lang"] == "en"
    assert len(page.find("h1")) == len(page.find("main")) == len(page.find("head")[0].find("title")) == 1
    ids = [element.attributes["id"] for element in page.walk() if "id" in element.attributes]
    assert len(set(ids)) == len(ids)
    for element in page.walk():
        for name in ("popovertarget", "href"):
            if name in element.attributes:
                assert (element.attributes[name] or "").removeprefix("#") in ids
        if element.name == "button":
            assert element.text.strip()
        if element.name == "svg":
            hidden = element.attributes.get("aria-hidden") == "true"
            assert hidden or (element.attributes["role"] == "img" and element.attributes["aria-label"])
    for table in page.find("table"):
        headings = table.find("th")
        assert headings and all("scope" in heading.attributes for heading in headings)
        widths = set()
        for row in table.find("tr"):
            cells = [cell for cell in row.children if isinstance(cell, Element) and cell.name in ("th", "td")]
            widths.add(sum(int(cell.attributes.get("colspan") or 1) for cell in cells))
        assert len(widths) == 1, table.text[:200]


def test_text_has_contrast() -> None:
    """Compare every colour of text with its background as WCAG 2.2 does: 4.5 for text, 3 for graphics."""
    blocks = re.findall(
        r"  html \{(.*?)\}|^html \{(.*?)\}", read_template("status.css"), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) == 3  # light, dark, print
    for block in blocks:
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", "".join(block)))
        pairs = [(name, name.removeprefix("on-")) for name in colours if name.startswith("on-")]
        assert len(pairs) == 8
        pairs += [(name, ground) for name in ("text", "dim", "link") for ground in ("page", "soft")]
        for text, ground in pairs:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for mark in ("mark-succeeded", "mark-running", "mark-cancelled", "failed", "dim"):
            assert contrast(colours[mark], colours["page"]) >= 3, mark


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted(map(luminance, (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def structure_of(page: Element) -> set[tuple[str, tuple[str, ...]]]:
    """Return the elements with the names of their attributes."""
    return {(element.name, tuple(element.attributes)) for element in page.walk()}


def summarize_texts(texts: Sequence[str], *, with_rows: bool = False) -> StatusSummary:
    """Summarize workflows with these texts as ID, axis value, error, step, status, queue and output."""
    axes = {"day": DAYS[:3], 'axis"><b>': texts}
    source = Source(axes, texts[0])
    found = []
    for number, spec in enumerate(source.specs()):
        text = texts[number % len(texts)]
        spec = spec._replace(id=f"{text}{number}", queue=text)
        row = row_of(spec, "ERROR" if number % 2 else "SUCCESS", number)._replace(queue=text)
        error = json.dumps({"name": text, "message": f"{text} {number}"})
        row = row._replace(error=error) if number % 2 else row._replace(output=json.dumps(text))
        row = row._replace(status=text) if number % 7 == 0 else row
        found.append(status_of(source, spec, row, LastStep(1, text, True)))
    return summarize(found, axes=axes, with_rows=with_rows)


PLAIN = structure_of(parse_page(summarize_texts(["plain", "other"])))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("with_rows", [False, True])
def test_hostile_texts_stay_text(text: str, with_rows: bool) -> None:
    command = COMMAND._replace(options=[("--var", text)])
    page = parse_page(summarize_texts([text, "other"], with_rows=with_rows), command=command)
    assert structure_of(page) == PLAIN
    values = {
        value for element in page.walk() for name, value in element.attributes.items() if name == "class"
    }
    assert all(re.fullmatch(r"[a-z -]+", value or "") for value in values)
    visible = page.text.replace(page.find("style")[0].text, "")
    assert "".join(visible.split()).isprintable()
    if text.isprintable() and "##" not in text:
        assert text in visible


@given(st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=2, unique=True))
@settings(max_examples=20, deadline=None)
def test_any_texts_stay_text(texts: list[str]) -> None:
    page = parse_page(summarize_texts(texts))
    assert structure_of(page) <= PLAIN


def test_stored_values_are_shown_only_where_they_are_wanted() -> None:
    assert "10 orders" not in write_page(summarize(YEAR))
    assert "10 orders" in write_page(summarize(YEAR, with_rows=True))


@pytest.mark.parametrize(
    ("axes", "by", "kind", "charts"),
    [
        ({"day": DAYS[:40], "region": REGIONS}, (), "calendar", 3),
        ({"day": DAYS[:40], "region": REGIONS}, ("day",), "calendar", 1),
        ({"region": REGIONS, "tier": ["gold", "silver"]}, (), "grid", 1),
        ({"region": REGIONS, "tier": ["gold", "silver"], "plan": ["a", "b"]}, (), "grid", 3),
        (
            {"region": REGIONS, "month": [f"2025-{month:02}-01" for month in range(1, 13)]},
            (),
            "grid dense",
            1,
        ),
        ({"region": REGIONS}, (), "", 0),
        ({"customer": [f"c{number}" for number in range(300)]}, (), "", 0),
    ],
)
def test_cells_are_drawn_by_the_axes(
    axes: Mapping[str, Sequence[str]], by: Sequence[str], kind: str, charts: int
) -> None:
    source = Source(axes)
    found = [
        status_of(source, spec, row_of(spec, "ERROR" if number % 3 == 1 else "SUCCESS", number, error=EMPTY))
        for number, spec in enumerate(source.specs())
    ]
    page = parse_page(summarize(found, *by, axes=axes))
    tables = [table for table in page.find("table") if table.find("caption")]
    assert [table.attributes["class"] for table in tables] == [kind] * charts
    panels = [panel for panel in page.find("div") if "popover" in panel.attributes]
    if by:
        assert len(panels) == 40
        assert {cell.text for cell in cells_of(page)} == {"4"}  # a third is more than three tenths
        assert "1-5 some failed" in page.text
    elif len(found) <= 200:
        assert len(panels) == len(found)
    else:
        assert len(panels) == 200 and "100 more rows, with fewer failures" in page.text
        ordered = [row.text for row in page.find("table", **{"class": "axis"})[0].find("tr")]
        assert "c1ERROR 1" in ordered[1].replace("c1c1", "c1")


def test_an_empty_manifest_has_a_page() -> None:
    source = Source({"day": []})
    table = StatusTable(source, (), frozenset({"ERROR"}), DetailCollector(source, (), frozenset({"ERROR"})))
    text = parse_page(table.summarize("prod", NOW_MS, steps_known=True)).text
    assert "No workflows" in text and "Only" in text


def test_stored_times_that_are_no_times_are_skipped() -> None:
    source = Source({"day": DAYS[:4]})
    times = [(-5, 2**62), (2**52, 2**52), (NOW_MS - 5_000, NOW_MS), (0, 0)]
    found = []
    for spec, (created, ended) in zip(source.specs(), times, strict=True):
        row = row_of(spec, "SUCCESS", 0)._replace(created_at_ms=created, completed_at_ms=ended)
        found.append(status_of(source, spec, row))
    page = parse_page(summarize(found, axes={"day": DAYS[:4]}))
    assert "1 enqueued" in page.text and "1 succeeded" in page.text


@given(st.lists(st.integers(0, 2**40), max_size=50))
def test_a_histogram_counts_every_duration(durations: list[int]) -> None:
    histogram = make_histogram(durations)
    if len(set(durations)) < 2:
        assert histogram is None
        return
    assert histogram is not None
    assert sum(int(bar.workflows.replace(",", "")) for bar in histogram.bars) == len(durations)
    assert all(0 <= bar.height <= 220 and 0 <= bar.x <= 560 and bar.y >= 0 for bar in histogram.bars)


def test_a_large_page_stays_small() -> None:
    """100,000 workflows in 10,000 cells, the most that are counted apart."""
    days = [str(date(2021, 1, 1) + timedelta(days=number)) for number in range(1_666)]
    axes = {
        "day": days,
        "region": [*REGIONS, *map(str.upper, REGIONS)],
        "customer": [f"c{n}" for n in range(10)],
    }
    source = Source(axes)
    collector = DetailCollector(source, ("region", "day"), commit=COMMIT)
    table = StatusTable(source, ("region",), frozenset(), collector)
    specs = [*source.specs()]
    assert len(specs) == 99_960
    for number, spec in enumerate(specs):
        spec = spec._replace(id=f"{spec.id}-{'x' * 60}")
        failed = number % 97 == 0
        row = row_of(
            spec, "ERROR" if failed else "SUCCESS", number % 5_000, error=TIMEOUT % number if failed else None
        )
        table.add(status_of(source, spec, row))
    text = write_page(table.summarize("prod", NOW_MS, steps_known=True))
    assert 1_000_000 < len(text) < 5_000_000
    assert "list no IDs, to keep the page small" in text


def test_many_manifests_have_an_overview_and_sections_where_work_failed() -> None:
    """2,000 manifests with 20 workflows each, of which the last has a failure."""
    axes = {"region": REGIONS[:2], "n": [str(number) for number in range(10)]}
    summaries = []
    for number in range(2_000):
        source = Source(axes, f"jobs-{number}")
        status = "ERROR" if number == 1_999 else "SUCCESS"
        found = [
            status_of(source, spec, row_of(spec, status, place)) for place, spec in enumerate(source.specs())
        ]
        summaries.append(summarize(found, axes=axes))
    text = write_page(*summaries)
    assert len(text) < 5_000_000
    page = check_page(text)
    assert page.find("title")[0].text == "2,000 manifests: 20 of 40,000 workflows failed"
    names = [heading.text for heading in page.find("h2")]
    assert names == [*(f"jobs-{number}" for number in range(59)), "jobs-1999"]
    links = {link.text: link.attributes["href"] for link in page.find("a") if link.text.startswith("jobs-")}
    sections = {
        section.attributes["aria-label"]: section.attributes["id"] for section in page.find("section")
    }
    assert links == {name: f"#{sections[name]}" for name in names}
    assert "1,940 manifests have no section" in page.text


def test_only_a_page_loads_the_template_engine() -> None:
    code = "import sys, dbos_manifest.cli.status; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
