"""Run `dbos-manifest doctor`."""

from __future__ import annotations

from ..actions.doctor import examine, role_statements
from ..core.doctor_check import Level
from ..core.errors import UsageError
from ..report.doctor import checkup_json, checkup_lines
from .arguments import DatabaseArguments
from .help import command
from .option_groups import takes_groups
from .options import database_text, option, output_option
from .settings import database_settings
from .terminal import painter, write_line


@command("", "--sql --role batch_user")
@takes_groups
@option(
    "--sql",
    is_flag=True,
    section="Output",
    help="Print only the SQL that creates a least-privilege role.",
)
@option(
    "--role",
    type=database_text,
    default="dbos_manifest",
    metavar="NAME",
    show_default=True,
    section="Output",
    help="Use this role name in the SQL of --sql.",
)
@output_option("text", "json")
def doctor(database: DatabaseArguments, sql: bool, role: str, output: str) -> int:
    """Inspect the system database: connection, encryption, schema, privileges, queues,
    versions, clock.

    Changes nothing. Exits with code 3 if apply would not work.
    """
    settings = database_settings(database)
    if sql:
        statements = role_statements(settings, role)
        if not statements:
            raise UsageError("SQLite has no roles", "set the permissions of the database file instead")
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
