"""Check the system database: its server, schema, privileges, queues, versions and clock."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from ..core.doctor_check import Check, Level
from ..system_db.database import Database, Encryption
from ..system_db.doctor_facts import (
    READ,
    WRITTEN,
    make_role_statements,
    read_migration,
    read_newest_versions,
    read_privileges,
    read_row_security,
)
from ..system_db.preflight_facts import read_clock_ms, read_queues, read_run_by_old_worker
from .session import connect
from .settings import DatabaseSettings

MOST_SKEW_MS = 5_000

# Source: DBOS.md §6, the newest migration of each release of the Python SDK.
_RELEASES = ((107, "2.30"), (108, "2.31"), (114, "3.0"), (122, "3.1"), (123, "3.2"), (125, "3.4"))
_SHARED = 100  # below it each SDK has numbers of its own


Privileges = frozenset[tuple[str, str]]
"""Pairs of a table and a privilege."""


def examine(settings: DatabaseSettings) -> list[Check]:
    """Check a database for everything that apply needs; nothing is written.

    Raises: DatabaseError when it cannot even be opened, or has no DBOS tables that can be used.
    """
    with connect(settings) as database:
        privileges = database.read(read_privileges)
        checks = [_check_server(database)]
        encryption = database.read(lambda connection, _: database.read_encryption(connection))
        checks += [check_encryption(encryption)] if encryption is not None else []
        checks.append(_check_schema(database, privileges))
        checks += _check_privileges(database, privileges)
        checks += _check_row_security(database)
        if ("queues", "SELECT") in privileges:
            checks.append(_check_queues(database))
        if ("application_versions", "SELECT") in privileges:
            checks.append(_check_versions(database))
        checks.append(_check_clock(database))
        if database.layout.has_workflow_input and {(table, "SELECT") for table in WRITTEN} <= privileges:
            checks.append(_check_inputs(database))
        return checks


def role_statements(settings: DatabaseSettings, role: str) -> list[str]:
    """Return the SQL of a role with the least privileges; none on SQLite, which has no roles."""
    with connect(settings) as database:
        return database.read(make_role_statements, role)


def _check_server(database: Database) -> Check:
    server = database.read(lambda connection, _: database.read_server(connection))
    role = f" as {server.role}" if server.role else ""
    message = f"{server.version}, database {server.database}{role}"
    if server.read_only:
        help = "connect to the primary: a standby or a read-only session cannot accept workflows"
        return Check(Level.PROBLEM, "connection", f"{message}: read-only", help)
    return Check(Level.OK, "connection", message)


def check_encryption(encryption: Encryption) -> Check:
    """Check that no one on the network can read the connection or take the place of the server."""
    protocol, sslmode, is_local = encryption
    message = f"not encrypted (sslmode={sslmode})"
    if protocol is not None:
        message = f"encrypted with {protocol} (sslmode={sslmode})"
    if is_local:
        return Check(Level.OK, "encryption", f"{message}; the connection stays on this machine")
    help = "set sslmode=verify-full in the database URL (docs/guides/gitops.md#the-connection)"
    if protocol is None:
        return Check(Level.WARNING, "encryption", message, help)
    if protocol == "TLS" and not sslmode.startswith("verify-"):
        message = f"{message}, but another server could take the place of this one"
        return Check(Level.WARNING, "encryption", message, help)
    if sslmode == "verify-ca":
        help = "sslmode=verify-full checks the name of the server too"
        return Check(Level.OK, "encryption", message, help)
    return Check(Level.OK, "encryption", message)


def _check_schema(database: Database, privileges: Privileges) -> Check:
    schema = f"schema {database.schema}, " if database.schema else ""
    number = None
    if ("dbos_migrations", "SELECT") in privileges:
        number = database.read(read_migration)
    if number is None:
        return Check(Level.OK, "schema", f"{schema}DBOS tables found; the migration number cannot be read")
    if number < _SHARED:
        message = f"{schema}migration {number}, as numbered by the SDK that created the tables"
        return Check(Level.OK, "schema", message)
    known = [release for newest, release in _RELEASES if newest >= number]
    if not known:
        message = f"{schema}migration {number}, newer than this version of dbos-manifest knows"
        return Check(
            Level.WARNING,
            "schema",
            message,
            "check for a newer version; until then, dbos-manifest relies on the columns it finds",
        )
    return Check(Level.OK, "schema", f"{schema}migration {number}, as in DBOS Python {known[0]}")


def _check_privileges(database: Database, privileges: Privileges) -> list[Check]:
    there = database.layout.columns
    needed = [(table, right) for table in WRITTEN if table in there for right in ("SELECT", "INSERT")]
    missing = [f"{right} on {table}" for table, right in needed if (table, right) not in privileges]
    help = "run `dbos-manifest doctor --sql` for the SQL of a suitable role"
    if missing:
        return [Check(Level.PROBLEM, "privileges", f"this role lacks {', '.join(missing)}", help)]
    unread = [table for table in READ if table in there and (table, "SELECT") not in privileges]
    if unread:
        return [Check(Level.WARNING, "privileges", f"this role cannot read {', '.join(unread)}", help)]
    more = sorted({right for table, right in privileges if right in ("UPDATE", "DELETE")})
    if more:
        message = f"this role also has {' and '.join(more)}, which apply never uses"
        return [Check(Level.OK, "privileges", message, help)]
    return [Check(Level.OK, "privileges", "this role has what plan and apply need")]


def _check_row_security(database: Database) -> list[Check]:
    tables = database.read(read_row_security)
    if not tables:
        return []
    message = f"row-level security applies to this role on {', '.join(tables)}"
    help = (
        "plan and apply do not see the rows that policies hide, and enqueue more slowly: use a role with "
        "BYPASSRLS, or policies that let this role read and insert every row"
    )
    return [Check(Level.WARNING, "privileges", message, help)]


def _check_queues(database: Database) -> Check:
    queues = database.read(read_queues)
    if not queues:
        help = "start the application once; list queues that older SDKs declare in code under `queues:`"
        return Check(Level.WARNING, "queues", "no queue is registered", help)
    shown = [
        f"{name}{' (partitioned)' if queue.partitioned else ''}"
        f"{f' of {queue.application}' if queue.application else ''}"
        for name, queue in sorted(queues.items())
    ]
    more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
    return Check(Level.OK, "queues", f"{', '.join(shown[:20])}{more}")


def _check_versions(database: Database) -> Check:
    versions = database.read(read_newest_versions)
    if not versions:
        return Check(Level.WARNING, "versions", "no worker has registered a version", "start a worker once")
    shown = ", ".join(f"{v.name} of {v.application or 'any application'}" for v in versions)
    return Check(Level.OK, "versions", f"latest: {shown}")


def _read_skew_ms(connection: Connection, database: Database) -> int:
    before = time.time()
    theirs = read_clock_ms(connection, database)
    return theirs - round((before + time.time()) * 500)


def _check_clock(database: Database) -> Check:
    skew_ms = database.read(_read_skew_ms)
    message = (
        f"the database's clock is {abs(skew_ms)} ms {'ahead of' if skew_ms > 0 else 'behind'} this machine's"
    )
    if abs(skew_ms) > MOST_SKEW_MS:
        help = (
            "synchronize the clocks: `delay` and the order of rows use the database's, DBOS workers their own"
        )
        return Check(Level.WARNING, "clock", message, help)
    return Check(Level.OK, "clock", message)


def _check_inputs(database: Database) -> Check:
    old = database.read(read_run_by_old_worker)
    if old is not None:
        return Check(
            Level.WARNING,
            "inputs",
            f"`{old}` was run by a worker whose DBOS version predates the schema: such workers cannot "
            "read arguments from `workflow_input`",
            "upgrade these workers, or apply with --legacy-inputs (docs/reference/compatibility.md)",
        )
    return Check(
        Level.OK,
        "inputs",
        "apply writes arguments to workflow_input",
        "older workers (Python before 3.0, TypeScript before 5.0, Go before 1.4, Java before 1.2, Rust "
        "0.5.x) cannot read them there: apply with --legacy-inputs as long as any of them runs",
    )
