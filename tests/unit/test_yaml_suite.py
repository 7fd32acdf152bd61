"""The official YAML test suite: each document is read as its JSON or refused, but for a known few."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dbos_manifest.document import parse_documents

SUITE = json.loads((Path(__file__).parent.parent / "data" / "yaml-test-suite.json").read_text())

# What libyaml, a YAML 1.1 parser, reads otherwise than YAML 1.2, or reads though it is an error.
# A case that leaves this list must be taken out of it.
KNOWN_MISREAD = {
    "652Z", "9C9N", "9JBA", "CVW2", "DK95-01", "EB22", "G5U8", "HM87-01", "JEF9-02", "L24T-01", "MUS6-00",
    "MUS6-01", "QB6E", "RHX7", "RR7F", "S98Z", "SU5Z", "X4QW", "Y2GN", "Y79Y-03", "YJV2",
}  # fmt: skip


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


def is_misread(case: dict[str, Any]) -> bool:
    values = read(case)
    if case.get("fail"):
        return values is not None
    if values is None or case.get("json") is None:
        return False
    wanted = [value for value in expected_values(case["json"]) if value is not None]
    return json.dumps(values) != json.dumps(wanted)  # as text: 1 is not true, nor 1.0


def test_nothing_else_is_misread() -> None:
    assert {case["id"] for case in SUITE if is_misread(case)} == KNOWN_MISREAD


def test_most_is_read() -> None:
    good = [case for case in SUITE if not case.get("fail") and case.get("json") is not None]
    assert sum(read(case) is not None for case in good) >= 220
