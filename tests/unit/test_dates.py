"""Compare date ranges with `whenever`, a library with its own calendar and time zones."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
import whenever
from hypothesis import assume, given
from hypothesis import strategies as st

from dbos_manifest.core.dates import add_step, format_by, parse_moment, parse_step, parse_zone
from dbos_manifest.expansion.axis import AxisError
from dbos_manifest.expansion.axis_values import make_axis
from dbos_manifest.expansion.date_range import DateRange

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kolkata",
]
whenever.reset_tzpath([])  # the rules of tzdata, which this program uses too
UNITS = {"d": "days", "w": "weeks", "mo": "months", "y": "years"}


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.sampled_from(list(UNITS)), st.integers(1, 40),
       st.integers(0, 400), st.booleans())  # fmt: skip
def test_days_match_the_reference_library(
    start: date, unit: str, step: int, span: int, include_end: bool
) -> None:
    """Add k·step to the start, so that a month end is clamped only in short months."""
    end = start + timedelta(days=span)
    found = DateRange.make(start, end, parse_step(f"{step}{unit}"), None, include_end)
    expected, k = [], 0
    while True:
        value = whenever.Date(start).add(**{UNITS[unit]: step * k})
        if value.to_stdlib() > end or (value.to_stdlib() == end and not include_end):
            break
        expected.append(value.format_iso())
        k += 1
    assert (list(found.values()), found.count) == (expected, len(expected))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)), st.sampled_from(ZONES),
       st.sampled_from([*UNITS, "h", "m"]), st.integers(1, 30), st.integers(0, 60))  # fmt: skip
def test_times_in_zones_match_the_reference_library(
    start: datetime, zone: str, unit: str, step: int, count: int
) -> None:
    """Step days and longer units on the wall clock, hours and shorter ones in absolute time."""
    start = start.replace(second=0, microsecond=0)
    first = whenever.PlainDateTime(start).assume_tz(zone, disambiguation="compatible")
    if unit in UNITS:
        wall = whenever.PlainDateTime(start)
        values = [
            wall.add(**{UNITS[unit]: step * k}).assume_tz(zone, disambiguation="compatible")
            for k in range(count + 1)
        ]
    else:
        minutes = step * (60 if unit == "h" else 1)
        values = [first.add(minutes=minutes * k) for k in range(count + 1)]
    assume(values == sorted(values, key=lambda value: value.timestamp()))
    end = values[-1].to_stdlib()
    found = DateRange.make(start, end, parse_step(f"{step}{unit}"), parse_zone(zone), include_end=True)
    assert [parse_moment(text).timestamp() for text in found.values()] == [v.timestamp() for v in values]  # type: ignore[union-attr]
    assert found.count == len(values)


@pytest.mark.parametrize(
    ("start", "zone", "value"),
    [
        ("2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T03:30:00+02:00"),
        ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:30:00", None, "2026-10-25T02:30:00Z"),
        ("2026-10-25T02:30:00+05:30", None, "2026-10-25T02:30:00+05:30"),
        ("2026-01-01", "Europe/London", "2026-01-01T00:00:00+00:00"),
    ],
)
def test_values_have_their_text_form(start: str, zone: str | None, value: str) -> None:
    settings_ = {"start": start, "end": "2027-01-01T00:00:00Z", "step": "1d", "timezone": zone}
    axis = make_axis("t", {"date_range": settings_}, None, 1000)  # type: ignore[arg-type]
    assert next(axis.values()) == value


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"start": "2026-02-30", "end": "2026-03-01"}, "not a valid date"),
        ({"start": "2026-01-02", "end": "2026-01-01"}, "no values"),
        ({"start": "2026-01-01", "end": "2026-01-01", "include_end": False}, "no values"),
        ({"start": "2026-01-01", "end": "2026-01-02", "step": "1h"}, "first or the last hour"),
        ({"start": "2026-01-01", "end": "2026-01-02", "step": "1d12h"}, "number above 0 with one unit"),
        ({"start": "2026-01-01", "end": "2026-01-02", "step": "0d"}, "number above 0 with one unit"),
        ({"start": "2026-01-01T00:00:00Z", "end": "2026-01-02", "timezone": "Mars"}, "not a time zone"),
        ({"start": "0001-01-01T00:00:00+14:00", "end": "0001-01-02T00:00:00Z", "timezone": "UTC"}, "years 1"),
    ],
)
def test_invalid_ranges_are_refused(settings_: dict[str, object], message: str) -> None:
    with pytest.raises(AxisError, match=message):
        make_axis("t", {"date_range": settings_}, None, 1000)  # type: ignore[arg-type]


@given(st.dates(date(1, 1, 1), date(9999, 12, 31)))
def test_strftime_matches_python(day: date) -> None:
    for letter in "bdjmyABFGHIMSTVaup%":
        expected = day.strftime(f"%{letter}")
        if letter in "FG":
            expected = expected.rjust(10 if letter == "F" else 4, "0")
        assert format_by(day, f"%{letter}") == expected
    assert format_by(day, "%Y") == f"{day.year:04}"


def test_month_ends_are_clamped_and_restored() -> None:
    months = DateRange.make(date(2026, 1, 31), date(2026, 5, 31), parse_step("1mo"), None, True)
    assert list(months.values()) == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]
    assert add_step(date(2024, 2, 29), parse_step("1y")) == date(2025, 2, 28)
