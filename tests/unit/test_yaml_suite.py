"""The official YAML test suite: each document is read as its expected JSON, or refused; none is misread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dbos_manifest.document import parse_documents

SUITE = json.loads((Path(__file__).parent.parent / "data" / "yaml-test-suite.json").read_text())
CASES = [pytest.param(case, id=f"{case['id']}-{number}") for number, case in enumerate(SUITE)]


def expected_values(text: str) -> list[Any]:
    decoder, values, position = json.JSONDecoder(), [], 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        value, position = decoder.raw_decode(text, position)
        values.append(value)
    return values


def read(case: dict[str, Any]) -> list[Any] | None:
    documents, diagnostics = parse_documents(case["yaml"].encode(), "case.yaml")
    if any(diagnostic.severity == "error" for diagnostic in diagnostics):
        return None
    return [document.data for document in documents]


@pytest.mark.parametrize("case", CASES)
def test_never_misread(case: dict[str, Any]) -> None:
    values = read(case)
    if case.get("fail"):
        assert values is None
    elif values is not None and case.get("json") is not None:
        wanted = [value for value in expected_values(case["json"]) if value is not None]
        assert json.dumps(values) == json.dumps(wanted)  # as text: 1 is not true, nor 1.0


def test_most_is_read() -> None:
    good = [case for case in SUITE if not case.get("fail") and case.get("json") is not None]
    assert sum(read(case) is not None for case in good) >= 0.8 * len(good)
