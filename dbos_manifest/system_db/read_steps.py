"""Read the last steps of workflows."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from ..planning.failure_digest import LastStep
from .database import Database


def read_last_steps(connection: Connection, database: Database, ids: Sequence[str]) -> dict[str, LastStep]:
    """Read the last failed step of these workflows, or the last step of all where none failed.

    Shape:  a workflow without a step is absent. Reads the columns workflow_uuid, function_id, function_name
            and error, so that the right to read outputs is not needed.
    """
    if "operation_outputs" not in database.layout.columns:
        return {}
    table = database.table("operation_outputs")
    failed = "CASE WHEN error IS NOT NULL AND error <> '' THEN function_id END"
    database.prefer_index_scans(connection)
    rows = connection.execute(
        text(
            f"SELECT step.workflow_uuid, step.function_id, {database.as_text('step.function_name')}, "
            "step.function_id = last.failed "
            f"FROM {table} step JOIN (SELECT workflow_uuid, max({failed}) AS failed, "
            f"max(function_id) AS final FROM {table} WHERE workflow_uuid {database.in_list} "
            "GROUP BY workflow_uuid) last ON step.workflow_uuid = last.workflow_uuid "
            "AND step.function_id = COALESCE(last.failed, last.final)"
        ),
        {"ids": database.encode_list(ids)},
    )
    return {key: LastStep(number, name or "", bool(has_failed)) for key, number, name, has_failed in rows}
