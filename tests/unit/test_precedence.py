"""Test which place wins: expansion, explain and diagnostics always agree on it."""

from __future__ import annotations

from itertools import chain, combinations
from pathlib import Path

import pytest

from dbos_manifest.actions.explain import explain_workflow, find_workflow
from dbos_manifest.actions.validate import validate_files

WEAKEST_FIRST = ("manifest", "defaults", "catalog", "entry")
PATHS = {
    "manifest": ("application",),
    "defaults": ("defaults", "application"),
    "catalog": ("catalog", "f", "application"),
    "entry": ("workflows", 0, "application"),
}
SUBSETS = [*chain.from_iterable(combinations(WEAKEST_FIRST, size) for size in range(5))]
FORMS = {
    "plain": "id: a",
    "matrix": 'id: "a${{ m }}", matrix: {m: [""]}',
    "workflow by expression": 'id: a, workflow: "${{ vars.name }}"',
}


def write_manifest(folder: Path, values: dict[str, str], form: str) -> Path:
    """Write a manifest that sets `application` in some places."""
    options = {place: f"application: {values[place]}" if place in values else "" for place in WEAKEST_FIRST}
    path = folder / "jobs.yaml"
    path.write_text(
        f"""\
version: 1
name: m
{options["manifest"]}
vars: {{name: f}}
defaults: {{queue: q, workflow: f, {options["defaults"]}}}
catalog: {{f: {{{options["catalog"]}}}, g: {{}}}}
workflows:
  - {{{FORMS[form]}, {options["entry"]}}}
"""
    )
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("places", SUBSETS, ids="+".join)
def test_the_strongest_place_wins(tmp_path: Path, places: tuple[str, ...], form: str) -> None:
    path = write_manifest(tmp_path, {place: f"from-{place}" for place in places}, form)
    validation = validate_files([str(path)])
    assert validation.diagnostics == []
    found = find_workflow(validation, "a")
    assert isinstance(found, tuple)
    explained = explain_workflow(*found)
    assert explained is not None
    origins = {origin.option: origin for origin in explained.origins}
    if not places:
        assert explained.spec.application is None
        assert "application" not in origins
        return
    strongest = places[-1]
    assert explained.spec.application == f"from-{strongest}"
    assert (origins["application"].layer, origins["application"].path) == (strongest, PATHS[strongest])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("places", SUBSETS[1:], ids="+".join)
def test_an_invalid_value_is_reported_where_it_is_written(
    tmp_path: Path, places: tuple[str, ...], form: str
) -> None:
    values = {place: f"from-{place}" for place in places} | {places[-1]: "x" * 1_001}
    (found,) = validate_files([str(write_manifest(tmp_path, values, form))]).diagnostics
    assert found.path == PATHS[places[-1]]


@pytest.mark.parametrize("form", FORMS)
def test_null_in_an_entry_unsets_what_other_places_set(tmp_path: Path, form: str) -> None:
    values = {"manifest": "a", "defaults": "b", "catalog": "c", "entry": "null"}
    (loaded,) = validate_files([str(write_manifest(tmp_path, values, form))]).manifests
    assert [spec.application for spec in loaded.specs()] == [None]
