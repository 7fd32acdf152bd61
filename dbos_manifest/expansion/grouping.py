"""Diagnostics of many workflows in, one for each thing that is wrong out, with the first that have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..core.diagnostic import Diagnostic, Severity

SHOWN = 3
ENOUGH = 20_000  # workflows with something wrong, of one manifest


class Enough(Exception):
    """So much is wrong that looking on would only take time."""


class Findings:
    """Collects diagnostics; those of one entry's workflows that say the same of the same place become one."""

    def __init__(self) -> None:
        self._found: dict[object, Diagnostic] = {}
        self._labels: dict[object, list[str]] = {}
        self._counts: dict[object, int] = {}
        self._total = 0  # of errors
        self._warnings = 0

    def add(self, diagnostic: Diagnostic, label: Callable[[], str] | None = None) -> None:
        """`label` says which of the entry's workflows it is, when the entry stands for several.

        Raises: Enough, the diagnostic being noted.
        """
        key: object = (
            diagnostic.code, diagnostic.path, diagnostic.target, diagnostic.fragment, diagnostic.file,
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
                raise Enough

    @property
    def enough_warnings(self) -> bool:
        """Whether further warnings need not be looked for."""
        return self._warnings >= ENOUGH

    def __contains__(self, code: str) -> bool:
        return any(diagnostic.code == code for diagnostic in self._found.values())

    def diagnostics(self) -> list[Diagnostic]:
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
