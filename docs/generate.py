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
from dbos_manifest.filters import FILTERS

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
    matrix, axis = schema["$defs"]["matrix"], schema["$defs"]["axis"]
    out.append(
        f"## `matrix`\n\n{matrix['description']}\n\nA key is the name of an axis. {axis['description']}\n"
    )
    out += _properties(schema, axis)
    out += _properties(
        schema, {"properties": {key: matrix["properties"][key] for key in ("exclude", "include")}}
    )
    return "\n".join(out).rstrip() + "\n"


def expression_reference() -> str:
    """docs/expressions.md: the language and its filters, whose examples the tests evaluate."""
    rows = []
    for name, known in FILTERS.items():
        text, value, result = known.example
        words = f"({', '.join(known.parameters)})" if known.parameters else ""
        cells = [
            f"{name}{words}",
            f"${{{{ {text} }}}}",
            *(json.dumps(v, ensure_ascii=False) for v in (value, result)),
        ]
        code = [f"`{cell}`".replace("|", "\\|") for cell in cells]
        rows.append(f"| {code[0]} | {known.summary} | {' | '.join(code[1:])} |")
    table = "\n".join(["| filter | what it gives | example | `x` | result |", "|---|---|---|---|---|", *rows])
    return f"{NOTE}\n{EXPRESSIONS}\n{table}\n"


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
        for key, inner in _options(schema, prop).items():
            if "not" not in inner:
                yield f"- `{key}`: {_resolve(schema, inner).get('description', '')}"
        if _options(schema, prop):
            yield ""


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


EXPRESSIONS = """# Expressions

`${{ … }}` is read in every value under `workflows` and `defaults`. It is a path and then filters:

```yaml
id: "orders-${{ day | strftime('%Y%m%d') }}-${{ customer.id }}"
args: ["${{ day }}", "${{ vars.table }}"]
kwargs: {tier: "${{ customer.tier | default('none') }}", first: "${{ rows[0] }}"}
```

- A path starts with the name of an axis, of something that `include` adds, or with `vars`. `.name` and
  `["name"]` go into a map, `[0]` into a list. Inside `matrix` only `vars` is known.
- A value that is one expression keeps its type: `priority: "${{ n }}"` is a number when `n` is one.
  Otherwise the pieces are joined as text: numbers and booleans as JSON writes them; null, lists and maps
  not at all.
- `$${{` is a literal `${{`.
- There is no clock, no chance, no environment and no loop: the same files and variables stand for the same
  workflows for ever, and a manifest of a stranger can be validated safely.
- An unknown name or filter is an error at its own column, and so is a value that a filter cannot take, with
  the first three workflows that have it. A result has at most 1,048,576 characters.

## Filters
"""

PAGES = {"manifest.md": manifest_reference, "cli.md": cli_reference, "expressions.md": expression_reference}


def main() -> None:
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
        sys.stdout.write(f"docs/{name}\n")


if __name__ == "__main__":
    main()
