"""Everything that stops a command and is not a problem in a manifest.

The codes are those of a call that enqueued nothing; `exit_codes.py` decides what a whole call ends with.

ManifestToolError            message, optional hint, exit code
├── UsageError            2  wrong words on the command line, no such file
├── OutputFailed          2  a result could not be written to standard output or a file
├── DatabaseError         3  nothing was enqueued
│   ├── DatabaseUnreachable  no answer, or not within the budget
│   ├── DatabaseDenied       login or privilege refused, read-only
│   └── SchemaNotSupported   no DBOS tables, or a layout that cannot be written
├── LockfileNotWritable   3  the lockfile's folder or file cannot be written
├── InvalidManifest       1  findings in the files (carries the diagnostics)
├── InvalidLockfile       6  unreadable, of another database, manifest or newer version
├── Refused               6  drift, conflict, preflight finding, --locked, lock held, failed --atomic
├── PartlyApplied         5  rows were enqueued by this call and not all is well, whatever the reason
├── WaitFailed            7  all enqueued; some workflows failed
├── WaitTimedOut          8  all enqueued; some workflows did not end in time
└── Interrupted         130  by Ctrl-C or SIGTERM, after the lockfile was saved
"""

from __future__ import annotations

from collections.abc import Sequence

from .diagnostic import Diagnostic


class ManifestToolError(Exception):
    """A message for a person, a way out, and the exit code that says what kind it is."""

    exit_code: int = 70

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
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
        super().__init__(f"{len(diagnostics)} problems in the manifests")
        self.diagnostics = tuple(diagnostics)


class InvalidLockfile(ManifestToolError):
    exit_code = 6


class Refused(ManifestToolError):
    exit_code = 6


class PartlyApplied(ManifestToolError):
    exit_code = 5


class WaitFailed(ManifestToolError):
    exit_code = 7


class WaitTimedOut(ManifestToolError):
    exit_code = 8


class Interrupted(ManifestToolError):
    exit_code = 130
