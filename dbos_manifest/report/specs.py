"""Expanded workflows as JSON lines or YAML, in the manifest's own words: they can be one again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from ..expand import Expansion
from ..spec import WorkflowSpec
from ..units import format_duration, format_timestamp
from .text import count_of, printable

_encode = json.JSONEncoder(ensure_ascii=False).encode


def spec_json_line(spec: WorkflowSpec) -> str:
    return f"{_encode(spec_entry(spec))}\n"


def spec_yaml(spec: WorkflowSpec) -> str:
    """The workflow as an entry of a `workflows:` list."""
    text: str = yaml.dump([spec_entry(spec)], allow_unicode=True, sort_keys=False, width=100)
    return text


def spec_id_line(spec: WorkflowSpec) -> str:
    return f"{spec.id}\n"


FORMATTERS: dict[str, Callable[[WorkflowSpec], str]] = {
    "jsonl": spec_json_line,
    "yaml": spec_yaml,
    "ids": spec_id_line,
}


def count_lines(expansion: Expansion, selected: int | None) -> Iterator[str]:
    """How many workflows a manifest stands for, by entry and axis.

    `  workflows[1]: 181 = day 90 × region 2 - 1 excluded + 1 included`
    """
    manifest = expansion.manifest
    yield f"{manifest.name}: {count_of(expansion.count, 'workflow')}"
    for index, entry in enumerate(manifest.entries):
        matrix = expansion.matrix_of(index)
        if matrix is not None:
            label = f" ({entry['name']})" if entry.get("name") else ""
            parts = " × ".join(f"{axis.name} {axis.count:,}" for axis in matrix.axes) or "0"
            parts += f" - {matrix.excluded:,} excluded" if matrix.excluded else ""
            parts += f" + {len(matrix.own_includes):,} included" if matrix.own_includes else ""
            yield f"  workflows[{index}]{printable(label)}: {matrix.count:,} = {parts}"
    if selected is not None:
        yield f"  selected: {selected:,}"


def spec_entry(spec: WorkflowSpec) -> dict[str, Any]:
    """A workflow as the manifest entry that says every option; unset ones are left out."""
    entry: dict[str, Any] = {"id": spec.id, "workflow": spec.workflow, "queue": spec.queue}
    if spec.name is not None:
        entry["name"] = spec.name
    entry |= {key: getattr(spec, key) for key in ("args", "kwargs", "priority") if getattr(spec, key)}
    for key, value in (("timeout", spec.timeout_ms), ("delay", spec.delay_ms)):
        if value is not None:
            entry[key] = format_duration(value)
    for key, value in (("deadline", spec.deadline_ms), ("not_before", spec.not_before_ms)):
        if value is not None:
            entry[key] = format_timestamp(value)
    if spec.deduplication_id is not None:
        entry["deduplication_id"] = spec.deduplication_id
        entry["duplication_policy"] = spec.duplication_policy
    for key in _TEXTS:
        if getattr(spec, key) is not None:
            entry[key] = getattr(spec, key)
    return entry


_TEXTS = (
    "class_name",
    "instance_name",
    "application",
    "application_version",
    "queue_partition_key",
    "authenticated_user",
    "authenticated_roles",
    "assumed_role",
    "attributes",
    "runtime",
)
