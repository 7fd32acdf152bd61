"""The only module that writes to the terminal: results to stdout, talk to stderr."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ..diagnostic import Diagnostic
from ..report.diagnostics import format_diagnostics
from ..report.github import github_annotation
from ..report.text import Paint, plain, printable, shorten
from .repository import from_repository

if TYPE_CHECKING:  # `--help` needs none of it
    from ..validation import Validation

MAX_MESSAGE = 2_000  # characters of an error that are printed


def write(text: str) -> None:
    """A piece of the result, as it is."""
    sys.stdout.write(text)


def write_now(text: str) -> None:
    """A piece of the result that somebody waits for at the other end of a pipe."""
    sys.stdout.write(text)
    sys.stdout.flush()


def write_line(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")


def say(text: str) -> None:
    """A line to the person who waits."""
    click.echo(text, err=True)


def say_error(message: str, hint: str | None = None) -> None:
    """Print an error; what it quotes from a file or a database cannot control the terminal or flood it."""
    paint = painter(err=True)
    say(f"{paint('red', 'error')}: {shorten(printable(message), MAX_MESSAGE)}")
    if hint:
        say(f"  {paint('cyan', 'help')}: {shorten(printable(hint), MAX_MESSAGE)}")


def painter(*, err: bool = False) -> Paint:
    """Colours on a terminal, none elsewhere or with NO_COLOR."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return plain
    return _style


def _style(style: str, text: str) -> str:
    if style in ("bold", "dim"):
        return click.style(text, **{style: True})  # naming the other one would end this one
    return click.style(text, fg=style)


def on_terminal() -> bool:
    return sys.stdout.isatty()


def screenful() -> int:
    """How many workflows are shown one by one: what fits a terminal, 50 lines elsewhere."""
    return max(10, shutil.get_terminal_size().lines - 5) if on_terminal() else 50


def in_github_actions() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def say_diagnostics(validation: Validation) -> None:
    """The problems of the manifests, on stderr, and as annotations inside GitHub Actions."""
    for block in format_diagnostics(validation.diagnostics, validation.texts, painter(err=True)):
        say(block)
    write_annotations(validation.diagnostics)


def write_annotations(diagnostics: Iterable[Diagnostic]) -> None:
    if in_github_actions():
        for diagnostic in from_repository(diagnostics):
            say(github_annotation(diagnostic))


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, a line now and then elsewhere: call it with (done, total)."""
    if not sys.stderr.isatty():
        yield _plain_progress(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _plain_progress(title: str) -> Callable[[int, int], None]:
    last = -1

    def show(done: int, total: int) -> None:
        nonlocal last
        tenth = done * 10 // total if total else 10
        if tenth != last:
            say(f"{title}: {done:,} of {total:,}")
            last = tenth

    return show


def program_version() -> str:
    """The installed program's version."""
    from importlib.metadata import version  # slow to load, and most calls show no version

    return version("dbos-manifest")
