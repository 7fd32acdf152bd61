"""The ticks of a cron schedule between two instants, computed as DBOS's scheduler does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import islice

from croniter import CroniterError, croniter

from ..core.work_budget import spend

MANY_TICKS = 20  # per day: days are counted instead
_TICK_STEPS, _SEARCH_STEPS = 150, 2_000  # of work to find a tick, and to search years without one


def is_schedule(schedule: str) -> bool:
    """Return whether a text is a schedule of 5 fields, or of 6 with the second first."""
    return croniter.is_valid(schedule, second_at_beginning=True)


def ticks(schedule: str, start: datetime, end: datetime) -> Iterator[str]:
    """Yield the ticks after start and before end, in the format that DBOS uses in workflow IDs.

    Source: dbos 3.4.0 `_scheduler.py`, backfill_schedule: both ends excluded, `isoformat()`.
    """
    spend(_SEARCH_STEPS)
    iterator = croniter(schedule, start, second_at_beginning=True)
    while True:
        try:
            tick: datetime = iterator.get_next(datetime)
        except CroniterError:  # the schedule never fires again
            return
        if tick >= end:
            return
        spend(_TICK_STEPS)
        yield tick.isoformat()


def is_tick(schedule: str, moment: datetime) -> bool:
    """Return whether the schedule fires at an instant."""
    second = timedelta(seconds=1)
    before, after = ((moment.astimezone(timezone.utc) + k * second) for k in (-1, 1))
    around = ticks(schedule, before.astimezone(moment.tzinfo), after)
    # by timestamp: `==` is false for a local time that occurs twice and its instant in another zone
    return any(datetime.fromisoformat(tick).timestamp() == moment.timestamp() for tick in around)


def least_ticks(schedule: str, start: datetime, end: datetime, limit: int) -> int:
    """Return a lower bound of the number of ticks, 0 for a rare one, so that too many need not be counted."""
    fields = croniter.expand(schedule, second_at_beginning=True)[0]
    sizes = (60, 24, 1, 1, 1, 60)
    per_day = 1
    for field, size in zip(fields, sizes, strict=False):
        per_day *= size if field == ["*"] else len(field)
    if all(field == ["*"] for field in fields[2:5]) and len(fields) <= len(sizes):
        return max(0, (end - start).days - 2) * per_day
    words = schedule.split()
    if per_day < MANY_TICKS or len(words) not in (5, 6):
        return 0
    days = ticks(f"0 0 {' '.join(words[-3:])}", start + timedelta(days=1), end - timedelta(days=1))
    return sum(1 for _ in islice(days, limit // per_day + 2)) * per_day
