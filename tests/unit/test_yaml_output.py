"""Test that entries of `expand -o yaml` expand to the same workflows again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dbos_manifest.actions.validate import validate_files
from dbos_manifest.core.canonical_json import canonical_json
from dbos_manifest.core.work_budget import WorkBudget
from dbos_manifest.expansion.expansion import Expansion
from dbos_manifest.files.folder_tree import FolderTree
from dbos_manifest.files.manifest_schema import check_option
from dbos_manifest.manifest.contracts import Contracts
from dbos_manifest.manifest.manifest import parse_manifest
from dbos_manifest.manifest.variables import Given
from dbos_manifest.reading.document import Document
from dbos_manifest.report.specs import spec_yaml
from dbos_manifest.workflows.spec import WorkflowSpec

TRICKY = [
    "", " ", "a ", " a", "~", "null", "true", "Yes", "no", "on", "y", "N", "1", "1e3", "0o17", "7e10", "1E5",
    "0x1F", "0755", "1_000", "12:30", "190:20:30", ".5", "5.", ".inf", "-.INF", ".nan", "+1", "-", "--",
    "---", "...", "=", "<<", "?", ":", "- a", "a: b", "a #b", "#", "&a", "*a", "!a", "!!str", "%a", "@a",
    "`a", "|", ">", "[", "]", "{", "}", ",", "'", '"', "\\", "\\x", "2026-01-01", "2026-01-01T00:00:00Z",
    "a\nb", "a\n", "\na", "a\r\nb", "\t", "a\tb", "\x1b[31m", "\x7f", "\x85", "a\x85b", "\u2028",
    "a\u2029b", "\ufeff", "\ufffe", "\U0001f600", "e\u0301", "${{", "$${{", "$$${{ a }}", "${{ x }}",
    "${${{", "$", "}}", "a" * 200, "a b " * 50, "東京",
]  # fmt: skip
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30) | st.sampled_from(TRICKY)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)


def read_back(text: str) -> WorkflowSpec:
    content = f"version: 1\nname: back\nworkflows:\n{text}".encode()
    validation = validate_files(["-"], content)
    assert validation.errors == 0, validation.diagnostics
    assert not [found for found in validation.diagnostics if found.code == "ambiguous-scalar"]
    (loaded,) = validation.manifests
    (spec,) = loaded.specs()
    return spec


def write(args: list[Any], kwargs: dict[str, Any], **options: Any) -> tuple[WorkflowSpec, str]:
    spec = WorkflowSpec("id-1", "f", "q", args=args, kwargs=kwargs, **options)
    return spec, spec_yaml(spec)


@given(st.lists(values, max_size=3), st.dictionaries(texts, values, max_size=3))
@example(TRICKY, dict.fromkeys(TRICKY, 1))
@example([[[], {}], {"": {"": ""}}, 1e17, 1e-7, -0.0, 5e-324, 1.7976931348623157e308, 10**900], {})
def test_arguments_are_read_back_unchanged(args: list[Any], kwargs: dict[str, Any]) -> None:
    spec, text = write(args, kwargs)
    back = read_back(text)
    assert canonical_json([back.args, back.kwargs]) == canonical_json([spec.args, spec.kwargs])
    assert repr(back.args) == repr(spec.args)  # 1 is not 1.0, and maps keep their order


@pytest.mark.parametrize("text", [text for text in TRICKY if text.strip()])
def test_options_are_read_back_unchanged(text: str) -> None:
    spec, written = write([], {}, attributes={text: text}, deduplication_id=text, authenticated_roles=[text])
    back = read_back(written)
    assert back._replace(entry=spec.entry, binding=spec.binding) == spec


def test_keys_may_contain_a_literal_expression_mark() -> None:
    data = {"version": 1, "name": "n", "workflows": [{"id": "a", "workflow": "f", "queue": "q",
            "kwargs": {"$${{ a }}": {"$$${{": "${{ vars.x }}"}}}], "vars": {"x": 3}}  # fmt: skip
    document = Document("f", 0, "", "yaml", data)
    expansion = Expansion(
        parse_manifest(document, FolderTree(Path()), Given()), check_option, Contracts(WorkBudget())
    )
    (spec,) = expansion.specs(lambda found, label: None)
    assert spec.kwargs == {"${{ a }}": {"$${{": 3}}
