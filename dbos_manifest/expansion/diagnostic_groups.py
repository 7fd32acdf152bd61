"""Group equal diagnostics of many workflows, with the first workflows of each group."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ..core.diagnostic import Diagnostic, Severity

SHOWN = 3  # workflows of a group
ENOUGH = 20_000  # workflows with a problem, of one manifest


LabelledDiagnostic = tuple[Diagnostic, Callable[[], str] | None]
"""A diagnostic, and a function that returns which of an entry's workflows has it, if there are several."""


class EnoughErrors(Exception):
    """Raised when so many workflows have errors that more would not help the user."""


class DiagnosticGroups:
    """Collects diagnostics; those of one entry's workflows with the same code and place become one."""

    def __init__(self) -> None:
        self._found: dict[object, Diagnostic] = {}
        self._labels: dict[object, list[str]] = {}
        self._counts: dict[object, int] = {}
        self._total = 0  # of errors
        self._warnings = 0

    def add(self, diagnostic: Diagnostic, label: Callable[[], str] | None = None) -> None:
        """Add a diagnostic; `label` returns the combination that has it, for an entry of several workflows.

        Raises: EnoughErrors after adding the diagnostic, when there are enough errors.
        """
        key: object = (
            diagnostic.code, diagnostic.path, diagnostic.at_key, diagnostic.fragment, diagnostic.file,
            diagnostic.document, label is None and diagnostic.message,
        )  # fmt: skip
        self._found.setdefault(key, diagnostic)
        if label is not None:
            self._counts[key] = self._counts.get(key, 0) + 1
            labels = self._labels.setdefault(key, [])
            if len(labels) < SHOWN and (text := label()):
                labels.append(text)
            if diagnostic.severity is not Severity.ERROR:
                self._warnings += 1  # an error may follow after any number of them
                return
            self._total += 1
            if self._total >= ENOUGH:
                raise EnoughErrors

    def update(self, found: Iterable[LabelledDiagnostic]) -> None:
        """Add several diagnostics.

        Raises: EnoughErrors.
        """
        for diagnostic, label in found:
            self.add(diagnostic, label)

    @property
    def enough_warnings(self) -> bool:
        """Return whether there are so many warnings that more need not be searched for."""
        return self._warnings >= ENOUGH

    def __contains__(self, code: str) -> bool:
        return any(diagnostic.code == code for diagnostic in self._found.values())

    def merge(self) -> list[Diagnostic]:
        """Return a diagnostic for each group, with its workflows in the note."""
        return [
            replace(diagnostic, note=note) if (note := self._note(key)) else diagnostic
            for key, diagnostic in self._found.items()
        ]

    def _note(self, key: object) -> str | None:
        labels, count = self._labels.get(key), self._counts.get(key, 0)
        if not labels:
            return None
        if count == 1:
            return f"in the workflow {labels[0]}"
        more = f"; and {count - len(labels):,} more" if count > len(labels) else ""
        least = "at least " if self._total >= ENOUGH or self.enough_warnings else ""
        return f"in {least}{count:,} workflows: {'; '.join(labels)}{more}"
