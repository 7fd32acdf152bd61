"""Check manifests and single options by the bundled JSON Schema of a manifest."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

from ..core.diagnostic import SOURCE_IN_QUOTES, Diagnostic
from ..reading.json_schema import Schema, check_schema
from .bundled import read_schema


@cache
def manifest_schema() -> Schema:
    """Return the schema of a manifest, compiled once."""
    return Schema(json.loads(read_schema("manifest.v1")))


@cache
def _option_schema(option: str) -> Schema:
    return manifest_schema().of_option(option)


def check_option(option: str, value: object) -> list[Diagnostic]:
    """Check the value that an expression has for an option by the schema of the option."""
    found = check_schema({option: value}, _option_schema(option))
    return [replace(diagnostic, help=_expression_help(option, diagnostic.help)) for diagnostic in found]


def _expression_help(option: str, help: str | None) -> str | None:
    """Return the help for the value of an expression: change the expression instead of the value."""
    if help == SOURCE_IN_QUOTES:
        return "append `| str` to the expression"
    if help is not None and help.startswith(f"write `{option}: ["):
        return f'write `{option}: ["${{{{ … }}}}"]`'
    return help
