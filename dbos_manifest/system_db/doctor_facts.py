"""Read the facts for `doctor`: privileges, migrations, application versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from .database import Database
from .read import decode_text

WRITTEN = ("workflow_status", "workflow_input")
READ = ("workflow_output", "queues", "application_versions", "dbos_migrations", "workflow_schedules")
"""Tables that plan, status and --wait read; without the privilege for one, its part is left out."""


class RegisteredVersion(NamedTuple):
    name: str
    application: str | None


def read_privileges(connection: Connection, database: Database) -> frozenset[tuple[str, str]]:
    """Return the (table, privilege) pairs of this role, for the tables that are read or written."""
    return database.read_privileges(connection, _existing(database, (*WRITTEN, *READ)))


def read_row_security(connection: Connection, database: Database) -> list[str]:
    """Return the tables in which row-level security applies to this role."""
    return database.read_row_security(connection, _existing(database, (*WRITTEN, *READ)))


def read_migration(connection: Connection, database: Database) -> int | None:
    """Read the number of the newest migration."""
    statement = text(f"SELECT max(version) FROM {database.table('dbos_migrations')}")
    number = connection.execute(statement).scalar_one_or_none()
    return None if number is None else int(number)


def read_newest_versions(connection: Connection, database: Database) -> list[RegisteredVersion]:
    """Read the newest registered version of each application."""
    columns = database.layout.columns["application_versions"]
    owner = "application_name" if "application_name" in columns else "NULL"
    rows = connection.execute(
        text(
            f"SELECT version_name, {owner} FROM {database.table('application_versions')} "
            "ORDER BY version_timestamp DESC"
        )
    )
    newest: dict[str | None, RegisteredVersion] = {}
    for name, application in rows:
        newest.setdefault(application, RegisteredVersion(decode_text(name), decode_text(application)))
    return list(newest.values())


def make_role_statements(connection: Connection, database: Database, role: str) -> list[str]:
    """Return SQL that creates a role which can do what this program does, and nothing else."""
    return database.make_role_statements(
        connection, role, written=_existing(database, WRITTEN), read=_existing(database, READ)
    )


def _existing(database: Database, tables: Sequence[str]) -> list[str]:
    return [table for table in tables if table in database.layout.columns]
