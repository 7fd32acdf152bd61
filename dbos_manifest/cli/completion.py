"""Run `dbos-manifest completion`, and complete values that are in files."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from ..files.lockfile_writer import LOCKFILE_SUFFIX, TARGET_NAME, find_lockfiles
from .help import command
from .options import argument
from .terminal import write


@command("bash", "fish")
@argument(
    "shell",
    type=click.Choice(["bash", "zsh", "fish"]),
    metavar="SHELL",
    help="The shell: bash, zsh or fish.",
)
def completion(shell: str) -> int:
    """Print a completion script for a shell.

    Write it where your shell looks for completions: docs/reference/cli.md shows where. It completes commands,
    options and their values, such as formats, statuses, codes and the targets of lockfiles.
    """
    from .main import COMPLETION_VARIABLE, PROGRAM, cli  # the group loads this module

    found = get_completion_class(shell)
    assert found is not None
    write(found(cli, {}, PROGRAM, COMPLETION_VARIABLE).source())
    return 0


def complete_targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the targets of the lockfiles in the folders of the paths, else in the current folder."""
    paths = [Path(path) for path in ctx.params.get("paths") or ["."]]
    folders = [path if path.is_dir() else path.parent for path in paths]
    names = {
        lockfile.name.removesuffix(LOCKFILE_SUFFIX)
        for folder in folders
        for lockfile in find_lockfiles(folder)
    }
    targets = {name.partition(".")[2] for name in names}
    # what else a file is named could be printed and inserted into a command line
    valid = filter(TARGET_NAME.fullmatch, targets)
    return sorted(target for target in valid if target.startswith(incomplete))
