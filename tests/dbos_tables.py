"""Create the DBOS tables with DBOS itself, and rows for them."""

from __future__ import annotations

from dbos._serialization import DefaultSerializer
from dbos._sys_db import SystemDatabase

from dbos_manifest.system_db.new_rows import NewRows, make_rows
from dbos_manifest.workflows.batch import Batch
from dbos_manifest.workflows.spec import WorkflowSpec


def migrate(url: str) -> None:
    """Create the DBOS tables with DBOS itself."""
    system = SystemDatabase.create(
        system_database_url=url,
        engine_kwargs={},
        engine=None,
        schema="dbos",
        serializer=DefaultSerializer(),
        executor_id=None,
    )
    try:
        system.run_migrations()
    finally:
        system.destroy()


def rows_of(
    *specs: WorkflowSpec, first_ms: int = 1, attributes: str | None = None, creator_xid: str = "x"
) -> NewRows:
    """Build rows as apply enqueues them, created one millisecond apart."""
    return make_rows(
        Batch.of(specs),
        created_at_ms=[first_ms + place for place in range(len(specs))],
        now_ms=0,
        attributes=[attributes] * len(specs),
        creator_xid=creator_xid,
    )
