"""Test the expansion of manifests to workflows and diagnostics."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
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
    Path("m.yaml").write_text(HEAD + dedent(text))
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
    Path("m.yaml").write_text(HEAD + dedent(text))
    return validate_files(["m.yaml"]).diagnostics


def test_entry_overrides_catalog_overrides_defaults_overrides_manifest(folder: Path) -> None:
    found = specs(
        """\
        application: app
        runtime: python
        catalog:
          a: {queue: of-catalog, timeout: 1m, priority: 5}
          b: null
        defaults: {queue: of-defaults, timeout: 2m, priority: 9, attributes: {from: defaults}}
        workflows:
          - {id: 1a, workflow: a, priority: 7}
          - {id: 1b, workflow: b, attributes: {}}
          - {id: 1c, workflow: c, timeout: null, application: other}
        """
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
        """\
        catalog:
          a: {queue: qa, timeout: 1m}
          b: {queue: qb}
        defaults: {queue: q}
        workflows:
          - id: "${{ w }}-${{ n }}"
            workflow: "${{ w }}"
            matrix: {w: [a, b, c], n: [1, 2]}
        """
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
    explicit = specs(f"workflows: {json.dumps([row])}")
    entry["matrix"] = {"row": [row]}  # type: ignore[assignment]
    made = specs(f"workflows: {json.dumps([entry])}")
    assert made[0]._replace(binding=()) == explicit[0]


def test_defaults_may_name_an_axis(folder: Path) -> None:
    found = specs(
        """\
        vars: {n: 2}
        defaults: {queue: "q-${{ region }}", priority: "${{ vars.n }}"}
        workflows:
          - {id: "${{ region }}", workflow: f, matrix: {region: [eu, us]}}
        """
    )
    assert [(s.queue, s.priority) for s in found] == [("q-eu", 2), ("q-us", 2)]


def test_variables_are_replaced_in_expressions(folder: Path) -> None:
    text = """\
        vars: {days: 2, region: eu, on: false}
        workflows:
          - id: "a-${{ n }}"
            workflow: f
            queue: q
            matrix: {n: {range: {stop: "${{ vars.days }}"}}}
            args: ["${{ vars.region }}", "${{ vars.on }}"]
        """
    assert [s.args for s in specs(text)] == [["eu", False]] * 2
    assert [s.args for s in specs(text, days="3", region="7", on="true")] == [["7", True]] * 3


def test_generated_ids_are_the_same_with_and_without_a_matrix(folder: Path) -> None:
    found = specs(
        """\
        workflows:
          - {workflow: f, queue: q, args: ["${{ n }}"], matrix: {n: [1, 2]}}
        """
    )
    plain = specs(
        """\
        workflows:
          - {workflow: f, queue: q, args: [1]}
          - {workflow: f, queue: q, args: [2]}
        """
    )
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
    text = dedent(
        """\
        workflows:
        - id: "${{ day }}"
          workflow: f
          matrix: {day: [a, b]}
          queue: SCALAR
        """
    )
    (found,) = problems(text.replace("SCALAR", scalar))
    assert found.code == "unknown-name"
    assert found.span is not None
    assert (found.span.line, found.span.column, found.span.end_column) == (line, column, column + 4)


def test_same_problem_of_many_workflows_is_reported_once(folder: Path) -> None:
    (found,) = problems(
        """\
        workflows:
          - id: "${{ n }}-${{ s }}"
            workflow: f
            queue: q
            priority: "${{ n | sub(2) }}"
            matrix: {n: {range: {stop: 4}}, s: [x, y]}
        """
    )
    assert found.code == "invalid-value"
    assert found.note == "in 4 workflows: n=0 s=x; n=0 s=y; n=1 s=x; and 1 more"


def test_arguments_are_checked_against_the_catalog(folder: Path) -> None:
    (folder / "contracts").mkdir()
    (folder / "contracts" / "f.yaml").write_text("properties: {n: {$ref: 'n.json#/$defs/n'}}\n")
    (folder / "contracts" / "n.json").write_text('{"$defs": {"n": {"type": "integer", "maximum": 2}}}')
    text = """\
        catalog: {f: {kwargs: {$ref: contracts/f.yaml}}}
        workflows:
          - id: "a-${{ n }}"
            workflow: f
            queue: q
            matrix: {n: [1, 2, 3, x]}
            kwargs: {n: "${{ n }}"}
        """
    (found,) = problems(text)
    assert (found.code, found.path) == ("catalog-arguments", ("workflows", 0, "kwargs", "n"))
    assert found.note == "in 2 workflows: n=3; n=x"
    assert len(specs(text.replace(", 3, x", ""))) == 2


def test_limits_are_enforced(folder: Path) -> None:
    one = """\
        limits: {LIMIT}
        defaults: {workflow: f, queue: q}
        workflows:
          - {id: "a-${{ n }}", args: ["${{ n }}"], matrix: {n: {range: {stop: 11}}}}
        """
    two = one + '  - {id: "b-${{ n }}", args: ["${{ n }}"], matrix: {n: {range: {stop: 11}}}}'
    assert len(specs(one.replace("LIMIT", "max_workflows: 11"))) == 11
    (found,) = problems(one.replace("LIMIT", "max_workflows: 10"))
    assert (found.code, found.path) == ("too-many-workflows", ("limits", "max_workflows"))
    (found,) = problems(two.replace("LIMIT", "max_workflows: 20"))
    assert found.code == "too-many-workflows"
    (found,) = problems(one.replace("LIMIT", "max_input_bytes: 37B"))
    assert (found.code, found.note) == ("input-too-large", "in the workflow n=10")
