"""Find a workflow, and locate it and its options in its manifest."""

from __future__ import annotations

from collections import deque

from ..core.diagnostic import Diagnostic
from ..expressions.filters import UNSET
from ..planning.explanation import Explanation, Origin
from ..reading.places import locate_diagnostics
from ..workflows.options import FIELDS, POSITIONS
from ..workflows.spec import DEFAULT_SPEC, WorkflowSpec
from .validate import LoadedManifest, Validation, specs_of

MOST_SIMILAR = 5_000  # IDs that an unknown one is compared with


def find_workflow(
    validation: Validation, workflow_id: str
) -> tuple[LoadedManifest, WorkflowSpec] | list[str]:
    """Find the manifest and the workflow of an ID; without one, return the IDs to suggest."""
    others: deque[str] = deque(maxlen=MOST_SIMILAR)
    for loaded in validation.manifests:
        for spec in specs_of(loaded):
            if spec.id == workflow_id:
                return loaded, spec
            others.append(spec.id)
    return list(others)


def explain_workflow(loaded: LoadedManifest, spec: WorkflowSpec) -> Explanation:
    """Find where the workflow and its options are written."""
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
    unplaced = [Diagnostic("", "", path) for path in [("workflows", spec.entry), *(o.path for o in origins)]]
    spans = [found.span for found in locate_diagnostics(document, unplaced)]
    placed = [origin._replace(span=span) for origin, span in zip(origins, spans[1:], strict=True)]
    return Explanation(loaded.name, loaded.file, spec, spans[0], binding, placed)
