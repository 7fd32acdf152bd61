"""The DBOS tables, laid by DBOS itself."""

from __future__ import annotations

from dbos._serialization import DefaultSerializer
from dbos._sys_db import SystemDatabase


def migrate(url: str) -> None:
    """Lay the DBOS tables, by DBOS itself."""
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
