"""Test the published schemas and the messages for schema errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator

from dbos_manifest.files.bundled import SCHEMAS, read_schema
from dbos_manifest.files.manifest_schema import manifest_schema
from dbos_manifest.reading.json_schema import check_schema


def properties(node: Any, path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        for name, prop in (
            node.get("properties", {}).items() if isinstance(node.get("properties"), dict) else ()
        ):
            yield f"{path}.{name}", prop
        for key, value in node.items():
            if key not in ("examples", "const", "enum"):
                yield from properties(value, f"{path}/{key}")


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_property_has_a_description_and_valid_examples(name: str) -> None:
    schema = json.loads(read_schema(name))
    Draft202012Validator.check_schema(schema)
    found = list(properties(schema))
    assert len(found) > 5
    for path, prop in found:
        prop = {**(schema["$defs"][prop["$ref"].rpartition("/")[2]] if "$ref" in prop else {}), **prop}
        assert prop.get("description"), path
        assert prop.get("examples") or prop.get("not") == {}, path
        validator = jsonschema_rs.validator_for({**prop, "$defs": schema.get("$defs", {})})
        assert all(validator.is_valid(example) for example in prop.get("examples", [])), path


@pytest.mark.parametrize(
    ("entry", "code", "help"),
    [
        ({"timeout": 30}, "wrong-type", "write `30s` for seconds"),
        ({"timeout": "30"}, "invalid-value", "write `30s` for seconds"),
        ({"deadline": "2026-01-01"}, None, ""),  # details of a date-time are checked by lint
        ({"args": {"a": 1}}, "wrong-type", "named arguments under `kwargs`"),
        ({"authenticated_roles": "admin"}, "wrong-type", '["admin"]'),
        ({"runtime": "pyhton"}, "invalid-value", "did you mean `python`?"),
        ({"priorty": 1}, "unknown-key", "did you mean `priority`?"),
        ({"priority": True}, "wrong-type", None),
        ({"x-note": 1, "timeout": None}, None, ""),
    ],
)
def test_schema_error_has_a_code_and_a_hint(
    entry: dict[str, Any], code: str | None, help: str | None
) -> None:
    data = {"version": 1, "name": "n", "workflows": [{"workflow": "f", "queue": "q", **entry}]}
    found = check_schema(data, manifest_schema())
    assert [diagnostic.code for diagnostic in found] == ([code] if code else [])
    if help and found:
        assert help in (found[0].help or "")


def test_each_missing_key_is_reported_once() -> None:
    found = check_schema({"version": 1}, manifest_schema())
    assert [(diagnostic.code, diagnostic.message) for diagnostic in found] == [
        ("missing-key", "`name` is missing"),
        ("missing-key", "`workflows` is missing"),
    ]
