"""One workflow as it will be enqueued: every option resolved, in DBOS's units."""

from __future__ import annotations

import hashlib
from itertools import compress
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


_DIGESTED = (
    "workflow", "class_name", "instance_name", "application", "queue", "queue_partition_key", "args",
    "kwargs", "priority", "timeout_ms", "deadline_ms", "not_before_ms", "delay_ms", "deduplication_id",
    "application_version", "authenticated_user", "authenticated_roles", "assumed_role",
)  # fmt: skip
_TIMES = [name for name in _DIGESTED if name.endswith("_ms")]
_digested_values = attrgetter(*_DIGESTED)


def digest_spec(spec: WorkflowSpec) -> str:
    """The lockfile's digest: what the workflow is, so that two equal ones always give the same text.

    Unset options are left out; so are the values that mean the same as unset (no arguments, priority 0,
    no roles), so that writing a default out changes nothing. An instant of 0 is not unset: it is 1970.
    Source: SPEC §5.
    """
    values = _digested_values(spec)
    fields = dict(zip(compress(_DIGESTED, values), compress(values, values), strict=True))
    if spec.deadline_ms == 0 or spec.not_before_ms == 0 or spec.timeout_ms == 0 or spec.delay_ms == 0:
        fields |= {name: 0 for name in _TIMES if getattr(spec, name) == 0}
    return digest_value(fields)


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
