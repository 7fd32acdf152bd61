"""Read one axis of a matrix: how many values it has, and a stream of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import islice
from math import ceil
from typing import Any

from ..core.dates import UTC, Moment, format_moment, parse_moment, parse_step, parse_zone
from ..core.memory_budget import BUDGET
from ..core.suggest import did_you_mean
from ..reading.sandbox import Tree, TreeError
from .axis import Axis, AxisError, AxisWarning, reverse_values
from .axis_files import FORMATS, FileFormat, format_of, known_encoding, read_rows
from .date_range import DateRange, put_in_zone

MAX_CRON_YEARS, MAX_SCHEDULE = 100, 1_000  # characters
ENCODINGS = ("utf-8", "utf-16", "windows-1252", "iso-8859-1", "iso-8859-15", "shift_jis", "gb18030", "euc-kr")
_Settings = Mapping[str, Any]
ROWS_READ = 1_000_000  # of a file at most, or ten for each workflow that is allowed


def make_axis(name: str, source: list[Any] | dict[str, Any], tree: Tree, limit: int) -> Axis:
    """Read an axis: a list, or one of the maps `range`, `date_range`, `cron` and `file`.

    Shape:  the values of `cron` and `file` must be counted one by one, which ends at `limit + 1`.
    Raises: AxisError for an invalid axis, and for one without values.
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


def _is_descending(settings: _Settings) -> bool:
    return settings.get("order") == "desc"


def _empty(name: str, why: str) -> AxisError:
    return AxisError("empty-axis", f"the axis `{name}` has no values: {why}")


