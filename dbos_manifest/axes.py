"""One axis of a matrix as written in, how many values it has and a stream of them out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import islice
from math import ceil
from typing import Any

from .axis_files import FORMATS, format_of, read_rows
from .dates import (
    UTC,
    Moment,
    Step,
    add_step,
    format_moment,
    parse_moment,
    parse_step,
    parse_zone,
    wall_to_instant,
)
from .diagnostic import Path
from .tree import Tree, TreeError

MAX_CRON_YEARS = 100
KEPT_TICKS = 100_000
ROWS_READ = 1_000_000  # of a file with `select`, or ten for each workflow that is allowed


class AxisError(Exception):
    """What is wrong with an axis; `path` leads on from it."""

    def __init__(self, code: str, message: str, path: Path = (), help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.path, self.help = code, message, path, help


@dataclass(frozen=True, slots=True)
class Axis:
    """A name and its values, which can be gone through again and again."""

    name: str
    count: int
    values: Callable[[], Iterator[Any]]


def make_axis(name: str, source: Any, tree: Tree, limit: int) -> Axis:
    """The axis that a list or one of the maps `range`, `date_range`, `cron`, `file` stands for.

    Shape:  counting ends beyond `limit` where only counting can tell (cron, file): `count` is limit + 1 then.
    Raises: AxisError also for an axis without values, with the reason.
    """
    if isinstance(source, list):
        if not source:
            raise AxisError("empty-axis", f"the axis `{name}` has no values: the list is empty")
        return Axis(name, len(source), partial(iter, source))
    kind, settings = next(iter(source.items()))
    makers = {"range": _range, "date_range": _date_range, "cron": _cron, "file": _file}
    try:
        axis = makers[kind](name, settings, tree, limit)
    except AxisError as error:
        error.path = (kind, *error.path)
        raise
    return axis


def _empty(name: str, why: str) -> AxisError:
    return AxisError("empty-axis", f"the axis `{name}` has no values: {why}")


def _range(name: str, settings: Mapping[str, Any], tree: Tree, limit: int) -> Axis:
    numbers = {"start": 0, "step": 1, **settings}
    start, stop, step = (numbers[key] for key in ("start", "stop", "step"))
    if step == 0:
        raise AxisError("invalid-axis", "`step` is 0: the range would never end", ("step",))
    if not any(number % 1 for number in (start, stop, step)):
        start, stop, step = int(start), int(stop), int(step)
        whole = range(start, stop, step)
        count = max(0, -((start - stop) // step))
        values: Callable[[], Iterator[Any]] = partial(iter, whole)
    else:
        first, last, by = (Fraction(Decimal(repr(number))) for number in (start, stop, step))
        count = max(0, ceil((last - first) / by))

        def values() -> Iterator[float]:
            return (float(first + k * by) for k in range(count))

    if not count:
        raise _empty(name, f"from {start} to {stop} by {step} there is none, `stop` being excluded")
    return Axis(name, count, values)


def _moment(settings: Mapping[str, Any], key: str) -> Moment:
    try:
        return parse_moment(settings[key])
    except ValueError as error:
        raise AxisError("invalid-axis", f"`{key}`: {error}", (key,)) from None


def _zone(settings: Mapping[str, Any]) -> tzinfo | None:
    if settings.get("timezone") is None:
        return None
    try:
        return parse_zone(settings["timezone"])
    except ValueError as error:
        raise AxisError("invalid-axis", str(error), ("timezone",)) from None


def _date_range(name: str, settings: Mapping[str, Any], tree: Tree, limit: int) -> Axis:
    start, end, zone = _moment(settings, "start"), _moment(settings, "end"), _zone(settings)
    try:
        step = parse_step(settings.get("step", "1d"))
    except ValueError as error:
        raise AxisError("invalid-axis", f"`step`: {error}", ("step",)) from None
    if sum(bool(part) for part in step) != 1:
        message = "`step` is one number with one unit, above 0: `15m`, `1h`, `1d`, `1w`, `1mo`, `1y`"
        raise AxisError("invalid-axis", message, ("step",))
    dates = DateRange.make(start, end, step, zone, settings.get("include_end") is not False)
    if not dates.count:
        raise _empty(name, f"it starts at {settings['start']} and ends at {settings['end']}")
    return Axis(name, dates.count, dates.values)


@dataclass(frozen=True, slots=True)
class DateRange:
    """start + k·step for k from 0: days and longer by a zone's wall clock, hours and shorter absolute."""

    start: Moment
    end: Moment
    step: Step
    zone: tzinfo | None  # None: days only
    include_end: bool
    count: int = 0

    @classmethod
    def make(
        cls, start: Moment, end: Moment, step: Step, zone: tzinfo | None, include_end: bool
    ) -> DateRange:
        """Raises: AxisError where start, end and step do not go together."""
        if not isinstance(start, datetime) and not isinstance(end, datetime) and step.by_calendar:
            bare = cls(start, end, step, None, include_end)
        else:
            if not isinstance(end, datetime) and not step.by_calendar:
                message = f"`end` is a day, and the step is shorter: is `{end}` its first or its last hour?"
                raise AxisError("invalid-axis", message, ("end",), f"write `{end}T00:00:00Z`, or the like")
            zone = zone or (start.tzinfo if isinstance(start, datetime) else None) or UTC
            try:
                bare = cls(_in_zone(start, zone), _in_zone(end, zone), step, zone, include_end)
            except (ValueError, OverflowError):
                raise AxisError("invalid-axis", "the range lies beyond the years 1 to 9999") from None
        return cls(bare.start, bare.end, step, bare.zone, include_end, bare._count())

    def _count(self) -> int:
        """By arithmetic: a good guess, then the few values around it."""
        if self.step.by_calendar:
            months = (self.end.year - self.start.year) * 12 + self.end.month - self.start.month
            days = (_day(self.end) - _day(self.start)).days
            guess = months // self.step.months if self.step.months else days // self.step.days
        else:
            assert isinstance(self.start, datetime) and isinstance(self.end, datetime)
            guess = (self.end - self.start) // timedelta(seconds=self.step.seconds)
        count = max(0, guess - 2)
        while self._has(count):
            count += 1
        return count

    def _has(self, k: int) -> bool:
        try:
            value = self._at(k)
        except (ValueError, OverflowError):  # beyond the year 9999
            return False
        return bool(value <= self.end if self.include_end else value < self.end)

    def _at(self, k: int) -> Moment:
        if self.zone is None:
            return add_step(self.start, self.step.times(k))
        assert isinstance(self.start, datetime)
        if self.step.by_calendar:
            wall = add_step(self.start.replace(tzinfo=None), self.step.times(k))
            assert isinstance(wall, datetime)
            return wall_to_instant(wall, self.zone)
        moment = add_step(self.start.astimezone(UTC), self.step.times(k))
        assert isinstance(moment, datetime)
        return moment.astimezone(self.zone)

    def values(self) -> Iterator[str]:
        if self.zone is None:
            return (self._at(k).isoformat() for k in range(self.count))
        zulu = self.zone is UTC
        return (format_moment(self._at(k), zulu=zulu) for k in range(self.count))


