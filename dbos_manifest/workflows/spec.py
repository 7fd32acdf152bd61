"""One workflow as it will be enqueued: every option resolved, in DBOS's units."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.canonical_json import canonical_json


class WorkflowSpec(NamedTuple):
    """A workflow. Lists and maps are JSON values; None becomes NULL; no text field is ''."""

    id: str
    workflow: str
    queue: str
    args: list[Any]
    kwargs: dict[str, Any]
    class_name: str | None = None
    instance_name: str | None = None
    application: str | None = None
    queue_partition_key: str | None = None
    priority: int = 0
    timeout_ms: int | None = None
    deadline_ms: int | None = None  # epoch ms
    not_before_ms: int | None = None  # epoch ms
    delay_ms: int | None = None  # from the time of the apply
    deduplication_id: str | None = None
    duplication_policy: str = "reject"  # or return-existing
    application_version: str | None = None
    authenticated_user: str | None = None
    authenticated_roles: list[str] | None = None
    assumed_role: str | None = None
    attributes: dict[str, Any] | None = None
    schedule: str | None = None  # the DBOS schedule whose run it replaces
    runtime: str | None = None
    name: str | None = None  # the entry's label, for messages and --entry
    entry: int = 0  # index in `workflows`, from 0
    binding: tuple[tuple[Any, ...], ...] = ()  # a cell per name of the matrix, its value first


DEFAULT_SPEC = WorkflowSpec(id="", workflow="", queue="", args=[], kwargs={})
"""The value of each field that is not set."""


def make_workflow(fields: Mapping[str, Any]) -> WorkflowSpec:
    """Make a workflow from the fields that are set, with lists and maps of its own."""
    return WorkflowSpec(**{"id": "", "workflow": "", "queue": "", "args": [], "kwargs": {}, **fields})


def default_id(manifest: str, spec: WorkflowSpec) -> str:
    """Generate the ID of a workflow whose entry has none; options and the order of entries do not change it.

    Source: SPEC §1.
    """
    identity = [manifest, spec.workflow, spec.class_name, spec.instance_name, spec.args, spec.kwargs]
    digest = hashlib.sha256(canonical_json(identity).encode()).hexdigest()
    return f"{manifest}-{spec.workflow}-{digest[:20]}"