def _range(name: str, settings: _Settings, tree: Tree, limit: int) -> Axis:
    numbers = {"start": 0, "step": 1, **settings}
    backwards = -1 if _is_descending(settings) else 1
    start, stop, step = (numbers[key] for key in ("start", "stop", "step"))
    if step == 0:
        raise AxisError("invalid-axis", "`step` is 0: the range would never end", ("step",))
    if not any(number % 1 for number in (start, stop, step)):
        start, stop, step = int(start), int(stop), int(step)
        count = max(0, -((start - stop) // step))
        values: Callable[[], Iterator[object]] = partial(iter, range(start, stop, step)[::backwards])
    else:
        first, last, by = (Fraction(Decimal(repr(number))) for number in (start, stop, step))
        count = max(0, ceil((last - first) / by))

        def values() -> Iterator[float]:
            return (float(first + k * by) for k in range(count)[::backwards])

    if not count:
        raise _empty(
            name, f"there is no number from {start} to {stop} in steps of {step}; `stop` is excluded"
        )
    return Axis(name, count, values)


def _moment(settings: _Settings, key: str) -> Moment:
    try:
        return parse_moment(settings[key])
    except ValueError as error:
        raise AxisError("invalid-axis", f"`{key}`: {error}", (key,)) from None


def _zone(settings: _Settings) -> tzinfo | None:
    if settings.get("timezone") is None:
        return None
    try:
        return parse_zone(settings["timezone"])
    except ValueError as error:
        raise AxisError("invalid-axis", str(error), ("timezone",)) from None


def _date_range(name: str, settings: _Settings, tree: Tree, limit: int) -> Axis:
    start, end, zone = _moment(settings, "start"), _moment(settings, "end"), _zone(settings)
    try:
        step = parse_step(settings.get("step", "1d"))
    except ValueError as error:
        raise AxisError("invalid-axis", f"`step`: {error}", ("step",)) from None
    if sum(bool(part) for part in step) != 1:
        message = "expected one number above 0 with one unit for `step`: `15m`, `1h`, `1d`, `1w`, `1mo`, `1y`"
        raise AxisError("invalid-axis", message, ("step",))
    dates = DateRange.make(start, end, step, zone, settings.get("include_end") is not False)
    if not dates.count:
        raise _empty(name, f"`start` is {settings['start']} and `end` is {settings['end']}")
    return Axis(name, dates.count, partial(dates.values, -1 if _is_descending(settings) else 1))


def _cron(name: str, settings: _Settings, tree: Tree, limit: int) -> Axis:
    from . import cron_ticks  # loaded only for a manifest with a cron axis

    schedule, zone = settings["schedule"], _zone(settings) or UTC
    start, end = (_cron_bound(settings, key, zone) for key in ("start", "end"))
    fields = schedule.split()
    if any(letter in field.upper() for field in fields for letter in ("R", "H") if field.upper() == letter
           or field.upper().startswith((f"{letter}/", f"{letter}("))):  # fmt: skip
        message = "`R` and `H` mean random times, but a manifest must always expand to the same workflows"
        raise AxisError("invalid-axis", message, ("schedule",))
    if len(schedule) > MAX_SCHEDULE or not cron_ticks.is_schedule(schedule):
        message = f"`{schedule[:MAX_SCHEDULE]}` is not a cron schedule"
        help = "write 5 fields (minute hour day month weekday), or 6 with the second first"
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
    values: Callable[[], Iterator[object]] = (
        partial(iter, found) if len(found) <= BUDGET.held_texts else ticks
    )
    if _is_descending(settings):
        values = partial(reverse_values, values, len(found))
    return Axis(name, len(found), values, tuple(_excluded_ticks(schedule, settings, zone, start, end)))


def _excluded_ticks(
    schedule: str, settings: _Settings, zone: tzinfo, start: datetime, end: datetime
) -> Iterator[AxisWarning]:
    """Warn of a tick at `start` or `end`: both are excluded, which a user may not expect."""
    from . import cron_ticks

    for key, bound, outwards in (("start", start, -1), ("end", end, 1)):
        if cron_ticks.is_tick(schedule, bound.astimezone(zone)):
            inside, outside = (
                format_moment(
                    (bound.astimezone(UTC) + timedelta(seconds=outwards * k)).astimezone(zone),
                    zulu=zone is UTC,
                )
                for k in (-1, 1)
            )
            yield AxisWarning(
                "excluded-tick",
                f"`{schedule}` fires exactly at `{key}`, {settings[key]}, which is excluded, as in DBOS",
                ("cron", key),
                f'write `{key}: "{outside}"` to include the tick, or `"{inside}"` to exclude it',
            )


def _cron_bound(settings: _Settings, key: str, zone: tzinfo) -> datetime:
    moment = _moment(settings, key)
    if isinstance(moment, datetime) and moment.tzinfo is None:
        message = f"`{key}` has no UTC offset, but a cron axis needs one"
        raise AxisError(
            "invalid-axis", message, (key,), f"write `{settings[key]}Z`, as DBOS reads it, or add `+02:00`"
        )
    try:
        return put_in_zone(moment, zone)
    except (ValueError, OverflowError):
        raise AxisError("invalid-axis", "the time is outside the years 1 to 9999", (key,)) from None


def _file(name: str, settings: _Settings, tree: Tree, limit: int) -> Axis:
    path, select = settings["path"], settings.get("select") or {}
    rows = partial(read_rows, tree, path, _file_format(settings), select, max(ROWS_READ, 10 * limit))
    try:
        count = sum(1 for _ in islice(rows(), limit + 1))
    except TreeError as error:
        raise AxisError(error.code, error.message, ("path",), error.help) from None
    if not count:
        raise _empty(name, f"{path} has no rows{' that match `select`' if select else ''}")
    return Axis(name, count, partial(reverse_values, rows, count) if _is_descending(settings) else rows)


def _file_format(settings: _Settings) -> FileFormat:
    path, name = settings["path"], settings.get("format") or format_of(settings["path"])
    if not path.strip():
        raise AxisError("invalid-axis", "`path` is blank", ("path",), "write the path of the file")
    if name is None:
        message = f"the file name `{path}` does not show the format of the file"
        raise AxisError(
            "invalid-axis",
            message,
            ("path",),
            f"add `format:` with {', '.join(f'`{known}`' for known in FORMATS)}",
        )
    delimiter, encoding = settings.get("delimiter"), settings.get("encoding") or "utf-8"
    if delimiter is not None and name != "csv":
        raise AxisError(
            "invalid-axis", f"`delimiter` applies only to CSV, but {path} is {name}", ("delimiter",)
        )
    if (codec := known_encoding(encoding)) is None:
        message, help = f"unknown encoding `{encoding}`", did_you_mean(encoding, ENCODINGS)
        raise AxisError("invalid-axis", message, ("encoding",), help)
    return FileFormat(name, delimiter or ",", codec)
