"""The dates and times of a `date_range` axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from ..core.dates import UTC, Moment, Step, add_step, format_moment, wall_to_instant
from .axis import AxisError


@dataclass(frozen=True, slots=True)
class DateRange:
    """start + k·step for k from 0: days or longer by the wall clock of a zone, shorter steps absolute."""

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
        """Check and count a range.

        Raises: AxisError when start, end and step do not fit together.
        """
        if not isinstance(start, datetime) and not isinstance(end, datetime) and step.by_calendar:
            bare = cls(start, end, step, None, include_end)
        else:
            if not isinstance(end, datetime) and not step.by_calendar:
                message = (
                    f"`end` is a day, but `step` is shorter: `{end}` could mean the first or "
                    "the last hour of that day"
                )
                raise AxisError("invalid-axis", message, ("end",), f"write a time, such as `{end}T00:00:00Z`")
            zone = zone or (start.tzinfo if isinstance(start, datetime) else None) or UTC
            try:
                bare = cls(put_in_zone(start, zone), put_in_zone(end, zone), step, zone, include_end)
            except (ValueError, OverflowError):
                raise AxisError("invalid-axis", "the range is outside the years 1 to 9999") from None
        return cls(bare.start, bare.end, step, bare.zone, include_end, bare._count())

    def _count(self) -> int:
        """Count the values by arithmetic: an estimate from below, corrected by trying the next values."""
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

    def values(self, direction: int = 1) -> Iterator[str]:
        """Yield the dates, with a direction of -1 the last one first."""
        ks = range(self.count)[::direction]
        if self.zone is None:
            return (self._at(k).isoformat() for k in ks)
        zulu = self.zone is UTC
        return (format_moment(self._at(k), zulu=zulu) for k in ks)


def _day(moment: Moment) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def put_in_zone(moment: Moment, zone: tzinfo) -> datetime:
    """Return the instant of a day, a wall-clock time or an instant, in a zone."""
    if not isinstance(moment, datetime):
        return wall_to_instant(datetime(moment.year, moment.month, moment.day), zone)
    return wall_to_instant(moment, zone) if moment.tzinfo is None else moment.astimezone(zone)
