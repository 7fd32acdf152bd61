"""The interface of a manifest for plan and apply: the manifest itself, or a saved plan of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from ..core.diagnostic import Diagnostic
from ..workflows.batch import Batch
from ..workflows.spec import WorkflowSpec
from .matrix import Matrix

FIRST_BYTES = b'{"type":"plan",'
"""The first bytes of every saved plan."""


class WorkflowSource(Protocol):
    """The workflows of one manifest, which can be read any number of times."""

    @property
    def name(self) -> str: ...

    @property
    def file(self) -> str:
        """Return the path as the user wrote it."""

    @property
    def document(self) -> int:
        """Return the index of the document in the file, from 0."""

    @property
    def queues(self) -> Mapping[str, bool]:
        """Return the queues that the manifest declares, and whether each is partitioned."""

    @property
    def complete(self) -> bool:
        """Return whether no selection is active, so that a lock entry without a workflow is an orphan."""

    def specs(self) -> Iterator[WorkflowSpec]:
        """Yield the workflows in manifest order."""

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield the same in batches of `size`, the last one smaller."""

    def locate(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        """Add the places in the manifest's file, as far as they are known."""

    def matrix_of(self, entry: int) -> Matrix | None:
        """Return the matrix of an entry, if it is known."""
