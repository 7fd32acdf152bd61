"""Check that each file in tests/cases/invalid has exactly the diagnostics that its comments mark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbos_manifest.actions.validate import validate_files
from dbos_manifest.core.diagnostic import CODES
from dbos_manifest.files.manifest_schema import manifest_schema
from dbos_manifest.reading.json_schema import check_schema

ROOT = Path(__file__).parent.parent.parent
INVALID = sorted((ROOT / "tests" / "cases" / "invalid").iterdir())
EXAMPLES = sorted(path for path in (ROOT / "manifests" / "examples").iterdir() if path.is_file())
MARK = re.compile(r"# (ERROR|WARNING): ([a-z-]+)")


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_invalid_case_has_exactly_the_marked_diagnostics(path: Path) -> None:
    expected = {
        (number, mark[2], mark[1].lower())
        for number, line in enumerate(path.read_bytes().decode("latin-1").split("\n"), 1)
        for mark in MARK.finditer(line)
    }
    assert expected
    found = validate_files([str(path)]).diagnostics
    assert all(d.span is not None for d in found)
    assert {(d.span.line if d.span else 0, d.code, d.severity.value) for d in found} == expected


def test_every_code_for_files_has_a_case() -> None:
    marks = {mark[2] for path in INVALID for mark in MARK.finditer(path.read_bytes().decode("latin-1"))}
    assert marks == {code for code, info in CODES.items() if info.layer != "database"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_valid_for_the_schema_and_for_validate(path: Path) -> None:
    validation = validate_files([str(path)])
    assert validation.diagnostics == []
    for document in validation.documents.values():
        assert check_schema(document.data, manifest_schema()) == []
