"""Read which batches applies enqueued, from the provenance in their rows."""

from __future__ import annotations

from sqlalchemy import Connection, text

from ..checks.rules import PROVENANCE_KEY
from ..planning.history import BatchKey, StatusCount
from .database import Database
from .read import clamp_time, decode_text


def read_batch_counts(connection: Connection, database: Database, manifest: str | None) -> list[StatusCount]:
    """Count the rows with provenance by batch and status; of one manifest, or of all.

    Shape:  none where the schema has no attributes.
    Cost:   reads the whole table once, for no index has provenance.
    """
    if not database.layout.has_attributes:
        return []
    marks = [database.json_text("attributes", PROVENANCE_KEY, name) for name in BatchKey._fields]
    which = f"{marks[0]} = :manifest" if manifest is not None else f"coalesce({', '.join(marks)}) IS NOT NULL"
    found = connection.execute(
        text(
            f"SELECT {', '.join(marks)}, status, count(*), min(created_at), max(created_at) "
            f"FROM {database.table('workflow_status')} WHERE {which} GROUP BY 1, 2, 3, 4, 5"
        ),
        {"manifest": manifest} if manifest is not None else {},
    )
    return [
        StatusCount(
            BatchKey(*map(decode_text, marks)),
            decode_text(status) or "unknown",
            count,
            clamp_time(first),
            clamp_time(last),
        )
        for *marks, status, count, first, last in found
    ]
