"""Test batches: every batching contains the same workflows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.actions.validate import validate_files
from dbos_manifest.workflows.batch import (
    Batch,
    make_batches,
    resize_batches,
    split_by_bytes,
)
from dbos_manifest.workflows.digest import compute_digests
from dbos_manifest.workflows.encoded_arguments import encode_argument, encode_inputs
from dbos_manifest.workflows.spec import WorkflowSpec

ARGUMENTS: list[Any] = [[], [1], [True], [1.0], ["2026-01-01"], [{"b": 1, "a": "é"}], ["1.5", None]]
specs = st.builds(
    WorkflowSpec("a", "f", "q", [], {})._replace,
    id=st.sampled_from(["a", "b"]),
    workflow=st.sampled_from(["f", "g"]),
    args=st.sampled_from(ARGUMENTS),
    kwargs=st.sampled_from([{}, {"k": 1.5}, {"z": [], "a": {"y": 0, "b": "\\"}}]),
    priority=st.integers(0, 1),
    deadline_ms=st.none() | st.just(0),
    authenticated_roles=st.none() | st.sampled_from([[], ["r"]]),
    binding=st.sampled_from([(), (("x", None),)]),
)
lists = st.lists(specs, min_size=1, max_size=8)


@given(lists)
def test_batch_contains_its_workflows(found: list[WorkflowSpec]) -> None:
    batch = Batch.of(found)
    assert repr([*batch]) == repr(found)
    assert repr([batch[place] for place in range(len(batch))]) == repr(found)


@given(lists, st.integers(1, 4), st.integers(1, 4))
def test_resized_batches_have_the_requested_size(found: list[WorkflowSpec], first: int, second: int) -> None:
    batches = [*resize_batches(make_batches(found, first), second)]
    assert repr([spec for batch in batches for spec in batch]) == repr(found)
    assert [len(batch) for batch in batches[:-1]] == [second] * (len(batches) - 1)
    assert 1 <= len(batches[-1]) <= second


@given(lists, st.integers(0, 60))
def test_batches_are_split_by_bytes(found: list[WorkflowSpec], most: int) -> None:
    def weight(spec: WorkflowSpec) -> int:
        return sum(len(encode_argument(value).encode()) for value in (spec.args, spec.kwargs))

    batches = [*split_by_bytes([Batch.of(found)], most)]
    assert repr([spec for batch in batches for spec in batch]) == repr(found)
    for batch, following in zip(batches, [*batches[1:], None], strict=True):
        total = sum(map(weight, batch))
        assert total <= most or len(batch) == 1
        assert following is None or total + weight(following[0]) > most


@given(lists)
def test_digests_and_inputs_of_a_batch_equal_those_of_single_workflows(found: list[WorkflowSpec]) -> None:
    batch = Batch.of(found)
    assert compute_digests(batch) == [text for spec in found for text in compute_digests(Batch.of([spec]))]
    assert encode_inputs(batch) == [text for spec in found for text in encode_inputs(Batch.of([spec]))]


@pytest.mark.parametrize("size", [1, 7, 50, 1000, 5000])
def test_batches_of_many_entries_have_the_requested_size(tmp_path: Path, size: int) -> None:
    """The manifest has long and short entries, some without a matrix."""
    entries = [
        {"id": "one"},
        {"id": "a-${{ n }}-${{ m }}", "matrix": {"n": {"range": {"stop": 60}}, "m": {"range": {"stop": 40}}}},
        {"workflow": "default-ids", "args": ["${{ n }}"], "matrix": {"n": {"range": {"stop": 1200}}}},
        {"id": "few-${{ n }}", "args": ["${{ n }}"], "matrix": {"n": [1, True, "x"]}},
        {"id": "two"},
    ]
    manifest = {"version": 1, "name": "m", "defaults": {"queue": "q", "workflow": "f"}, "workflows": entries}
    path = tmp_path / "jobs.yaml"
    path.write_text(json.dumps(manifest).replace("true", '"true"'))
    (loaded,) = validate_files([str(path)]).manifests
    found = [*loaded.specs()]
    assert len(found) == 1 + 2400 + 1200 + 3 + 1
    assert repr([spec for batch in loaded.batches(size) for spec in batch]) == repr(found)
    assert {len(batch) for batch in [*loaded.batches(size)][:-1]} <= {size}
