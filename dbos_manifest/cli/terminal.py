"""Write to the terminal: results to stdout, progress and diagnostics to stderr. No other module does."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TextIO, cast

import click

from ..report.text import OutputEscaper, Paint, plain, printable, shorten
from .redaction import hide_passwords

UNBROKEN = 100_000
MAX_MESSAGE = 2_000  # characters of an error that are printed


@dataclass(slots=True)
class Preferences:
    """How this call prints: set by --color and --quiet, and also used for errors after the command."""

    color: bool | None = None  # None: on a terminal
    quiet: bool = False  # no progress and no notes


preferences = Preferences()


class GuardedStream:
    """Standard output or standard error, where a failed write is recorded and never raises.

    All output of the process goes through it: text that would control a terminal or a CI runner is escaped
    here, and characters outside of the stream's encoding. After a failure nothing more is written, and the
    flush of the interpreter at exit cannot fail either.
    """

    # there is no `buffer`: click would write to it and bypass the guard

    def __init__(self, stream: TextIO, *, escape: bool = True) -> None:
        self._stream = stream
        self._colours: bool | None = None  # decided when something is written, after --color is read
        self._escaper = OutputEscaper() if escape else None
        self.failure: OSError | None = None
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:
        return "backslashreplace"

    def unescaped(self) -> GuardedStream:
        """Return the same stream for a progress bar, which moves the cursor."""
        return GuardedStream(self._stream, escape=False)

    def write(self, text: str, *, commands: bool = False) -> int:
        if self.failure is None:
            escaped = text
            if self._escaper is not None:
                if self._colours is None:
                    self._colours = wants_colours(self._stream)
                escaped = self._escaper.escape(text, colours=self._colours, commands=commands)
            try:
                self._stream.write(escaped)
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
    """Guard standard output, which is yielded, and standard error. A closed one becomes the null device."""
    before = sys.stdin, sys.stdout, sys.stderr
    preferences.color, preferences.quiet = None, False
    _open_closed()
    out = GuardedStream(sys.stdout)
    sys.stdout, sys.stderr = out, GuardedStream(sys.stderr)
    try:
        yield out
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Open the null device for each standard stream that is closed.

    Otherwise the next file that is opened, such as a database, gets its descriptor and receives the output.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(
                os.devnull, os.O_RDWR
            )  # gets the lowest free descriptor: that of the closed stream
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def _failure_of_stdout() -> OSError | None:
    return getattr(sys.stdout, "failure", None)


def output_ended() -> bool:
    """Return whether standard output has failed, so that writing more has no effect."""
    return _failure_of_stdout() is not None


def reader_left() -> bool:
    """Return whether the reader of standard output has left, as `| head` does."""
    sys.stdout.flush()
    failure = _failure_of_stdout()
    return failure is not None and failure.errno == errno.EPIPE


def describe_lost_output() -> str | None:
    """Describe why standard output could not be written; None if it was, or if its reader has left."""
    sys.stdout.flush()
    failure = _failure_of_stdout()
    if failure is None or failure.errno == errno.EPIPE:
        return None
    return f"cannot write to standard output: {failure.strerror}"


def write(text: str) -> None:
    """Write a part of the result."""
    sys.stdout.write(text)


def write_now(text: str) -> None:
    """Write a part of the result, and flush it for the reader of a pipe."""
    sys.stdout.write(text)
    sys.stdout.flush()


def write_line(text: str = "") -> None:
    """Write a line of the result."""
    sys.stdout.write(f"{text}\n")


def write_commands(text: str) -> None:
    """Write a part of the result whose lines may be workflow commands."""
    assert isinstance(sys.stdout, GuardedStream)
    sys.stdout.write(text, commands=True)


def clear_screen() -> None:
    """Clear the terminal; nothing where standard output is no terminal."""
    if on_terminal():
        assert isinstance(sys.stdout, GuardedStream)
        sys.stdout.unescaped().write("\x1b[H\x1b[2J\x1b[3J")


def say(text: str) -> None:
    """Print a line on stderr."""
    click.echo(text, err=True)


def print_error(message: str, hint: str | None = None) -> None:
    """Print an error; text that it quotes is escaped and shortened, without passwords of URLs."""
    paint = painter(err=True)
    say(f"{paint('red', 'error')}: {shorten(hide_passwords(printable(message)), MAX_MESSAGE)}")
    if hint:
        say(f"  {paint('cyan', 'help')}: {shorten(printable(hint), MAX_MESSAGE)}")


def wants_colours(stream: TextIO) -> bool:
    """Return whether output to a stream has colours: by --color, else on a terminal.

    Source: no-color.org and force-color.org: NO_COLOR and FORCE_COLOR count if they are not empty.
    """
    if preferences.color is not None:
        return preferences.color
    terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
    return not os.environ.get("NO_COLOR") and (terminal or bool(os.environ.get("FORCE_COLOR")))


def painter(*, err: bool = False) -> Paint:
    """Return the function that colours text, which changes nothing where colours are not wanted."""
    return _style if wants_colours(sys.stderr if err else sys.stdout) else plain


def print_note(text: str) -> None:
    """Print a note on standard error, unless --quiet is set."""
    if not preferences.quiet:
        say(f"note: {printable(text)}")


def _style(style: str, text: str) -> str:
    if style in ("bold", "dim"):
        return click.style(text, **{style: True})  # click resets a style that is named and false
    return click.style(text, fg=style)


def on_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()


def text_width() -> int:
    """Return the width of the terminal, or of COLUMNS. Elsewhere lines are not broken."""
    import shutil  # it loads compression libraries

    return max(40, shutil.get_terminal_size((UNBROKEN, 24)).columns)


def in_github_actions() -> bool:
    """Return whether this process runs in GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def progress_stream() -> TextIO | None:
    """Return standard error for a progress bar, which moves the cursor; None where it is no terminal."""
    if not sys.stderr.isatty():
        return None
    assert isinstance(sys.stderr, GuardedStream)
    return cast(TextIO, sys.stderr.unescaped())


def program_version() -> str:
    """Return the version of the installed program."""
    from importlib.metadata import version  # slow to load, and rarely needed

    return version("dbos-manifest")
