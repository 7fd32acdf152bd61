"""One workflow's id in, where it and each of its options come from out."""

from __future__ import annotations

from collections import deque
from pathlib import Path as FilePath
from typing import NamedTuple

from ..core.diagnostic import Diagnostic, Path, Span
from ..expressions.filters import UNSET
from ..lockfile.entry import LockEntry
from ..planning.rows import LiveRow
from ..reading.document import locate_diagnostics
from ..workflows.options import FIELDS, POSITIONS
from ..workflows.spec import DEFAULT_SPEC, WorkflowSpec
from .validate import LoadedManifest, Validation, specs_of

MOST_SIMILAR = 5_000  # ids that a wrong one is compared with


class Origin(NamedTuple):
    """An option that is set, and where it is written."""

    option: str
    value: object
    layer: str  # entry | catalog | defaults | manifest | made (from workflow and arguments)
    path: Path
    span: Span | None


class Explained(NamedTuple):
    """A workflow of a manifest with all that is known of it."""

    loaded: LoadedManifest
    spec: WorkflowSpec
    span: Span | None  # of its entry
    binding: dict[str, object]
    origins: list[Origin]
    lock_path: FilePath | None = None
    lock_entry: LockEntry | None = None
    row: LiveRow | None = None
    database_given: bool = False


def find_workflow(validation: Validation, workflow_id: str) -> tuple[Explained | None, list[str]]:
    """The workflow of an id; where there is none, some ids that there are."""
    others: deque[str] = deque(maxlen=MOST_SIMILAR)
    for loaded in validation.manifests:
        for spec in specs_of(loaded):
            if spec.id == workflow_id:
                return _explain(loaded, spec), []
            others.append(spec.id)
    return None, list(others)


def _explain(loaded: LoadedManifest, spec: WorkflowSpec) -> Explained:
    names = loaded.expansion.names_of(spec.entry)
    binding = {name: cell[0] for name, cell in zip(names, spec.binding, strict=False) if cell[0] is not UNSET}
    layers = loaded.expansion.layers(spec.entry, spec.workflow)
    origins = []
    for option, field in FIELDS.items():
        value = spec[POSITIONS[field]]
        if value != DEFAULT_SPEC[POSITIONS[field]]:
            path = loaded.written_at(("workflows", spec.entry, option), spec.workflow)
            layer = layers.find(option) or "made"  # an ID that was left out
            origins.append(Origin(option, value, layer, path, None))
    origins.sort(key=lambda origin: POSITIONS[FIELDS[origin.option]])
    document = loaded.manifest.document
    asked = [Diagnostic("", "", path) for path in [("workflows", spec.entry), *(o.path for o in origins)]]
    spans = [found.span for found in locate_diagnostics(document, asked)]
    placed = [origin._replace(span=span) for origin, span in zip(origins, spans[1:], strict=True)]
    return Explained(loaded, spec, spans[0], binding, placed)
