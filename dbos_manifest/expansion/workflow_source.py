"""What planning and applying need of a manifest, read from its file or from a saved plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from ..core.diagnostic import Path
from ..workflows.batch import Batch
from ..workflows.spec import WorkflowSpec
from .matrix import Matrix

FIRST_BYTES = b'{"type":"plan",'
"""How every saved plan begins."""


class WorkflowSource(Protocol):
    """The workflows of one manifest, which can be gone through again and again."""

    @property
    def name(self) -> str: ...

    @property
    def file(self) -> str:
        """Where it was read from, as the user wrote it."""

    @property
    def document(self) -> int:
        """Which of the file's documents it is, from 0."""

    @property
    def queues(self) -> Mapping[str, bool]:
        """Queues that the manifest declares: whether each is partitioned."""

    @property
    def complete(self) -> bool:
        """Whether these are all workflows of the manifest: under a selection nothing is an orphan."""

    def specs(self) -> Iterator[WorkflowSpec]: ...

    def batches(self, size: int) -> Iterator[Batch]:
        """The same in batches of `size`, the last one smaller."""

    def written_at(self, path: Path, workflow: str | None) -> Path:
        """Where the option of a workflow that `path` names is written, as far as it is known."""

    def matrix_of(self, entry: int) -> Matrix | None:
        """The matrix that an entry's bindings belong to, where it is known."""
