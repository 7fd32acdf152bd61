"""Test expressions: values, limits and the places of errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbos_manifest.expressions.evaluation import bind_template
from dbos_manifest.expressions.filters import FILTERS, MAX_TEXT, UNSET
from dbos_manifest.expressions.syntax import ExpressionError, Template, parse_template


def evaluate(text: str, **names: Any) -> Any:
    getters = {name: (lambda _, value=value: value) for name, value in names.items()}
    return bind_template(parse_template(text), getters)(None)


@pytest.mark.parametrize("name", FILTERS)
def test_examples_of_filters_are_true(name: str) -> None:
    text, value, result = FILTERS[name].example
    assert name in text
    found = evaluate(f"${{{{ {text} }}}}", x=value)
    assert (found, type(found)) == (result, type(result))


@pytest.mark.parametrize(
    ("text", "names", "result"),
    [
        ("plain", {}, "plain"),
        ("${{ n }}", {"n": 7}, 7),
        ("${{n}}", {"n": [1]}, [1]),
        ("a-${{ n }}-${{ s }}", {"n": 7, "s": "x"}, "a-7-x"),
        ("${{ b }}${{ f }}", {"b": True, "f": 1.0}, "true1"),
        ("$${{ n }}", {}, "${{ n }}"),
        ("$${{ ${{ n }}", {"n": 1}, "${{ 1"),
        ("${{ c.id }}", {"c": {"id": 5}}, 5),
        ('${{ c["a b"][1] }}', {"c": {"a b": [1, 2]}}, 2),
        ("${{ c[-1] }}", {"c": [1, 2]}, 2),
        ("${{ s | replace('}}', '') }}", {"s": "a}}b"}, "ab"),
        ("${{ s | replace(\"'\", '\\'\\n') }}", {"s": "'"}, "'\n"),
        ("${{ x | default(null) }}", {"x": UNSET}, None),
        ("${{ c.none | default('d') | upper }}", {"c": {}}, "D"),
        ("${{ day | add('1mo') | strftime('%d.%m.%y') }}", {"day": "2026-01-31"}, "28.02.26"),
        ("${{ t | sub('1h30m') }}", {"t": "2026-01-01T00:00:00Z"}, "2025-12-31T22:30:00Z"),
        ("${{ t | add('1d') }}", {"t": "2026-01-01T00:00:00+02:00"}, "2026-01-02T00:00:00+02:00"),
        ("${{ n | add(1.5) }}", {"n": 1}, 2.5),
    ],
)
def test_expression_has_its_value(text: str, names: dict[str, Any], result: Any) -> None:
    found = evaluate(text, **names)
    assert (found, type(found)) == (result, type(result))


@pytest.mark.parametrize(
    ("text", "code", "blamed"),
    [
        ("a-${{ day", "expression-syntax", "${{"),
        ("${{ }}", "expression-syntax", "}"),
        ("${{ 'x' }}", "expression-syntax", "'"),
        ("${{ a + b }}", "expression-syntax", "+"),
        ("${{ a | }}", "expression-syntax", "}"),
        ("${{ a | nope }}", "unknown-filter", "nope"),
        ("${{ a | pad }}", "expression-syntax", "pad"),
        ("${{ a | pad('x') }}", "expression-syntax", "pad('x')"),
        ("${{ a | pad(1001) }}", "expression-syntax", "pad(1001)"),
        ("${{ a | strftime('%Q') }}", "expression-syntax", "strftime('%Q')"),
        ("${{ a | add('1 day') }}", "expression-syntax", "add('1 day')"),
        ("${{ a[true] }}", "expression-syntax", "t"),
        ("${{ a.b[1 }}", "expression-syntax", "}"),
        ("${{ b }}", "unknown-name", "b"),
        ("${{ a.__class__ }}", "expression-value", "__class__"),
        ("${{ a.b.c }}", "expression-value", "b"),
        ("${{ a | int }}", "expression-value", "int"),
        ("x${{ l }}", "expression-value", "l"),
        ("x${{ none }}", "expression-value", "none"),
        ("${{ none | upper }}", "expression-value", "upper"),
        ("${{ a | strftime('%Y') }}", "expression-value", "strftime('%Y')"),
        ("${{ day | add('1h') }}", "expression-value", "add('1h')"),
        ("${{ last | add('1d') }}", "expression-value", "add('1d')"),
        ("${{ unset }}", "expression-value", "unset"),
        ("${{ unset | upper }}", "expression-value", "unset"),
    ],
)
def test_error_has_its_column(text: str, code: str, blamed: str) -> None:
    names = {"a": "x", "l": [1], "none": None, "day": "2026-01-01", "last": "9999-12-31", "unset": UNSET}
    with pytest.raises(ExpressionError) as raised:
        evaluate(text, **names)
    assert raised.value.code == code
    assert text[raised.value.start : raised.value.end] == blamed


def test_large_results_are_refused() -> None:
    text = "${{ a" + " | replace('a', 'aaaaaaaaaaaaaaaaaaaa')" * 19 + " }}"
    with pytest.raises(ExpressionError, match="longer than"):
        evaluate(text, a="a")
    with pytest.raises(ExpressionError, match="longer than"):
        evaluate("${{ a }}${{ a }}", a="x" * (MAX_TEXT - 1))


def test_names_are_found_without_evaluation() -> None:
    template = parse_template("${{ a.b | default('x') }}-${{ vars.c }}-$${{ d }}-${{ a }}")
    assert template.names == {"a", "vars"}
    assert [expression.variable for expression in template.expressions] == [None, "c", None]


@given(st.text(alphabet="${} a.b|'\"[]()1,-_\\x\n", max_size=60))
def test_arbitrary_text_is_parsed_or_refused_at_a_place_in_it(text: str) -> None:
    try:
        assert isinstance(parse_template(text), Template)
    except ExpressionError as error:
        assert 0 <= error.start <= error.end <= len(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
) | st.dates().map(str)  # fmt: skip
WORDS = st.sampled_from(
    ["strftime('%F %j %V')", "add('1mo')", "add(-3)", "sub(2.5)", "int", "float", "str", "lower", "upper",
     "slug", "replace('1', 'one')", "default([1])", "default('d')", "json", "pad(5)", "pad(3, ' ')"]
).filter(lambda word: word != "default([1])")  # fmt: skip


@given(JSON, st.sampled_from(["x", "x.a", "x[0]", "x['']"]), st.lists(WORDS, max_size=4))
def test_arbitrary_values_yield_json_or_an_error(value: Any, path: str, filters: list[str]) -> None:
    text = f"${{{{ {' | '.join([path, *filters])} }}}}"
    try:
        json.dumps(evaluate(text, x=value), allow_nan=False)
    except ExpressionError as error:
        assert 0 <= error.start < error.end <= len(text)
