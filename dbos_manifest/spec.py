"""One workflow as it will be enqueued: every option resolved, in DBOS's units."""

from __future__ import annotations

import hashlib
from operator import attrgetter
from typing import Any, NamedTuple

from .canonical import canonical_json, digest_value, encode_json, encode_like_python, may_have_floats


class WorkflowSpec(NamedTuple):
    """Lists and maps are plain JSON values. None is SQL NULL; no text field is ever ''."""

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
    delay_ms: int | None = None  # from the apply's clock
    deduplication_id: str | None = None
    duplication_policy: str = "reject"  # or return-existing
    application_version: str | None = None
    authenticated_user: str | None = None
    authenticated_roles: list[str] | None = None
    assumed_role: str | None = None
    attributes: dict[str, Any] | None = None
    runtime: str | None = None
    name: str | None = None  # the entry's label, for messages and --entry
    entry: int = 0  # index in `workflows`, from 0
    binding: tuple[tuple[Any, ...], ...] = ()  # one cell for each name of the entry's matrix, its value first


_DIGESTED = (  # beside the arguments
    "workflow", "class_name", "instance_name", "application", "queue", "queue_partition_key", "priority",
    "timeout_ms", "deadline_ms", "not_before_ms", "delay_ms", "deduplication_id", "application_version",
    "authenticated_user", "authenticated_roles", "assumed_role",
)  # fmt: skip
_digested_values = attrgetter(*_DIGESTED)


class SpecDigests:
    """`digest_spec` for one workflow after the other: what it shares with the one before is kept."""

    def __init__(self) -> None:
        self._values: tuple[Any, ...] = ()
        self._fields: dict[str, Any] = {}

    def __call__(self, spec: WorkflowSpec) -> str:
        values = _digested_values(spec)
        if values != self._values:
            self._values, self._fields = values, _set_fields(values)
        fields = self._fields
        if spec.args:
            fields = {**fields, "args": spec.args}
        if spec.kwargs:
            fields = {**fields, "kwargs": spec.kwargs}
        return digest_value(fields)


def _set_fields(values: tuple[Any, ...]) -> dict[str, Any]:
    """Those that are set. An instant of 0 is: it is 1970."""
    named = zip(_DIGESTED, values, strict=True)
    return {name: value for name, value in named if value or (value == 0 and name.endswith("_ms"))}


def digest_spec(spec: WorkflowSpec) -> str:
    """The lockfile's digest: what the workflow is, so that two equal ones always give the same text.

    Unset options are left out; so are the values that mean the same as unset (no arguments, priority 0,
    no roles), so that writing a default out changes nothing.
    Source: SPEC §5.
    """
    return SpecDigests()(spec)


def encode_inputs(spec: WorkflowSpec) -> str:
    """The arguments as DBOS stores them: portable JSON.

    Source: dbos 3.4.0 `_serialization.py`, DBOSPortableJSONSerializer.
    """
    inputs = {"namedArgs": spec.kwargs, "positionalArgs": spec.args}
    text = encode_json(inputs)
    # floats are spelled in more than one way, and the client's is Python's
    return (encode_like_python(inputs) if may_have_floats(text) else text).decode()


def default_id(manifest: str, spec: WorkflowSpec) -> str:
    """The id of a workflow whose entry gives none: stable over runs, options and entry order.

    Source: SPEC §1.
    """
    identity = [manifest, spec.workflow, spec.class_name, spec.instance_name, spec.args, spec.kwargs]
    digest = hashlib.sha256(canonical_json(identity).encode()).hexdigest()
    return f"{manifest}-{spec.workflow}-{digest[:20]}"
