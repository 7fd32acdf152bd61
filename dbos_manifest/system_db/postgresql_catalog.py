"""Read PostgreSQL's catalog: which DBOS tables a schema has, and what identifies the database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from ..lockfile.fingerprint import NONE, UNKNOWN, make_part
from .layout import TABLES


def read_columns(connection: Connection, schema: str) -> dict[str, frozenset[str]]:
    """Read the columns of the DBOS tables that exist, by table."""
    # pg_attribute: information_schema hides the columns of tables that the role may not use
    rows = connection.execute(
        text(
            "SELECT c.relname, array_agg(a.attname::text) FROM pg_catalog.pg_class c "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
            "WHERE n.nspname = :schema AND c.relname = ANY(:tables) GROUP BY c.relname"
        ),
        {"schema": schema, "tables": list(TABLES)},
    )
    return {table: frozenset(columns) for table, columns in rows}


def find_schemas(connection: Connection) -> Sequence[str]:
    """Find the schemas that have DBOS tables."""
    return connection.scalars(
        text(
            "SELECT n.nspname FROM pg_catalog.pg_class c "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relname = 'workflow_status' AND c.relkind IN ('r', 'p') ORDER BY 1"
        )
    ).all()


def read_identity(connection: Connection, schema: str) -> tuple[str, str]:
    """Hash the names and object IDs of database and table, and the identifier of the server."""
    found = connection.execute(
        text(
            "SELECT d.datname, d.oid, c.oid AS table_oid, "
            "has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS is_open "
            "FROM pg_catalog.pg_database d, pg_catalog.pg_class c "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE d.datname = current_database() AND n.nspname = :schema AND c.relname = 'workflow_status'"
        ),
        {"schema": schema},
    ).one()
    place = make_part("postgresql", found.datname, found.oid, schema, found.table_oid)
    if not found.is_open:  # a provider may have closed the function
        return place, UNKNOWN
    identifier = text("SELECT system_identifier FROM pg_catalog.pg_control_system()")
    return place, make_part(connection.execute(identifier).scalar_one())


def read_first_version(connection: Connection, schema: str, table: str) -> str:
    """Hash the random ID of the first application version that a worker registered.

    Two databases never share it, unless one is a copy of the other; any role with the privileges of an
    enqueuer can read it, and DBOS never deletes it. `table` is the quoted name of application_versions.
    """
    may_read = text(  # by number: a name is not even looked up without a privilege on the schema
        "SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = :schema AND c.relname = 'application_versions'"
    )
    if not connection.execute(may_read, {"schema": schema}).scalar_one():
        return UNKNOWN
    first = connection.execute(
        text(f"SELECT version_id FROM {table} ORDER BY created_at, version_id LIMIT 1")
    ).scalar()
    return NONE if first is None else make_part(first)
