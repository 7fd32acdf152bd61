"""Test durations, sizes and timestamps: parsing, formatting and messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.core.units import (
    MAX_MILLISECONDS,
    format_duration,
    format_timestamp,
    parse_duration,
    parse_size,
    parse_timestamp,
)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("500ms", 500),
        ("90s", 90_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("2d", 172_800_000),
        ("1w", 604_800_000),
        ("1w2d3h4m5s6ms", 788_645_006),
        ("0s", 0),
        ("9007199254740991ms", MAX_MILLISECONDS),
    ],
)
def test_durations_are_parsed(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@given(st.integers(0, MAX_MILLISECONDS))
def test_formatted_duration_is_parsed_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds


@pytest.mark.parametrize(("milliseconds", "text"), [(0, "0s"), (5_400_000, "1h30m"), (1001, "1s1ms")])
def test_durations_are_formatted_short(milliseconds: int, text: str) -> None:
    assert format_duration(milliseconds) == text


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("1B", 1), ("500kB", 500_000), ("1MiB", 1_048_576), ("2 GiB", 2**31), ("3GB", 3 * 10**9)],
)
def test_sizes_are_parsed(text: str, bytes_: int) -> None:
    assert parse_size(text) == bytes_


@pytest.mark.parametrize(
    ("text", "epoch_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-31T09:00:00Z", 1_769_850_000_000),
        ("2026-01-31t09:00:00z", 1_769_850_000_000),
        ("2026-01-31 10:00:00+01:00", 1_769_850_000_000),
        ("2026-01-31T09:00:00.5Z", 1_769_850_000_500),
        ("2026-01-31T09:00:00.123999Z", 1_769_850_000_123),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_timestamps_are_parsed(text: str, epoch_ms: int) -> None:
    assert parse_timestamp(text) == epoch_ms


@given(
    st.datetimes(timezones=st.just(timezone.utc)).map(lambda moment: moment.replace(microsecond=0)),
    st.integers(0, 999),
)
def test_formatted_timestamp_is_parsed_back(moment: datetime, milliseconds: int) -> None:
    epoch_ms = int(moment.timestamp()) * 1000 + milliseconds
    text = format_timestamp(epoch_ms)
    assert parse_timestamp(text) == epoch_ms
    assert datetime.fromisoformat(text.replace("Z", "+00:00")) == moment.replace(
        microsecond=milliseconds * 1000
    )


def test_timestamps_are_formatted_without_zero_milliseconds() -> None:
    assert format_timestamp(1_769_850_000_000) == "2026-01-31T09:00:00Z"
    assert format_timestamp(1_769_850_000_120) == "2026-01-31T09:00:00.120Z"


NO_UNIT = "a duration needs a unit: write `5s` for seconds, `5ms` for milliseconds"
NOT_TEXT = "a duration must be text with a unit, such as `90s` or `1h30m`"
KINDS = "write `500ms`, `90s`, `5m`, `1h30m` or `2d`"
WHOLE = "use whole numbers, such as `1h30m` or `1500ms`"
SIZE = "write it with a unit, such as `500kB` or `1MiB`"
LIKE = "write it as `2026-01-31T09:00:00Z`"


@pytest.mark.parametrize(
    ("parse", "value", "message"),
    [
        (parse_duration, None, NOT_TEXT),
        (parse_duration, True, NOT_TEXT),
        (parse_duration, ["5s"], NOT_TEXT),
        (parse_duration, 5, NO_UNIT),
        (parse_duration, "5", NO_UNIT),
        (parse_duration, 1.5, f"`1.5` has a fraction: {WHOLE}"),
        (parse_duration, "1.5", f"`1.5` has a fraction: {WHOLE}"),
        (parse_duration, "1.5h", f"`1.5h` has a fraction: {WHOLE}"),
        (parse_duration, "", f"`` is not a duration: {KINDS}"),
        (parse_duration, "-5s", f"`-5s` is not a duration: {KINDS}"),
        (parse_duration, "5 s", f"`5 s` is not a duration: {KINDS}"),
        (parse_duration, "5S", f"`5S` is not a duration: {KINDS}"),
        (parse_duration, "1m1h", f"`1m1h` is not a duration: {KINDS}"),
        (parse_duration, "５s", f"`５s` is not a duration: {KINDS}"),
        (parse_duration, "9" * 5000 + "s", f"`{'9' * 5000}s` is not a duration: {KINDS}"),
        (
            parse_duration,
            "9007199254740992ms",
            "`9007199254740992ms` is longer than a database timestamp can hold",
        ),
        (parse_size, 5, f"`5` is not a size: {SIZE}"),
        (parse_size, "1mb", f"`1mb` is not a size: {SIZE}"),
        (parse_timestamp, 5, "write a date-time as text: `2026-01-31T09:00:00Z`"),
        (parse_timestamp, "2026-01-31", "`2026-01-31` has no time of day: write `2026-01-31T00:00:00Z`"),
        (
            parse_timestamp,
            "2026-01-31T09:00:00",
            "`2026-01-31T09:00:00` has no UTC offset: "
            "write `2026-01-31T09:00:00Z` for UTC, or an offset such as `+02:00`",
        ),
        (parse_timestamp, "tomorrow", f"`tomorrow` is not an RFC 3339 date-time: {LIKE}"),
        (parse_timestamp, "2026-01-31T09:00Z", f"`2026-01-31T09:00Z` is not an RFC 3339 date-time: {LIKE}"),
        (
            parse_timestamp,
            "2026-01-31T24:00:00Z",
            f"`2026-01-31T24:00:00Z` is not an RFC 3339 date-time: {LIKE}",
        ),
        (
            parse_timestamp,
            "2026-01-31T09:00:00+24:00",
            f"`2026-01-31T09:00:00+24:00` is not an RFC 3339 date-time: {LIKE}",
        ),
        (parse_timestamp, "2026-02-30T00:00:00Z", "`2026-02-30T00:00:00Z` is not a valid date"),
        (parse_timestamp, "0000-01-01T00:00:00Z", "`0000-01-01T00:00:00Z` is not a valid date"),
    ],
)
def test_invalid_text_is_refused_with_a_reason(
    parse: Callable[[Any], int], value: object, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        parse(value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999-00:01", "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00.5+00:01",
    ],
)  # fmt: skip
def test_time_outside_the_years_1_to_9999_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"outside the years 1 to 9999 in UTC"):
        parse_timestamp(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:59+14:00", "9999-12-31T09:59:59Z"),
        ("0001-01-01T00:00:00-14:00", "0001-01-01T14:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_first_and_last_possible_time_are_accepted(text: str, shown: str) -> None:
    assert format_timestamp(parse_timestamp(text)) == shown
