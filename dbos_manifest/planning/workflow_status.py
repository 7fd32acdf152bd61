"""The status of one workflow of a manifest."""

from __future__ import annotations

from typing import NamedTuple

from ..expressions.filters import UNSET
from ..workflows.spec import WorkflowSpec
from .durations import Durations
from .failure_digest import Failure
from .rows import NOT_ENQUEUED, LiveRow


class WorkflowStatus(NamedTuple):
    """A workflow of a manifest and its row."""

    manifest: str
    spec: WorkflowSpec
    row: LiveRow | None  # None: not enqueued, or removed since
    durations: Durations | None = None  # without a row
    failure: Failure | None = None  # unless it has failed
    axis_names: tuple[str, ...] = ()  # of the values in its binding

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def status(self) -> str:
        """The DBOS status, or NOT_ENQUEUED."""
        return NOT_ENQUEUED if self.row is None else self.row.status

    @property
    def axes(self) -> dict[str, object]:
        """Return the values of the names of its matrix."""
        pairs = zip(self.axis_names, self.spec.binding, strict=False)
        return {name: cell[0] for name, cell in pairs if cell[0] is not UNSET}
