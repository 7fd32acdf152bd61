"""Parse, format and add to dates and date-times, by the calendar or by the clock, with time zones."""

from __future__ import annotations

import io
import re
from calendar import monthrange
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import NamedTuple

Moment = date | datetime
"""A date, or a date-time; a datetime without tzinfo is a wall-clock time without a time zone."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DAY_AND_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2})(:\d{2})?(?:\.(\d{1,6}))?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)
_STEP = re.compile(r"(\d{1,9})(y|mo|w|d|h|m|s)", re.ASCII)
_STEPS = re.compile(r"(?:\d{1,9}(?:y|mo|w|d|h|m|s))+", re.ASCII)
_SECONDS = {"h": 3600, "m": 60, "s": 1}
UTC = timezone.utc


class Step(NamedTuple):
    """A distance in time: months and days by the calendar, seconds by the clock."""

    months: int = 0
    days: int = 0
    seconds: int = 0

    @property
    def by_calendar(self) -> bool:
        """Return whether the step has only months and days."""
        return not self.seconds

    def times(self, count: int) -> Step:
        """Multiply the step."""
        return Step(self.months * count, self.days * count, self.seconds * count)


def parse_moment(text: object) -> Moment:
    """Parse a date, `2026-01-31`, or a date-time, whose offset is optional: `2026-01-31T09:00:00+01:00`.

    Raises: ValueError with the expected form in its message.
    """
    if not isinstance(text, str):
        raise ValueError(f'{text!r} is not a date: write it in quotes, "2026-01-31"')
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
        if match := _DAY_AND_TIME.fullmatch(text):
            day, clock, seconds, fraction, offset = match.groups()
            zone = "+00:00" if offset in ("Z", "z") else offset or ""
            micros = f".{fraction.ljust(6, '0')}" if fraction else ""
            return datetime.fromisoformat(f"{day}T{clock}{seconds or ':00'}{micros}{zone}")
    except ValueError:
        raise ValueError(f"`{text}` is not a valid date") from None
    raise ValueError(f"`{text}` is not a date: write `2026-01-31` or `2026-01-31T09:00:00Z`")


def format_moment(moment: Moment, *, zulu: bool = True) -> str:
    """Format as text that `parse_moment` reads; UTC is written `Z` unless `zulu` is false."""
    if not isinstance(moment, datetime):
        return moment.isoformat()
    text = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z") if zulu else text


def parse_zone(name: object) -> tzinfo:
    """Return a time zone by its IANA name, with the rules of the package `tzdata`.

    The operating system's rules are not used: each machine may have others, or none.
    Raises: ValueError for an unknown name.
    """
    if name == "UTC":
        return UTC
    if isinstance(name, str) and name in _zone_names():
        return _load_zone(name)
    raise ValueError(f"`{name}` is not a time zone: write an IANA name, such as `Europe/Berlin`")


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(_read_tzdata("zones").decode().split())


@cache
def _load_zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # loaded only for a manifest that names a time zone

    return ZoneInfo.from_file(io.BytesIO(_read_tzdata(f"zoneinfo/{name}")), key=name)


def _read_tzdata(name: str) -> bytes:
    import pkgutil

    found = pkgutil.get_data("tzdata", name)
    assert found is not None
    return found


def parse_step(text: object) -> Step:
    """Parse a step such as `1d`, `1mo` or `1h30m`.

    Units:  y mo w d h m s, each at most once, largest first.
    Raises: ValueError with the expected form in its message.
    """
    if not isinstance(text, str) or not _STEPS.fullmatch(text):
        raise ValueError(f"`{text}` is not a step: write `15m`, `1h`, `1d`, `1w`, `1mo` or `1y`")
    order = ("y", "mo", "w", "d", "h", "m", "s")
    found = [(int(number), unit) for number, unit in _STEP.findall(text)]
    places = [order.index(unit) for _, unit in found]
    if places != sorted(set(places)):
        raise ValueError(f"`{text}` is not a step: write each unit once, the largest first, such as `1h30m`")
    amounts = {unit: number for number, unit in found}
    return Step(
        amounts.get("y", 0) * 12 + amounts.get("mo", 0),
        amounts.get("w", 0) * 7 + amounts.get("d", 0),
        sum(amounts.get(unit, 0) * seconds for unit, seconds in _SECONDS.items()),
    )


def add_step(moment: Moment, step: Step) -> Moment:
    """Add months, to the same day or the last day of the month, then days, then seconds.

    Raises: ValueError for a date plus seconds, or for a result outside the years 1 to 9999.
    """
    if step.seconds and not isinstance(moment, datetime):
        raise ValueError(f"`{moment}` has no time of day: only whole days can be added to it")
    try:
        if step.months:
            years, month = divmod(moment.year * 12 + moment.month - 1 + step.months, 12)
            last = monthrange(years, month + 1)[1]
            moment = moment.replace(year=years, month=month + 1, day=min(moment.day, last))
        return moment + timedelta(days=step.days, seconds=step.seconds)
    except (ValueError, OverflowError):
        raise ValueError("the date is outside the years 1 to 9999") from None


def wall_to_instant(moment: datetime, zone: tzinfo) -> datetime:
    """Convert a wall-clock time: a skipped time moves forward, of a repeated time the first one counts.

    Raises: ValueError for a year beyond 1..9999.
    Source: RFC 5545 §3.3.5, as cron daemons and calendars do.
    """
    try:
        return moment.replace(tzinfo=zone, fold=0).astimezone(UTC).astimezone(zone)
    except OverflowError:
        raise ValueError("the date is outside the years 1 to 9999") from None


_NAMES_OF_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAMES_OF_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
DIRECTIVES = "aAbBdfFGHIjmMpsSTuVyYzZ%"


def check_directives(pattern: str) -> None:
    """Raise ValueError for a directive that `format_by` does not support."""
    for match in _DIRECTIVE.finditer(pattern):
        if not match[1] or match[1] not in DIRECTIVES:
            known = " ".join(f"%{letter}" for letter in DIRECTIVES)
            raise ValueError(f"strftime does not support `{match[0]}`; it supports {known}")


def format_by(moment: Moment, pattern: str) -> str:
    """Format by strftime directives, equally on every platform and in every locale, with English names.

    Source: POSIX strftime in the C locale; %f is Python's.
    """
    at = moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day)
    return _DIRECTIVE.sub(lambda match: _directive(at, match[1]), pattern)


def _directive(at: datetime, letter: str) -> str:
    year, week, weekday = at.isocalendar()
    offset = at.strftime("%z")
    values = {
        "a": _NAMES_OF_DAYS[at.weekday()][:3], "A": _NAMES_OF_DAYS[at.weekday()],
        "b": _NAMES_OF_MONTHS[at.month - 1][:3], "B": _NAMES_OF_MONTHS[at.month - 1],
        "d": f"{at.day:02}", "f": f"{at.microsecond:06}", "F": at.date().isoformat(), "G": f"{year:04}",
        "H": f"{at.hour:02}", "I": f"{(at.hour - 1) % 12 + 1:02}", "j": f"{at.timetuple().tm_yday:03}",
        "m": f"{at.month:02}", "M": f"{at.minute:02}", "p": "AM" if at.hour < 12 else "PM",
        "s": str(int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())),
        "S": f"{at.second:02}", "T": f"{at.hour:02}:{at.minute:02}:{at.second:02}", "u": str(weekday),
        "V": f"{week:02}", "y": f"{at.year % 100:02}", "Y": f"{at.year:04}", "z": offset,
        "Z": "UTC" if offset == "+0000" else offset, "%": "%",
    }  # fmt: skip
    return values[letter]
