"""Test reading JSON and YAML: values, places and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.core.diagnostic import Diagnostic, make_diagnostic
from dbos_manifest.reading.document import parse_documents
from dbos_manifest.reading.places import locate_diagnostics

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
def test_json_is_read_like_the_json_module(value: Any) -> None:
    assert read(json.dumps(value), "f.json") == [value]


@given(values)
def test_yaml_is_read_as_it_was_dumped(value: Any) -> None:
    text = yaml.safe_dump({"v": value}, default_style='"', allow_unicode=True, sort_keys=False)
    assert json.dumps(read(text)) == json.dumps([{"v": value}])  # as text: 1 is not 1.0


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_read_or_refused(content: bytes) -> None:
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
def test_scalars_follow_the_yaml_1_2_core_schema(text: str, value: Any) -> None:
    assert read(f"v: {text}") == [{"v": value}]


def test_aliases_share_values_and_are_limited() -> None:
    assert read("a: &x [1, 2]\nb: *x") == [{"a": [1, 2], "b": [1, 2]}]
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    _, diagnostics = parse_documents(laughs.encode(), "f.yaml")
    assert [d.code for d in diagnostics] == ["too-large"]


def test_path_has_the_place_of_its_value() -> None:
    text = "a:\n  - k: value\n  - &x {k: 2}\nb: *x\n"
    (document,), _ = parse_documents(text.encode(), "f.yaml")
    wanted = [
        make_diagnostic("wrong-type", "", ("a", 0, "k")),
        make_diagnostic("wrong-type", "", ("a", 0, "k"), at_key=True),
        make_diagnostic("wrong-type", "", ("b", "k")),  # below an alias: the place of the alias
        make_diagnostic(
            "wrong-type", "", ("a", 0, "missing")
        ),  # a path that does not exist: the nearest parent
    ]
    spans = [found.span for found in locate_diagnostics(document, wanted)]
    assert [span and span[1:3] for span in spans] == [(2, 8), (2, 5), (4, 4), (2, 5)]


@pytest.mark.parametrize(
    "text",
    ["a: &x:y 1\n", "a: &x 1\nb: [*x:, 2]\n", "{?a: 1}", "[?a]", "{é: 1, ?b: 2}"],
)
def test_an_anchor_alias_or_question_mark_needs_a_space_after_it(text: str) -> None:
    _, diagnostics = parse_documents(text.encode(), "a.yaml")
    assert [diagnostic.code for diagnostic in diagnostics] == ["yaml-syntax"]
    assert "has no space after it" in diagnostics[0].message


def test_last_line_of_spaces_belongs_to_the_block_scalar() -> None:
    documents, _ = parse_documents(b"a: |\n  x\n   ", "a.yaml")
    assert documents[0].data == {"a": "x\n \n"}


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029", "\ufeff", "\ue000\x85"])
def test_only_lf_and_cr_break_lines(mark: str) -> None:
    text = f'# a{mark}b\nv: "a{mark}b"\nw: a{mark}b\nk{mark}k: |\n  a{mark}b\n  c\nx: 1\nx: 2\n'
    documents, found = parse_documents(text.encode(), "f.yaml")
    assert [(d.code, d.span and d.span[1:3]) for d in found] == [("duplicate-key", (8, 1))]
    assert documents == []
    value = f"a{mark}b"
    assert read(text.replace("x: 2\n", "")) == [
        {"v": value, "w": value, f"k{mark}k": f"{value}\nc\n", "x": 1}
    ]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("mark", ["\x85", "\u2028", "x"])
def test_lines_and_columns_match_those_of_an_editor(end: str, mark: str) -> None:
    for text, file in (
        (f"a: '{mark}'\n# {mark}\nb: {{c: 1}}\n", "f.yaml"),
        (f'{{"a":\n\n"{mark}", "b": {{"c": 1}}}}\n', "f.json"),
    ):
        documents, _ = parse_documents(text.replace("\n", end).encode(), file)
        (found,) = locate_diagnostics(documents[0], [make_diagnostic("wrong-type", "x", ("b", "c"))])
        assert found.span is not None
        assert found.span.line == 3


@given(values, st.sampled_from(["\n", "\r\n", "\r"]))
def test_json_values_have_places(value: Any, end: str) -> None:
    """The text at the place of a value is that value."""
    text = json.dumps({"v": value}, indent=1).replace("\n", end)
    documents, _ = parse_documents(text.encode(), "f.json")

    def paths(value: Any, path: tuple[Any, ...]) -> Any:
        yield path, value
        if isinstance(value, (dict, list)):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                yield from paths(item, (*path, key))

    lines = text.split(end)
    for path, item in paths({"v": value}, ()):
        (found,) = locate_diagnostics(documents[0], [make_diagnostic("wrong-type", "x", path)])
        assert found.span is not None
        rest = end.join([lines[found.span.line - 1][found.span.column - 1 :], *lines[found.span.line :]])
        assert json.JSONDecoder().raw_decode(rest)[0] == item


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ('{\n"a": NaN}', "not-portable", (2, 6)),
        ('{\n"a": [1, -Infinity]}', "not-portable", (2, 10)),
        ('{\n"a": 1e400}', "not-portable", (2, 6)),
        ('{\n"a": ' + "9" * 5000 + "}", "not-portable", (2, 6)),
        ('{\n"a": "\\ud800"}', "not-portable", (2, 6)),
        ('{\n"\\u0000": 1}', "not-portable", (2, 1)),
        ('{\n"a": 1,\n "a": 2}', "duplicate-key", (3, 2)),
        ('{"a":\n' + "[" * 120 + "]" * 120 + "}", "too-large", (2, 100)),
        ('{\n"a": ' + "[" * 100_000, "too-large", (2, 105)),
        ('{\n"a" 1}', "yaml-syntax", (2, 5)),
    ],
)  # fmt: skip
def test_problems_in_json_have_places(text: str, code: str, place: tuple[int, int]) -> None:
    _, found = parse_documents(text.encode(), "f.json")
    assert [(d.code, d.span and d.span[1:3]) for d in found] == [(code, place)]


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x1b", "\x7f", "\x80", "\ufffe"])
def test_control_character_is_reported_at_its_place(character: str) -> None:
    _, (found,) = parse_documents(f"a: 1\nb: ['x{character}y']\n".encode(), "f.yaml")
    assert (found.code, found.span and found.span[1:3]) == ("yaml-syntax", (2, 7))
    assert f"U+{ord(character):04X}" in found.message
