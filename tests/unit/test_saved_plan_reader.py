"""Test untrusted saved plans: they are read completely or refused with a message."""

from __future__ import annotations

import copy
import hashlib
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.core.errors import Refused
from dbos_manifest.files.bundled import read_schema
from dbos_manifest.planning.saved_plan import SavedPlan
from dbos_manifest.workflows.spec import WorkflowSpec

SCHEMA = json.loads(read_schema("plan.v1"))
HEADER = {
    "type": "plan",
    "version": 1,
    "revision": 0,
    "database": "d" * 32,
    "overrides": {
        "allow_drift": False,
        "skip_conflicts": False,
        "recreate_vanished": False,
        "recreate_missing": False,
        "skip_missing": False,
        "strict": False,
        "allow": [],
    },
    "manifests": [
        {"name": "jobs", "file": "jobs.yaml", "lockfile": "jobs.lock.jsonl", "complete": True, "queues": {}}
    ],
}
WORKFLOW = {
    "type": "workflow",
    "manifest": 0,
    "state": "create",
    "spec": {"id": "a", "workflow": "f", "queue": "q", "args": [1, {"k": None}], "timeout_ms": 5},
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner))


def seal(lines: list[Any]) -> bytes:
    """Return the lines with a valid last line."""
    content = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()
    workflows = sum(isinstance(line, dict) and line.get("type") == "workflow" for line in lines)
    last = {"type": "end", "workflows": workflows, "sha256": hashlib.sha256(content).hexdigest()}
    return content + json.dumps(last, separators=(",", ":")).encode() + b"\n"


def read(content: bytes) -> list[WorkflowSpec]:
    plan = SavedPlan(lambda: io.BytesIO(content), "p", SCHEMA)
    return [spec for source in plan.sources for spec in source.specs()]


def places(value: Any) -> list[list[Any]]:
    """Yield every path in a JSON value."""
    found: list[list[Any]] = [[]]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += [[key, *rest] for rest in places(item)]
    return found


def test_complete_plan_is_read() -> None:
    spec = WorkflowSpec("a", "f", "q", [1, {"k": None}], {}, timeout_ms=5)
    assert read(seal([HEADER, WORKFLOW])) == [spec]


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(Refused, match="the plan p"):
        read(content)


@given(st.data())
def test_edit_with_a_valid_checksum_is_read_unchanged_or_refused(data: st.DataObject) -> None:
    lines: list[Any] = [copy.deepcopy(HEADER), copy.deepcopy(WORKFLOW)]
    path = data.draw(st.sampled_from([path for path in places(lines) if path]))
    at: Any = lines
    for key in path[:-1]:
        at = at[key]
    if data.draw(st.booleans()) and isinstance(at, dict):
        del at[path[-1]]
    else:
        at[path[-1]] = data.draw(VALUES)
    try:
        specs = read(seal(lines))
    except Refused as error:
        assert "the plan p" in error.message
        return
    assert [spec.id for spec in specs] == [lines[1]["spec"]["id"]]
    for field, value in lines[1]["spec"].items():
        found = getattr(specs[0], field)
        assert (found, type(found)) == (value, type(value))


@given(st.integers(0, 600), st.binary(max_size=3), st.integers(0, 3))
def test_edit_without_a_valid_checksum_is_refused(position: int, added: bytes, removed: int) -> None:
    whole = seal([HEADER, WORKFLOW])
    position %= len(whole)
    edited = whole[:position] + added + whole[position + removed :]
    if edited.strip() == whole.strip():
        return
    try:
        assert read(edited) == read(whole)  # an additional space in the last line is harmless
    except Refused as error:
        assert "the plan p" in error.message
