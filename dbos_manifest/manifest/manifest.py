"""The content of a manifest, after its document has passed the schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.units import parse_size
from ..core.work_budget import current_budget
from ..reading.document import Document
from ..reading.sandbox import Tree
from .variables import Given, Variables, resolve_variables

MAX_WORKFLOWS = 100_000
MAX_INPUT_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as written, with its variables resolved. `Expansion` does the rest."""

    document: Document
    tree: Tree  # where its files are
    name: str
    description: str | None
    application: str | None
    runtime: str | None
    variables: Variables
    max_workflows: int  # of the manifest, and at most that of the call
    max_input_bytes: int
    catalog: dict[str, dict[str, Any]]
    queues: dict[str, bool]  # the declared queues, and whether each is partitioned
    defaults: dict[str, Any]
    entries: list[dict[str, Any]]


def parse_manifest(document: Document, tree: Tree, given: Given) -> Manifest:
    """Read the manifest of a document that has passed the schema.

    Raises: UsageError for a given variable of another type than the manifest's.
    """
    data = document.data
    limits = data.get("limits") or {}
    size = limits.get("max_input_bytes")
    most = int(limits.get("max_workflows") or MAX_WORKFLOWS)
    if (budget := current_budget()) is not None:
        most = min(most, budget.max_workflows)
    return Manifest(
        document=document,
        tree=tree,
        name=data["name"],
        description=data.get("description"),
        application=data.get("application"),
        runtime=data.get("runtime"),
        variables=resolve_variables(data.get("vars") or {}, given),
        max_workflows=most,
        max_input_bytes=parse_size(size) if size else MAX_INPUT_BYTES,
        catalog={name: entry or {} for name, entry in (data.get("catalog") or {}).items()},
        queues={name: queue["partitioned"] for name, queue in (data.get("queues") or {}).items()},
        defaults=data.get("defaults") or {},
        entries=data["workflows"],
    )
