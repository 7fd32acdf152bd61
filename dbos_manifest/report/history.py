"""Render the batches that applies enqueued, as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.plural import count_of
from ..core.units import format_timestamp
from ..planning.history import EnqueuedBatch
from ..planning.rows import QUEUED_STATUSES
from .screen import Cell, Screen, table_lines
from .text import printable, to_json

FORMAT_VERSION = 1
_SHORT = 7  # characters of a commit or run, as Git shows them
_ALWAYS = ("SUCCESS", "ERROR")
_STYLES = {"SUCCESS": "green", "ERROR": "red"}


def history_lines(batches: Sequence[EnqueuedBatch], total: int, screen: Screen) -> Iterator[str]:
    """Yield a table of batches with a column for each status; `total` counts also those not shown."""
    if not batches:
        yield "No batch with provenance is in this database."
        return
    other = {status for batch in batches for status in batch.statuses} - {*QUEUED_STATUSES}
    statuses = [*_ALWAYS, *sorted(other - {*_ALWAYS})]
    titles = ["enqueued at", "manifest", "commit", "run", "workflows", *statuses, "waiting"]
    rows = [[Cell(printable(title), "dim") for title in titles]]
    rows += [_row(batch, statuses) for batch in batches]
    reasons = ["reason", *(batch.key.reason or "" for batch in batches)]
    for line, reason in zip(table_lines(screen, rows, left=4, indent=0), reasons, strict=True):
        yield f"{line}  {printable(reason)}".rstrip()
    if total > len(batches):
        yield f"{count_of(total - len(batches), 'older batch', 'older batches')} not shown; use --limit"


def _row(batch: EnqueuedBatch, statuses: Sequence[str]) -> list[Cell]:
    counts = [batch.statuses.get(status, 0) for status in statuses]
    waiting = sum(count for status, count in batch.statuses.items() if status in QUEUED_STATUSES)
    key = batch.key
    return [
        Cell(format_timestamp(batch.first_created_ms // 1000 * 1000)),
        Cell(printable(key.manifest or "")),
        Cell(printable((key.commit or "")[:_SHORT])),
        Cell(printable((key.run_id or "")[:_SHORT])),
        Cell(f"{batch.workflows:,}"),
        *(
            Cell(f"{count:,}", _STYLES.get(status, "yellow") if count else "dim")
            for status, count in zip(statuses, counts, strict=True)
        ),
        Cell(f"{waiting:,}"),
    ]


def history_json(batches: Sequence[EnqueuedBatch], total: int) -> str:
    """Return the batches as one document."""
    found = [
        {
            **batch.key._asdict(),
            "enqueued_at": format_timestamp(batch.first_created_ms),
            "last_enqueued_at": format_timestamp(batch.last_created_ms),
            "workflows": batch.workflows,
            "statuses": dict(sorted(batch.statuses.items())),
        }
        for batch in batches
    ]
    return to_json({"format_version": FORMAT_VERSION, "total": total, "batches": found}, indent=2)
