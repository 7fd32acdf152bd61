"""Run `dbos-manifest explain`."""

from __future__ import annotations

from pathlib import Path

from ..actions.explain import explain_workflow, find_workflow
from ..actions.lockfiles import load_lockfile, lockfile_path
from ..actions.session import read_rows
from ..core.errors import UsageError
from ..core.suggest import did_you_mean
from ..report.explanation import explanation_json, explanation_lines
from .arguments import DatabaseArguments, InputArguments, LockfileArguments
from .help import command
from .manifests import load_manifests
from .option_groups import takes_groups
from .options import argument, output_option
from .settings import database_settings, lockfile_settings
from .terminal import painter, write_line


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
    found = find_workflow(validation, workflow_id)
    if isinstance(found, list):
        raise UsageError(
            f"the manifests have no workflow with the ID `{workflow_id}`", did_you_mean(workflow_id, found)
        )
    loaded, spec = found
    row, identity = None, None
    if database.database_url:
        rows, identity = read_rows([workflow_id], database_settings(database))
        row = rows.get(workflow_id)
    lock_entry, lock_path = None, None
    lockfiles = lockfile_settings(lockfile)
    if loaded.path is not None or lockfiles.path is not None:
        lock_path = lockfile_path(loaded, lockfiles)
        lock = load_lockfile(Path(lock_path), loaded.name, identity)
        lock_entry = lock.entry(workflow_id) if lock is not None else None
    explanation = explain_workflow(loaded, spec)._replace(
        lock_path=lock_path, lock_entry=lock_entry, row=row, database_given=bool(database.database_url)
    )
    if output == "json":
        write_line(explanation_json(explanation))
    else:
        for line in explanation_lines(explanation, painter()):
            write_line(line)
    return 0
