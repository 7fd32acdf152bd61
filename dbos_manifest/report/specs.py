"""Render expanded workflows as JSON lines or YAML, as entries of a manifest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import compress
from operator import is_not
from typing import Any

import yaml

from ..core.canonical_json import encode_json
from ..core.plural import count_of
from ..core.units import format_duration, format_timestamp
from ..expansion.expansion import Expansion
from ..expressions.syntax import MARK
from ..workflows.spec import DEFAULT_SPEC, WorkflowSpec
from .text import id_line, printable, to_json

_STR = "tag:yaml.org,2002:str"
_PLAIN = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_./@+ -]*[A-Za-z0-9_./@+-])?", re.ASCII)
_ONE_LINE = 2**31 - 1  # characters


def spec_json_line(spec: WorkflowSpec) -> str:
    """Return the workflow as a line of JSON."""
    encoded = encode_json(spec_entry(spec))
    text = encoded.decode()
    if not (encoded.isascii() and b"\x7f" not in encoded and b"#" not in encoded) and printable(text) != text:
        return f"{to_json(spec_entry(spec))}\n"
    return f"{text}\n"


def spec_yaml(spec: WorkflowSpec) -> str:
    """Format the workflow as an entry of a `workflows:` list that means the same when it is read again."""
    entry = _escape_marks(spec_entry(spec))
    text: str = yaml.dump([entry], Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_ONE_LINE)
    return text


class _Dumper(yaml.CSafeDumper):
    """Quote every text that a parser of YAML 1.1 or 1.2 may read as another type."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> yaml.Node:
    plain = _PLAIN.fullmatch(text) and dumper.resolve(yaml.ScalarNode, text, (True, False)) == _STR
    node: yaml.Node = dumper.represent_scalar(_STR, text, style=None if plain else '"')
    return node


_Dumper.add_representer(str, _represent_text)


def _escape_marks(value: object) -> object:
    """Escape each literal `${{` as `$${{`."""
    if isinstance(value, str):
        return value.replace(MARK, f"${MARK}")
    if isinstance(value, dict):
        return {_escape_marks(key): _escape_marks(item) for key, item in value.items()}
    return [_escape_marks(item) for item in value] if isinstance(value, list) else value


def spec_id_line(spec: WorkflowSpec) -> str:
    """Return the ID as a line."""
    return id_line(spec.id)


FORMATTERS: dict[str, Callable[[WorkflowSpec], str]] = {
    "jsonl": spec_json_line,
    "yaml": spec_yaml,
    "ids": spec_id_line,
}


def count_lines(expansion: Expansion, selected: int | None) -> Iterator[str]:
    """Yield the number of workflows of a manifest, by entry and axis.

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


_KEYS = [key.removesuffix("_ms") for key in WorkflowSpec._fields if key not in ("entry", "binding")]
assert len(_KEYS) == WorkflowSpec._fields.index("entry"), "zip stops before the fields that are not options"


def spec_entry(spec: WorkflowSpec) -> dict[str, object]:
    """Return a workflow as a manifest entry with every option that is set."""
    entry: dict[str, object] = dict(compress(zip(_KEYS, spec, strict=False), map(is_not, spec, DEFAULT_SPEC)))
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
