"""Which DBOS tables and columns a database has, found from its catalog and never from a version number."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from ..core.errors import SchemaNotSupported

TABLES = (
    "workflow_status",
    "workflow_input",
    "workflow_output",
    "queues",
    "application_versions",
    "dbos_migrations",
    "workflow_schedules",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of the DBOS tables that there are, by table."""

    columns: dict[str, frozenset[str]]

    @property
    def status(self) -> frozenset[str]:
        return self.columns["workflow_status"]

    @property
    def has_workflow_input(self) -> bool:
        return "workflow_input" in self.columns

    @property
    def has_workflow_output(self) -> bool:
        return "workflow_output" in self.columns

    @property
    def has_attributes(self) -> bool:
        return "attributes" in self.status

    @property
    def has_creator_xid(self) -> bool:
        return "creator_xid" in self.status


def read_layout(connection: Connection, schema: str) -> Layout:
    """The layout of the DBOS tables.

    Raises: SchemaNotSupported when there are none, or ones that cannot be written.
    """
    sqlite = connection.dialect.name == "sqlite"
    columns = _read_sqlite(connection) if sqlite else _read_postgresql(connection, schema)
    if "workflow_status" not in columns:
        raise _no_tables(connection, None if sqlite else schema)
    status = columns["workflow_status"]
    if "shard_key" in status:
        raise SchemaNotSupported(
            "this system database is sharded (DBOS Transact Enterprise), and rows without a shard key "
            "would be lost in it",
            "sharded databases are not supported",
        )
    if "serialization" not in status:
        raise SchemaNotSupported(
            "the DBOS tables are too old: workflow_status has no column `serialization`, without which "
            "portable arguments cannot be told from native ones",
            "upgrade DBOS (Python 2.14, TypeScript 4.9, Go 0.12, Java 0.8 or newer) and migrate",
        )
    return Layout(columns)


def _no_tables(connection: Connection, schema: str | None) -> SchemaNotSupported:
    hint = "start the DBOS application once, or run `dbos migrate`"
    if schema is None:
        return SchemaNotSupported("there are no DBOS tables in this file", hint)
    others = connection.scalars(
        text(
            "SELECT n.nspname FROM pg_catalog.pg_class c "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relname = 'workflow_status' AND c.relkind IN ('r', 'p') ORDER BY 1"
        )
    ).all()
    if others:
        names = ", ".join(f"`{name}`" for name in others)
        hint = f"name the schema with --schema; those with such tables are: {names}"
    return SchemaNotSupported(f"there are no DBOS tables in schema `{schema}`", hint)


def _read_sqlite(connection: Connection) -> dict[str, frozenset[str]]:
    found = {
        table: frozenset(row[1] for row in connection.execute(text(f"PRAGMA table_info({table})")))
        for table in TABLES
    }
    return {table: columns for table, columns in found.items() if columns}


def _read_postgresql(connection: Connection, schema: str) -> dict[str, frozenset[str]]:
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
