"""Print the diagnostics of manifests on standard error, and as annotations of GitHub Actions."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ..actions.validate import Validation
from ..core.diagnostic import Diagnostic
from ..report.diagnostics import format_diagnostics
from ..report.github import github_annotation
from .repository import from_repository
from .terminal import GuardedStream, in_github_actions, painter, say


def say_diagnostics(validation: Validation) -> None:
    """Print the diagnostics of the manifests on stderr, in GitHub Actions also as annotations."""
    for block in format_diagnostics(validation.diagnostics, validation.texts, painter(err=True)):
        say(block)
    write_annotations(validation.diagnostics)


def write_annotations(diagnostics: Iterable[Diagnostic]) -> None:
    """Print annotations in GitHub Actions; nothing elsewhere."""
    if in_github_actions():
        for diagnostic in from_repository(diagnostics):
            assert isinstance(sys.stderr, GuardedStream)
            sys.stderr.write(f"{github_annotation(diagnostic)}\n", commands=True)
