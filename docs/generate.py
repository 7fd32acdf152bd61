"""Writes the pages that are made from the program itself; tests/test_docs.py holds them equal to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from dbos_manifest.cli.main import COMMANDS, cli
from dbos_manifest.files import read_schema

DOCS = Path(__file__).parent
NOTE = "<!-- made by docs/generate.py: run `make docs` instead of editing -->\n"


def manifest_reference() -> str:
    """docs/manifest.md: every key of the manifest schema."""
    schema = json.loads(read_schema("manifest.v1"))
    out = [NOTE, "# The manifest, key by key\n", schema["description"] + "\n"]
    out.append(
        "The published schema is `schemas/manifest.v1.schema.json`; `dbos-manifest schema` prints it.\n"
    )
    out.append("## Top level\n")
    out += _properties(schema, schema)
    for title, key in (("defaults", "defaults"), ("workflows", "workflows")):
        node = _resolve(schema, schema["properties"][key])
        node = _resolve(schema, node["items"]) if "items" in node else node
        out.append(f"## `{title}`\n")
        out.append(node.get("description", "") + "\n")
        if key == "defaults":
            names = ", ".join(f"`{name}`" for name in _options(schema, node))
            out.append(f"Every option of a workflow that can be shared: {names}.\n")
        else:
            out += _properties(schema, node)
    return "\n".join(out).rstrip() + "\n"


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = schema
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _options(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in (node, *(_resolve(schema, part) for part in node.get("allOf", ()))):
        found |= part.get("properties", {})
    return found


def _properties(schema: dict[str, Any], node: dict[str, Any]) -> Iterator[str]:
    required = set(node.get("required", ()))
    for name, raw in _options(schema, node).items():
        prop = _resolve(schema, raw)
        yield f"### `{name}`{' (required)' if name in required else ''}\n"
        yield prop["description"] + "\n"
        examples = [json.dumps(example, ensure_ascii=False) for example in prop.get("examples", ())]
        if examples:
            yield f"For example: {', '.join(f'`{example}`' for example in examples)}\n"


def cli_reference() -> str:
    """docs/cli.md: the help of every command."""
    out = [NOTE, "# The command line\n"]
    out.append(_help(cli, ["dbos-manifest"]))
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        out.append(f"## {name}\n")
        out.append(_help(command, ["dbos-manifest", name]))
        if isinstance(command, click.Group):
            for part, sub in command.commands.items():
                out.append(f"### {name} {part}\n")
                out.append(_help(sub, ["dbos-manifest", name, part]))
    return "\n".join(out).rstrip() + "\n"


def _help(command: click.Command, words: list[str]) -> str:
    context = click.Context(
        command,
        info_name=" ".join(words),
        terminal_width=100,
        max_content_width=100,
        help_option_names=["-h", "--help"],
    )
    return f"```\n{command.get_help(context)}\n```\n"


PAGES = {"manifest.md": manifest_reference, "cli.md": cli_reference}


def main() -> None:
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
        sys.stdout.write(f"docs/{name}\n")


if __name__ == "__main__":
    main()
