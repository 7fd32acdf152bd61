"""Test the expansion of manifests to workflows and diagnostics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dbos_manifest.actions.validate import specs_of, validate_files
from dbos_manifest.core.diagnostic import Diagnostic
from dbos_manifest.manifest.variables import Given
from dbos_manifest.workflows.spec import WorkflowSpec

HEAD = "version: 1\nname: m\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def specs(text: str, **given: str) -> list[WorkflowSpec]:
    """Expand a valid manifest twice, and return its workflows."""
    Path("m.yaml").write_text(HEAD + text)
    validation = validate_files(["m.yaml"], given=Given(given))
    assert validation.diagnostics == []
    (loaded,) = validation.manifests
    found = list(specs_of(loaded))
    assert found == list(specs_of(loaded))
    for size in (1, 2, 1000):
        assert found == [spec for block in loaded.batches(size) for spec in block]
    assert len(found) == validation.workflows
    return found


def problems(text: str) -> list[Diagnostic]:
    Path("m.yaml").write_text(HEAD + text)
    return validate_files(["m.yaml"]).diagnostics


def test_entry_overrides_catalog_overrides_defaults_overrides_manifest(folder: Path) -> None:
    found = specs(
        "application: app\nruntime: python\n"
        "catalog:\n  a: {queue: of-catalog, timeout: 1m, priority: 5}\n  b: null\n"
        "defaults: {queue: of-defaults, timeout: 2m, priority: 9, attributes: {from: defaults}}\n"
        "workflows:\n"
        "- {id: 1a, workflow: a, priority: 7}\n"
        "- {id: 1b, workflow: b, attributes: {}}\n"
        "- {id: 1c, workflow: c, timeout: null, application: other}\n"
    )
    shown = [
        (s.queue, s.timeout_ms, s.priority, s.attributes, s.application, s.runtime) for s in found
    ]  # fmt: skip
    assert shown == [
        ("of-catalog", 60_000, 7, {"from": "defaults"}, "app", "python"),
        ("of-defaults", 120_000, 9, {}, "app", "python"),
        ("of-defaults", None, 9, {"from": "defaults"}, "other", "python"),
    ]


def test_workflow_from_an_expression_uses_its_catalog_entry(folder: Path) -> None:
    found = specs(
        "catalog:\n  a: {queue: qa, timeout: 1m}\n  b: {queue: qb}\ndefaults: {queue: q}\n"
        "workflows:\n- {id: '${{ w }}-${{ n }}', workflow: '${{ w }}', matrix: {w: [a, b, c], n: [1, 2]}}\n"
    )
    assert [(s.id, s.queue, s.timeout_ms) for s in found] == [
        ("a-1", "qa", 60_000), ("a-2", "qa", 60_000), ("b-1", "qb", None), ("b-2", "qb", None),
        ("c-1", "q", None), ("c-2", "q", None),
    ]  # fmt: skip


def test_every_option_may_be_an_expression(folder: Path) -> None:
    row: dict[str, Any] = {
        "id": "x", "workflow": "w", "class_name": "C", "instance_name": "i", "queue": "q",
        "args": [1, {"a": None}], "kwargs": {"k": True}, "priority": 3, "timeout": "90s",
        "not_before": "2026-01-01T00:00:00Z",
        "queue_partition_key": "eu", "application_version": "v1", "application": "app", "runtime": "python",
        "authenticated_user": "ann", "authenticated_roles": ["admin"], "assumed_role": "admin",
        "attributes": {"team": "data"}, "schedule": "nightly", "name": "label",
    }  # fmt: skip
    entry = {key: f"${{{{ row.{key} }}}}" for key in row}
    explicit = specs(json.dumps([row]).join(["workflows: ", "\n"]))
    entry["matrix"] = {"row": [row]}  # type: ignore[assignment]
    made = specs(json.dumps([entry]).join(["workflows: ", "\n"]))
    assert made[0]._replace(binding=()) == explicit[0]


def test_defaults_may_name_an_axis(folder: Path) -> None:
    found = specs(
        "vars: {n: 2}\ndefaults: {queue: 'q-${{ region }}', priority: '${{ vars.n }}'}\n"
        "workflows:\n- {id: '${{ region }}', workflow: f, matrix: {region: [eu, us]}}\n"
    )
    assert [(s.queue, s.priority) for s in found] == [("q-eu", 2), ("q-us", 2)]


def test_variables_are_replaced_in_expressions(folder: Path) -> None:
    text = (
        "vars: {days: 2, region: eu, on: false}\nworkflows:\n- id: 'a-${{ n }}'\n  workflow: f\n  queue: q\n"
        "  matrix: {n: {range: {stop: '${{ vars.days }}'}}}\n"
        "  args: ['${{ vars.region }}', '${{ vars.on }}']\n"
    )
    assert [s.args for s in specs(text)] == [["eu", False]] * 2
    assert [s.args for s in specs(text, days="3", region="7", on="true")] == [["7", True]] * 3


def test_generated_ids_are_the_same_with_and_without_a_matrix(folder: Path) -> None:
    found = specs("workflows:\n- {workflow: f, queue: q, args: ['${{ n }}'], matrix: {n: [1, 2]}}\n")
    plain = specs("workflows:\n- {workflow: f, queue: q, args: [1]}\n- {workflow: f, queue: q, args: [2]}\n")
    assert [s.id for s in found] == [s.id for s in plain]


@pytest.mark.parametrize(
    ("scalar", "line", "column"),
    [
        ("'${{ nope }}'", 7, 15),
        ("'ab ${{ day }} ${{ nope }}'", 7, 29),
        ('"\\u00e9 ${{ nope }}"', 7, 22),
        ("'$${{ x }} ${{ nope }}'", 7, 25),
        ("a ${{ nope }}", 7, 16),
        ("|\n    first\n    ${{ day }} and ${{ nope }}\n", 9, 24),
        (">-\n    folded\n    ${{ nope }}\n", 9, 9),
    ],
)
def test_error_in_an_expression_is_at_the_unknown_name(
    folder: Path, scalar: str, line: int, column: int
) -> None:
    (found,) = problems(
        "workflows:\n- id: '${{ day }}'\n  workflow: f\n  matrix: {day: [a, b]}\n"
        f"  queue: {scalar}\n"
    )  # fmt: skip
    assert found.code == "unknown-name"
    assert found.span is not None
    assert (found.span.line, found.span.column, found.span.end_column) == (line, column, column + 4)


def test_same_problem_of_many_workflows_is_reported_once(folder: Path) -> None:
    (found,) = problems(
        "workflows:\n- {id: '${{ n }}-${{ s }}', workflow: f, queue: q, priority: '${{ n | sub(2) }}',"
        " matrix: {n: {range: {stop: 4}}, s: [x, y]}}\n"
    )
    assert found.code == "invalid-value"
    assert found.note == "in 4 workflows: n=0 s=x; n=0 s=y; n=1 s=x; and 1 more"


def test_arguments_are_checked_against_the_catalog(folder: Path) -> None:
    (folder / "contracts").mkdir()
    (folder / "contracts" / "f.yaml").write_text("properties: {n: {$ref: 'n.json#/$defs/n'}}\n")
    (folder / "contracts" / "n.json").write_text('{"$defs": {"n": {"type": "integer", "maximum": 2}}}')
    text = (
        "catalog: {f: {kwargs: {$ref: contracts/f.yaml}}}\nworkflows:\n- id: 'a-${{ n }}'\n  workflow: f\n"
        "  queue: q\n  matrix: {n: [1, 2, 3, x]}\n  kwargs: {n: '${{ n }}'}\n"
    )
    (found,) = problems(text)
    assert (found.code, found.path) == ("catalog-arguments", ("workflows", 0, "kwargs", "n"))
    assert found.note == "in 2 workflows: n=3; n=x"
    assert len(specs(text.replace(", 3, x", ""))) == 2


def test_limits_are_enforced(folder: Path) -> None:
    text = "workflows:\n- {id: 'a-${{ n }}', workflow: f, queue: q, args: ['${{ n }}'], matrix: {n: {range: {stop: 11}}}}\n"  # noqa: E501
    assert len(specs("limits: {max_workflows: 11}\n" + text)) == 11
    (found,) = problems("limits: {max_workflows: 10}\n" + text)
    assert (found.code, found.path) == ("too-many-workflows", ("limits", "max_workflows"))
    two = text + text.replace("workflows:\n", "").replace("a-", "b-")
    assert [d.code for d in problems("limits: {max_workflows: 20}\n" + two)] == ["too-many-workflows"]
    (found,) = problems("limits: {max_input_bytes: 37B}\n" + text)
    assert (found.code, found.note) == ("input-too-large", "in the workflow n=10")
