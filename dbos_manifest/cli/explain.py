"""Run `dbos-manifest explain`."""

from __future__ import annotations

from pathlib import Path

from ..actions.explain import find_workflow
from ..actions.lockfiles import load_lockfile, lockfile_path
from ..actions.session import read_rows
from ..core.errors import UsageError
from ..core.suggest import did_you_mean
from ..report.explained import explained_json, explained_lines
from .arguments import DatabaseArguments, InputArguments, LockfileArguments
from .help import command
from .inputs import load_manifests
from .option_groups import takes_groups
from .options import argument, output_option
from .output import painter, write_line
from .settings import database_settings, lockfile_settings


@command("jobs orders-2026-01-01-eu", "jobs orders-2026-01-01-eu --target prod -o json")
@takes_groups
@argument("workflow_id", metavar="ID", help="The ID of the workflow.")
@output_option("text", "json")
def explain(
    inputs: InputArguments,
    database: DatabaseArguments,
    lockfile: LockfileArguments,
    workflow_id: str,
    output: str,
) -> int:
    """Show where a workflow is defined, how each option got its value, and its current state.

    The row in the database is shown if a database is given.
    """
    validation = load_manifests(inputs)
    found, close = find_workflow(validation, workflow_id)
    if found is None:
        raise UsageError(f"the manifests have no workflow `{workflow_id}`", did_you_mean(workflow_id, close))
    row, identity = None, None
    if database.database_url:
        rows, identity = read_rows([workflow_id], database_settings(database))
        row = rows.get(workflow_id)
    lock_entry, lock_path = None, None
    lockfiles = lockfile_settings(lockfile)
    if found.loaded.path is not None or lockfiles.path is not None:
        lock_path = lockfile_path(found.loaded, lockfiles)
        lock = load_lockfile(Path(lock_path), found.loaded.name, identity)
        lock_entry = lock.entry(workflow_id) if lock is not None else None
    explained = found._replace(
        lock_path=lock_path, lock_entry=lock_entry, row=row, database_given=bool(database.database_url)
    )
    if output == "json":
        write_line(explained_json(explained))
    else:
        for line in explained_lines(explained, painter()):
            write_line(line)
    return 0
