"""The program: a group whose commands are loaded when they are called."""

from __future__ import annotations

import gc
import signal
from importlib import import_module

import click

from .boundary import run_guarded

COMMANDS = {
    "validate": "Check manifests; needs no database.",
    "plan": "Show what apply would do; changes nothing.",
    "apply": "Enqueue the workflows that are missing and write the lockfile.",
    "status": "Show the live DBOS status of every workflow of a manifest.",
    "expand": "Print the workflows that a manifest expands to.",
    "explain": "Show where a workflow is defined and its current state.",
    "doctor": "Inspect the system database; print the SQL of a least-privilege role.",
    "init": "Write a first manifest, hooks and a pipeline.",
    "schema": "Print a JSON Schema, for editors.",
    "lock": "Check, repair or edit lockfiles.",
}


class LazyGroup(click.Group):
    """Knows its commands by name, and imports one when it is called: `validate` never loads a driver."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f".{cmd_name}", __package__), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 problems in the files, 2 wrong command line or no such file, 3 database or "
    "lockfile not usable, 5 partial: something was enqueued and not all is well, 6 refused, 7 a workflow "
    "failed (--wait), 8 timed out (--wait), 10 something to enqueue (plan --exit-code), 70 a bug, "
    "130 interrupted.",
)
@click.version_option(package_name="dbos-manifest", message="%(prog)s %(version)s")
def cli() -> None:
    """Submit batches of DBOS durable workflows from YAML manifests.

    validate checks the files, plan compares them with the DBOS system database, apply enqueues
    what is missing and writes a results lockfile.
    """


def main() -> None:
    """The console script's entry point."""
    # what is made here is mostly acyclic and soon gone: looking for cycles less often saves a tenth
    gc.set_threshold(50_000, 20, 50)
    try:
        code = run_guarded(cli)
    except KeyboardInterrupt:  # a second one, while the first was being told of
        code = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left to do is to end
    gc.freeze()  # nor does the interpreter's end look for cycles in all that was loaded
    raise SystemExit(code)
