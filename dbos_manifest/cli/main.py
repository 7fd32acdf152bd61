"""The program: a group whose commands are loaded when they are called."""

from __future__ import annotations

import gc
import os
import signal
from importlib import import_module

import click

from ..core.exit_codes import ExitCode
from .error_boundary import run_guarded
from .help import SuggestingGroup

COMMANDS = {
    "validate": "Check manifests; needs no database.",
    "plan": "Show what apply would do; changes nothing.",
    "apply": "Enqueue the workflows that do not exist yet.",
    "status": "Show the DBOS status of every workflow of a manifest.",
    "history": "List the batches that were enqueued, with commit, time and reason.",
    "expand": "Print the workflows that a manifest expands to.",
    "explain": "Show where a workflow is defined and its current state.",
    "doctor": "Check the system database and your privileges in it.",
    "init": "Write a first manifest, a pre-commit hook and a pipeline.",
    "schema": "Print a JSON Schema, for editors.",
    "completion": "Print a completion script for a shell.",
    "lock": "Check, repair or edit lockfiles.",
}


PROGRAM = "dbos-manifest"
COMPLETION_VARIABLE = "_DBOS_MANIFEST_COMPLETE"
EXAMPLES = ("init", "validate jobs", "plan jobs", "apply jobs --wait")
EXIT_CODES = {
    ExitCode.DONE: "done",
    ExitCode.INVALID_FILES: "problems in the files; nothing was enqueued",
    ExitCode.WRONG_USAGE: "invalid command line, or file not found",
    ExitCode.UNUSABLE: "database or lockfile cannot be used; nothing was enqueued",
    ExitCode.PARTIAL: "some workflows were enqueued, but something failed",
    ExitCode.REFUSED: "refused; nothing was enqueued",
    ExitCode.SOME_FAILED: "a workflow failed (--wait)",
    ExitCode.TIMED_OUT: "timed out (--wait)",
    ExitCode.CHANGES: "there is something to enqueue (plan --exit-code)",
    ExitCode.BUG: "a bug; the message names a log file",
    ExitCode.INTERRUPTED: "interrupted",
}


class LazyGroup(SuggestingGroup):
    """Import a command when it is called, so that `validate` loads no database driver."""

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

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for words in EXAMPLES:
                formatter.write(f"  dbos-manifest {words}\n")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), text) for code, text in EXIT_CODES.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="dbos-manifest", message="%(prog)s %(version)s")
def cli() -> None:
    """Enqueue batches of DBOS durable workflows from YAML manifests.

    validate checks the files, plan compares them with the DBOS system database, apply enqueues what does not
    exist yet and writes a lockfile.
    """


def main() -> None:
    """Run the program and exit."""
    if COMPLETION_VARIABLE in os.environ:  # a shell completes: click writes bytes, and exits
        cli.main(prog_name=PROGRAM)
    # few objects are in reference cycles and most are short-lived: collecting less often saves a tenth
    gc.set_threshold(50_000, 20, 50)
    try:
        code = run_guarded(cli)
    except KeyboardInterrupt:  # a second one, while the first was being reported
        code = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only exiting is left
    gc.freeze()  # the interpreter does not search the loaded modules for cycles at exit
    raise SystemExit(code)
