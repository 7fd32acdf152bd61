"""A document that has passed the schema in, the same content under names out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .document import Document


@dataclass(frozen=True, slots=True)
class Manifest:
    """One batch of workflows as written. Nothing is resolved yet: that is what `expand` does."""

    document: Document
    name: str
    description: str | None
    application: str | None
    runtime: str | None
    queues: dict[str, bool]  # declared queues: whether each is partitioned
    defaults: dict[str, Any]
    entries: list[dict[str, Any]]


def parse_manifest(document: Document) -> Manifest:
    """The manifest that a document holds; the document has passed the schema."""
    data = document.data
    return Manifest(
        document=document,
        name=data["name"],
        description=data.get("description"),
        application=data.get("application"),
        runtime=data.get("runtime"),
        queues={name: queue["partitioned"] for name, queue in (data.get("queues") or {}).items()},
        defaults=data.get("defaults") or {},
        entries=data["workflows"],
    )
