"""The DBOS tables and columns of a database, as its catalog lists them; a version number is never used."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import SchemaNotSupported

TABLES = (
    "workflow_status",
    "workflow_input",
    "workflow_output",
    "queues",
    "application_versions",
    "dbos_migrations",
    "workflow_schedules",
    "operation_outputs",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of the DBOS tables that exist, by table."""

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


def check_layout(columns: dict[str, frozenset[str]]) -> Layout:
    """Return the layout of DBOS tables with these columns, `workflow_status` among them.

    Raises: SchemaNotSupported when rows could not be written.
    """
    status = columns["workflow_status"]
    if "shard_key" in status:
        raise SchemaNotSupported(
            "this system database is sharded (DBOS Transact Enterprise): rows without a shard key "
            "would be lost",
            "sharded databases are not supported",
        )
    if "serialization" not in status:
        raise SchemaNotSupported(
            "the DBOS tables are too old: workflow_status has no column `serialization`, which "
            "distinguishes portable from native arguments",
            "upgrade DBOS (Python 2.14, TypeScript 4.9, Go 0.12, Java 0.8 or newer) and migrate the database",
        )
    return Layout(columns)
