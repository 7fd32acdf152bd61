"""The manifests of the command line: read, checked, and their problems shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..diagnostic import Severity
from ..errors import InvalidManifest
from ..validation import STDIN, Validation, validate_files
from .output import say_diagnostics


def read_paths(paths: Sequence[str]) -> Validation:
    """Validate the paths; standard input is read when one of them is `-`."""
    return validate_files(paths, sys.stdin.buffer.read() if STDIN in paths else b"")


def load_manifests(paths: Sequence[str]) -> Validation:
    """Valid manifests for a command that goes on to use them; warnings are shown.

    Raises: InvalidManifest, its diagnostics already on stderr.
    """
    validation = read_paths(paths)
    say_diagnostics(validation)
    if validation.errors:
        raise InvalidManifest([d for d in validation.diagnostics if d.severity is Severity.ERROR])
    return validation
