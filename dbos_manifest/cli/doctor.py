"""`dbos-manifest doctor`."""

from __future__ import annotations

from typing import Any

import click

from ..actions.doctor import Level, examine, role_statements
from ..core.errors import UsageError
from ..report.checkup import checkup_json, checkup_lines
from .database_options import database_options, database_settings
from .options import option, output_option
from .output import painter, write_line


@click.command()
@database_options
@option("--sql", is_flag=True, help="Print the SQL of a role with the least privileges, and nothing else.")
@option("--role", default="dbos_manifest", show_default=True, help="The name of that role.")
@output_option("text", "json")
def doctor(output: str, sql: bool, role: str, **options: Any) -> int:
    """Inspect the system database: connection, schema, rights, queues, versions, clock. Changes nothing.

    Exits 3 when an apply could not work.
    """
    settings = database_settings(options)
    if sql:
        statements = role_statements(settings, role)
        if not statements:
            raise UsageError("SQLite has no roles", "the file's own permissions say who may use it")
        for statement in statements:
            write_line(statement)
        return 0
    checks = examine(settings)
    if output == "json":
        write_line(checkup_json(checks))
    else:
        for line in checkup_lines(checks, painter()):
            write_line(line)
    return 3 if any(check.level is Level.PROBLEM for check in checks) else 0
