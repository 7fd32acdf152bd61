"""Format and read many lock entries together, column by column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ..core.units import parse_timestamp
from .entry_line import LockEntry, format_entry, format_time, is_plain

_DIGEST_AND_TIME = re.compile(r'"digest":"([^"]{22}","enqueued_at":"[^"]{24})"')  # of a line in normal form
_DIGEST_LENGTH, _TIME_FROM, _PAIR_LENGTH, _DAY_LENGTH = 22, 39, 63, 10


def format_entries(
    ids: Sequence[str], workflows: Sequence[str], digests: Sequence[str], enqueued_at: Sequence[int]
) -> list[str]:
    """Format the lines of entries that have only these fields, column by column."""
    names = set(workflows)
    if len(names) > 1 or not is_plain("".join([*names, *ids])):
        entries = map(LockEntry, ids, workflows, digests, enqueued_at)
        return [format_entry(entry, {}) for entry in entries]
    times = {epoch_ms: format_time(epoch_ms) for epoch_ms in {*enqueued_at}}
    between = f'","workflow":"{names.pop()}","digest":"'
    return [
        f'{{"id":"{workflow_id}{between}{digest}","enqueued_at":"{times[epoch_ms]}"}}'
        for workflow_id, digest, epoch_ms in zip(ids, digests, enqueued_at, strict=True)
    ]


def find_digests_and_times(lines: Sequence[str]) -> list[str]:
    """Find digest and `enqueued_at` of many lines, as one text per line for `cut_digests` and `sum_times`.

    There are fewer texts than lines when a newer revision wrote some of them.
    """
    return _DIGEST_AND_TIME.findall("\n".join(lines))


def cut_digests(pairs: Sequence[str]) -> list[str]:
    """Cut the digests out of the texts of `find_digests_and_times`."""
    return [pair[:_DIGEST_LENGTH] for pair in pairs]


def sum_times(pairs: Sequence[str]) -> int:
    """Add up the times in the texts of `find_digests_and_times`, in epoch ms.

    All times are added digit by digit, in a few steps over one text.
    """
    text, count = "".join(pairs).encode(), len(pairs)
    if not count:
        return 0

    def digits(*places: int) -> int:
        total = 0
        for place in places:
            total = total * 10 + sum(text[_TIME_FROM + place :: _PAIR_LENGTH]) - 48 * count
        return total

    clock = ((digits(11, 12) * 60 + digits(14, 15)) * 60 + digits(17, 18)) * 1000 + digits(20, 21, 22)
    days = Counter(pair[_TIME_FROM : _TIME_FROM + _DAY_LENGTH] for pair in pairs)
    return clock + sum(parse_timestamp(f"{day}T00:00:00Z") * number for day, number in days.items())
