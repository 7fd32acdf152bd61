"""Text in, values out: whatever JSON or YAML says is read as it stands, and any bytes are read or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.diagnostic import Diagnostic, Target, make_diagnostic
from dbos_manifest.document import locate_diagnostics, parse_documents

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
values = st.recursive(
    st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)


def read(text: str, file: str = "f.yaml") -> list[Any]:
    documents, diagnostics = parse_documents(text.encode(), file)
    assert [d for d in diagnostics if d.severity == "error"] == []
    return [document.data for document in documents]


@given(values)
def test_json_is_read_as_it_stands(value: Any) -> None:
    assert read(json.dumps(value), "f.json") == [value]


@given(values)
def test_yaml_is_read_as_it_stands(value: Any) -> None:
    text = yaml.safe_dump({"v": value}, default_style='"', allow_unicode=True, sort_keys=False)
    assert json.dumps(read(text)) == json.dumps([{"v": value}])  # as text: 1 is not 1.0


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for file in ("f.yaml", "f.json"):
        documents, diagnostics = parse_documents(content, file)
        assert all(isinstance(found, Diagnostic) for found in diagnostics)
        assert all(json.dumps(document.data, allow_nan=False) for document in documents)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("2026-01-01", "2026-01-01"), ("12:30", "12:30"), ("1_000", "1_000"), ("0755", 755),
        ("0o17", 15), ("0x1F", 31), ("~", None), ("True", True), ("1e3", 1000.0), (".5", 0.5), ("+1", 1),
        ("yes", "yes"), ("0b1", "0b1"), ("'1'", "1"),
    ],
)  # fmt: skip
def test_yaml_1_2_core(text: str, value: Any) -> None:
    assert read(f"v: {text}") == [{"v": value}]


def test_aliases_share_and_are_bounded() -> None:
    assert read("a: &x [1, 2]\nb: *x") == [{"a": [1, 2], "b": [1, 2]}]
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    _, diagnostics = parse_documents(laughs.encode(), "f.yaml")
    assert [d.code for d in diagnostics] == ["too-large"]


def test_places() -> None:
    text = "a:\n  - k: value\n  - &x {k: 2}\nb: *x\n"
    (document,), _ = parse_documents(text.encode(), "f.yaml")
    wanted = [
        make_diagnostic("wrong-type", "", ("a", 0, "k")),
        make_diagnostic("wrong-type", "", ("a", 0, "k"), target=Target.KEY),
        make_diagnostic("wrong-type", "", ("b", "k")),  # behind an alias: where the alias is
        make_diagnostic("wrong-type", "", ("a", 0, "missing")),  # not there: the nearest that is
    ]
    spans = [found.span for found in locate_diagnostics(document, wanted)]
    assert [span and span[1:3] for span in spans] == [(2, 8), (2, 5), (4, 4), (2, 5)]


@pytest.mark.parametrize(
    "text",
    ["a: &x:y 1\n", "a: &x 1\nb: [*x:, 2]\n", "{?a: 1}", "[?a]", "{é: 1, ?b: 2}"],
)
def test_names_that_run_into_what_follows(text: str) -> None:
    _, diagnostics = parse_documents(text.encode(), "a.yaml")
    assert [diagnostic.code for diagnostic in diagnostics] == ["yaml-syntax"]
    assert "runs into" in diagnostics[0].message


def test_a_last_line_of_blanks_belongs_to_the_text() -> None:
    documents, _ = parse_documents(b"a: |\n  x\n   ", "a.yaml")
    assert documents[0].data == {"a": "x\n \n"}
