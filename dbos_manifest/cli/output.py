"""The only module that writes to the terminal: results to stdout, progress and diagnostics to stderr."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from ..core.diagnostic import Diagnostic
from ..report.diagnostics import format_diagnostics
from ..report.github import github_annotation
from ..report.text import Paint, plain, printable, shorten
from .repository import from_repository

if TYPE_CHECKING:  # `--help` needs none of it
    from ..actions.validate import Validation

MAX_MESSAGE = 2_000  # characters of an error that are printed


class GuardedStream:
    """Standard output or standard error, where a write that fails is noted and never raises.

    What cannot be spelled in the stream's encoding is written with its code. After a failure nothing more is
    written, and the interpreter's flush at exit cannot fail either.
    """

    # `buffer` is left out on purpose: click would write past the guard

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:
        return "backslashreplace"

    def write(self, text: str) -> int:
        if self.failure is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._give_up(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.failure = error
        with suppress(OSError, ValueError):  # a stream of a test has no descriptor
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)

    def isatty(self) -> bool:
        return bool(self._stream.isatty())

    def fileno(self) -> int:
        return int(self._stream.fileno())

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    @property
    def closed(self) -> bool:
        return bool(self._stream.closed)


@contextmanager
def guarded_streams() -> Iterator[GuardedStream]:
    """Guard standard output, which is given, and standard error; a closed one leads nowhere."""
    before = sys.stdin, sys.stdout, sys.stderr
    _open_closed()
    out = GuardedStream(sys.stdout)
    sys.stdout, sys.stderr = out, GuardedStream(sys.stderr)
    try:
        yield out
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Open the null device for each standard stream that is closed.

    Otherwise the next file that is opened, as a database, takes its number, and is what prints go to.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # takes the lowest number: that of the closed one
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def _failure_of_stdout() -> OSError | None:
    return getattr(sys.stdout, "failure", None)


def output_ended() -> bool:
    """Whether writing more to standard output is in vain."""
    return _failure_of_stdout() is not None


def reader_left() -> bool:
    """Whether the reader of standard output has left, as `| head` does."""
    sys.stdout.flush()
    failure = _failure_of_stdout()
    return failure is not None and failure.errno == errno.EPIPE


def describe_lost_output() -> str | None:
    """Say why standard output could not be written; None when it was, or when its reader has left."""
    sys.stdout.flush()
    failure = _failure_of_stdout()
    if failure is None or failure.errno == errno.EPIPE:
        return None
    return f"cannot write to standard output: {failure.strerror}"


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


def print_error(message: str, hint: str | None = None) -> None:
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