def _day(moment: Moment) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _in_zone(moment: Moment, zone: tzinfo) -> datetime:
    if not isinstance(moment, datetime):
        return wall_to_instant(datetime(moment.year, moment.month, moment.day), zone)
    return wall_to_instant(moment, zone) if moment.tzinfo is None else moment.astimezone(zone)


def _cron(name: str, settings: Mapping[str, Any], tree: Tree, limit: int) -> Axis:
    from . import cron_ticks  # only a manifest with a cron axis pays for loading it

    schedule, zone = settings["schedule"], _zone(settings) or UTC
    start, end = (_cron_bound(settings, key, zone) for key in ("start", "end"))
    fields = schedule.split()
    if any(letter in field.upper() for field in fields for letter in ("R", "H") if field.upper() == letter
           or field.upper().startswith((f"{letter}/", f"{letter}("))):  # fmt: skip
        message = "`R` and `H` stand for times by chance: a manifest stands for the same workflows for ever"
        raise AxisError("invalid-axis", message, ("schedule",))
    if not cron_ticks.is_schedule(schedule):
        message = f"`{schedule}` is not a cron schedule"
        help = "5 fields, minute hour day month weekday, or 6 with the second in front"
        raise AxisError("invalid-axis", message, ("schedule",), help)
    if end.year - start.year > MAX_CRON_YEARS:
        message = f"a cron axis spans at most {MAX_CRON_YEARS} years"
        raise AxisError("invalid-axis", message, ("end",))
    ticks = partial(cron_ticks.ticks, schedule, start.astimezone(zone), end)
    if (least := cron_ticks.least_ticks(schedule, start, end, limit)) > limit:
        return Axis(name, least, ticks)
    found = list(islice(ticks(), limit + 1))
    if not found:
        raise _empty(name, f"`{schedule}` never fires after {settings['start']} and before {settings['end']}")
    return Axis(name, len(found), partial(iter, found) if len(found) <= KEPT_TICKS else ticks)


def _cron_bound(settings: Mapping[str, Any], key: str, zone: tzinfo) -> datetime:
    moment = _moment(settings, key)
    if isinstance(moment, datetime) and moment.tzinfo is None:
        message = f"`{key}` has no offset, which cron needs: DBOS reads such a time as UTC"
        raise AxisError(
            "invalid-axis", message, (key,), f"write `{settings[key]}Z`, or an offset as `+02:00`"
        )
    try:
        return _in_zone(moment, zone)
    except (ValueError, OverflowError):
        raise AxisError("invalid-axis", "the time lies beyond the years 1 to 9999", (key,)) from None


def _file(name: str, settings: Mapping[str, Any], tree: Tree, limit: int) -> Axis:
    path, format = settings["path"], settings.get("format") or format_of(settings["path"])
    if format is None:
        message = f"the name `{path}` does not say what it holds"
        raise AxisError("invalid-axis", message, ("path",), f"add `format: {'`, `'.join(FORMATS)}`")
    select = settings.get("select") or {}
    rows = partial(read_rows, tree, path, format, select, max(ROWS_READ, 10 * limit))
    try:
        count = sum(1 for _ in islice(rows(), limit + 1))
    except TreeError as error:
        raise AxisError(error.code, error.message, ("path",), error.help) from None
    if not count:
        raise _empty(name, f"{path} has no rows{' that `select` keeps' if select else ''}")
    return Axis(name, count, rows)
