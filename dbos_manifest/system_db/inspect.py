"""What a database says of itself, for `doctor`: server, role, rights, migrations, versions."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, text

from .connect import Database
from .read import decode_text

WRITTEN = ("workflow_status", "workflow_input")
READ = ("workflow_output", "queues", "application_versions", "dbos_migrations", "workflow_schedules")
"""Tables that plan, status and --wait read; without a right to one, its part is missing."""


class Server(NamedTuple):
    version: str  # as `PostgreSQL 16.2`
    database: str
    role: str | None
    read_only: bool


class RegisteredVersion(NamedTuple):
    name: str
    application: str | None


def read_server(connection: Connection, database: Database) -> Server:
    if database.dialect == "sqlite":
        version = connection.execute(text("SELECT sqlite_version()")).scalar_one()
        return Server(f"SQLite {version}", database.label, None, False)
    row = connection.execute(
        text(
            "SELECT current_setting('server_version'), current_database(), current_user, "
            "pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool"
        )
    ).one()
    return Server(f"PostgreSQL {row[0]}", row[1], row[2], row[3])


def read_rights(connection: Connection, database: Database) -> frozenset[tuple[str, str]]:
    """The (table, privilege) pairs of this role, of SELECT, INSERT, UPDATE and DELETE; all on SQLite."""
    tables = [table for table in (*WRITTEN, *READ) if table in database.layout.columns]
    pairs = [(table, right) for table in tables for right in ("SELECT", "INSERT", "UPDATE", "DELETE")]
    if database.dialect == "sqlite":
        return frozenset(pairs)
    usage = text("SELECT has_schema_privilege(:schema, 'USAGE')")
    if not connection.execute(usage, {"schema": database.schema}).scalar_one():
        return frozenset()
    statement = text("SELECT has_table_privilege(:table, :right)")
    return frozenset(
        (table, right)
        for table, right in pairs
        if connection.execute(statement, {"table": database.table(table), "right": right}).scalar_one()
    )


def read_migration(connection: Connection, database: Database) -> int | None:
    """The number of the newest migration."""
    statement = text(f"SELECT max(version) FROM {database.table('dbos_migrations')}")
    number = connection.execute(statement).scalar_one_or_none()
    return None if number is None else int(number)


def read_newest_versions(connection: Connection, database: Database) -> list[RegisteredVersion]:
    """The newest registered version of each application."""
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
    """SQL that makes a role which can do what this program does, and nothing else."""

    def quote(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def tables(names: tuple[str, ...]) -> str:
        return ", ".join(database.table(name) for name in names if name in database.layout.columns)

    name = connection.execute(text("SELECT current_database()")).scalar_one()
    return [
        f"CREATE ROLE {quote(role)} LOGIN;",
        f"GRANT CONNECT ON DATABASE {quote(name)} TO {quote(role)};",
        f"GRANT USAGE ON SCHEMA {quote(database.schema)} TO {quote(role)};",
        f"GRANT SELECT, INSERT ON {tables(WRITTEN)} TO {quote(role)};",
        f"GRANT SELECT ON {tables(READ)} TO {quote(role)};",
    ]
