"""Errors that stop a command, with their exit codes.

The exit codes apply if the command enqueued nothing; `exit_codes.py` decides the final exit code.

ManifestToolError            message, optional hint, exit code
├── UsageError            2  invalid command line, file not found
├── OutputFailed          2  a result could not be written to standard output or a file
├── DatabaseError         3  nothing was enqueued
│   ├── DatabaseUnreachable  no connection within the retry budget
│   ├── DatabaseDenied       login or privilege refused, or the database is read-only
│   └── SchemaNotSupported   no DBOS tables, or an unsupported layout
├── LockfileNotWritable   3  the lockfile or its folder cannot be written
├── InvalidManifest       1  problems in the files; has the diagnostics
├── InvalidLockfile       6  unreadable, of another database or manifest, or of a newer version
├── Refused               6  drift, conflict, failed preflight check, --locked, lock held, failed --atomic
├── PartlyApplied         5  some workflows were enqueued before the command stopped
├── WaitFailed            7  everything was enqueued; some workflows failed
├── WaitTimedOut          8  everything was enqueued; some workflows did not finish in time
└── Interrupted         130  by Ctrl-C or SIGTERM, after the lockfile was saved
"""

from __future__ import annotations

from collections.abc import Sequence

from .diagnostic import Diagnostic, Severity
from .plural import count_of

_MOST_LISTED = 10  # diagnostics in the text of an exception


class ManifestToolError(Exception):
    """An error with a message, a hint what to do, and an exit code."""

    exit_code: int = 70

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(f"{message}\nhelp: {hint}" if hint else message)
        self.message = message
        self.hint = hint


class UsageError(ManifestToolError):
    exit_code = 2


class OutputFailed(ManifestToolError):
    exit_code = 2


class DatabaseError(ManifestToolError):
    exit_code = 3


class DatabaseUnreachable(DatabaseError):
    pass


class DatabaseDenied(DatabaseError):
    pass


class SchemaNotSupported(DatabaseError):
    pass


class LockfileNotWritable(ManifestToolError):
    exit_code = 3


class InvalidManifest(ManifestToolError):
    exit_code = 1

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(f"{count_of(len(diagnostics), 'problem')} in the manifests")
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        return "\n".join([self.message, *map(str, self.diagnostics[:_MOST_LISTED])])


def refuse_errors(diagnostics: Sequence[Diagnostic]) -> None:
    """Refuse to continue if there are errors among diagnostics. Raises: InvalidManifest with the errors."""
    errors = [found for found in diagnostics if found.severity is Severity.ERROR]
    if errors:
        raise InvalidManifest(errors)


class InvalidLockfile(ManifestToolError):
    exit_code = 6


class Refused(ManifestToolError):
    exit_code = 6

    def __init__(self, message: str, hint: str | None = None, details: Sequence[str] = ()) -> None:
        super().__init__(message, hint)
        self.details = tuple(details[:_MOST_LISTED])  # what the command line has shown already

    def __str__(self) -> str:
        return "\n".join([self.message, *self.details, *([f"help: {self.hint}"] if self.hint else [])])


class PartlyApplied(ManifestToolError):
    exit_code = 5
    results: Sequence[object] = ()  # of the library's `apply`: an ApplyResult for each manifest it came to


class WaitFailed(ManifestToolError):
    exit_code = 7


class WaitTimedOut(ManifestToolError):
    exit_code = 8


class Interrupted(ManifestToolError):
    exit_code = 130
