"""Where a workflow and its options come from, and its current state."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..core.diagnostic import Span, ValuePath
from ..lockfile.entry_line import LockEntry
from ..workflows.spec import WorkflowSpec
from .rows import LiveRow


class Origin(NamedTuple):
    """An option that is set, and where it is written."""

    option: str
    value: object
    layer: str  # entry | catalog | defaults | manifest | made (from workflow and arguments)
    path: ValuePath
    span: Span | None


class Explanation(NamedTuple):
    """The origin of one workflow, with its lock entry and row if they exist."""

    manifest: str
    file: str
    spec: WorkflowSpec
    span: Span | None  # of its entry
    binding: dict[str, object]
    origins: list[Origin]
    lock_path: Path | None = None
    lock_entry: LockEntry | None = None
    row: LiveRow | None = None
    database_given: bool = False
