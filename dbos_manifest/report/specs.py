"""Expanded workflows as JSON lines or YAML, in the manifest's own words: they can be one again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import compress
from operator import is_not
from typing import Any

import yaml

from ..canonical import encode_json
from ..expand import Expansion
from ..spec import WorkflowSpec
from ..units import format_duration, format_timestamp
from .text import count_of, printable


def spec_json_line(spec: WorkflowSpec) -> str:
    return f"{encode_json(spec_entry(spec)).decode()}\n"


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


_DEFAULTS = WorkflowSpec(id="", workflow="", queue="", args=[], kwargs={})
_KEYS = [key.removesuffix("_ms") for key in WorkflowSpec._fields if key not in ("entry", "binding")]
assert len(_KEYS) == WorkflowSpec._fields.index("entry"), "zip stops before the fields that are not options"


def spec_entry(spec: WorkflowSpec) -> dict[str, Any]:
    """A workflow as the manifest entry that says every option; unset ones are left out."""
    entry = dict(compress(zip(_KEYS, spec, strict=False), map(is_not, spec, _DEFAULTS)))
    for key in ("args", "kwargs", "priority"):
        if not entry.get(key, True):
            del entry[key]
    if spec.timeout_ms is not None:
        entry["timeout"] = format_duration(spec.timeout_ms)
    if spec.delay_ms is not None:
        entry["delay"] = format_duration(spec.delay_ms)
    if spec.deadline_ms is not None:
        entry["deadline"] = format_timestamp(spec.deadline_ms)
    if spec.not_before_ms is not None:
        entry["not_before"] = format_timestamp(spec.not_before_ms)
    return entry
