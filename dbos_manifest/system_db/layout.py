"""A connection in; out: which DBOS tables and columns this database has, whatever version wrote them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from ..errors import SchemaNotSupported

_TABLES = (
    "workflow_status",
    "workflow_input",
    "workflow_output",
    "queues",
    "application_versions",
    "dbos_migrations",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The DBOS tables as they are here. A table's columns are empty where there is no such table."""

    schema: str  # '' on SQLite
    columns: frozenset[str]  # of workflow_status
    queue_columns: frozenset[str]
    has_workflow_input: bool
    has_workflow_output: bool
    has_application_versions: bool
    migration: int | None  # only to be shown: below 100 each SDK counts its own

    @property
    def has_attributes(self) -> bool:
        return "attributes" in self.columns

    @property
    def has_creator_xid(self) -> bool:
        return "creator_xid" in self.columns

    def table(self, name: str) -> str:
        """The table's quoted name, for the text of a statement."""
        return qualified_name(self.schema, name)


def qualified_name(schema: str, table: str) -> str:
    """`"schema"."table"` for `sqlalchemy.text`, where a colon would begin a parameter."""
    if not schema:
        return f'"{table}"'
    quoted = schema.replace('"', '""').replace(":", r"\:")
    return f'"{quoted}"."{table}"'


def read_layout(connection: Connection, schema: str) -> Layout:
    """Look at the tables that the DBOS system database has.

    Raises: SchemaNotSupported when there are none, they are too old, or they are sharded.
    Source: DBOS.md §6, §9: detect by column, never by migration number.
    """
    sqlite = connection.dialect.name == "sqlite"
    schema = "" if sqlite else schema
    found = _read_sqlite_columns(connection) if sqlite else _read_postgres_columns(connection, schema)
    _check_supported(connection, schema, found)
    return Layout(
        schema=schema,
        columns=found["workflow_status"],
        queue_columns=found.get("queues", frozenset()),
        has_workflow_input="workflow_input" in found,
        has_workflow_output="workflow_output" in found,
        has_application_versions="application_versions" in found,
        migration=_read_migration(connection, schema) if "dbos_migrations" in found else None,
    )


def _read_postgres_columns(connection: Connection, schema: str) -> dict[str, frozenset[str]]:
    # not information_schema, which hides what the role has no privilege for
    rows = connection.execute(
        text(
            """
            SELECT class.relname, array_agg(CAST(attribute.attname AS text))
            FROM pg_catalog.pg_class AS class
            JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
            JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
            WHERE namespace.nspname = :schema AND class.relname = ANY(CAST(:tables AS text[]))
              AND class.relkind IN ('r', 'p') AND attribute.attnum > 0 AND NOT attribute.attisdropped
            GROUP BY class.relname
            """
        ),
        {"schema": schema, "tables": list(_TABLES)},
    )
    return {table: frozenset(columns) for table, columns in rows}


def _read_sqlite_columns(connection: Connection) -> dict[str, frozenset[str]]:
    statement = text("SELECT name FROM pragma_table_info(:table)")
    found = {table: frozenset(connection.scalars(statement, {"table": table})) for table in _TABLES}
    return {table: columns for table, columns in found.items() if columns}


def _check_supported(connection: Connection, schema: str, found: dict[str, frozenset[str]]) -> None:
    columns = found.get("workflow_status")
    if columns is None:
        raise _no_tables(connection, schema)
    if "serialization" not in columns:
        raise SchemaNotSupported(
            "the DBOS tables are too old: workflow_status has no `serialization` column, "
            "so no worker could read portable arguments",
            "upgrade the application to DBOS Python 2.14, TypeScript 4.9, Go 0.12, Java 0.8 or newer",
        )
    if "shard_key" in columns:
        raise SchemaNotSupported(
            "the DBOS tables are sharded (workflow_status has a `shard_key` column), which is not supported",
            "enqueue into a sharded system database with the DBOS client",
        )


def _no_tables(connection: Connection, schema: str) -> SchemaNotSupported:
    start = "start the DBOS application once (or run `dbos migrate`), which makes them"
    if not schema:
        return SchemaNotSupported("the SQLite file has no DBOS tables", start)
    others = connection.scalars(
        text(
            """
            SELECT namespace.nspname FROM pg_catalog.pg_class AS class
            JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
            WHERE class.relname = 'workflow_status' AND class.relkind IN ('r', 'p') ORDER BY 1
            """
        )
    ).all()
    if not others:
        return SchemaNotSupported(
            f"there are no DBOS tables in schema `{schema}`, nor in any other schema of this database",
            f"check the name of the database, or {start}",
        )
    names = ", ".join(f"`{name}`" for name in others)
    return SchemaNotSupported(
        f"there are no DBOS tables in schema `{schema}`; schemas that have them: {names}",
        f"name it: --schema {others[0]}" if len(others) == 1 else "name the right one with --schema",
    )


def _read_migration(connection: Connection, schema: str) -> int | None:
    table = qualified_name(schema, "dbos_migrations")
    if schema and not connection.scalar(
        text(
            """
            SELECT has_table_privilege(class.oid, 'SELECT')
                   AND has_schema_privilege(namespace.oid, 'USAGE')
            FROM pg_catalog.pg_class AS class
            JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
            WHERE namespace.nspname = :schema AND class.relname = 'dbos_migrations'
            """
        ),
        {"schema": schema},
    ):
        return None
    version: int | None = connection.scalar(text(f"SELECT max(version) FROM {table}"))
    return version
