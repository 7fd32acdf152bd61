"""Writes the pages that are made from the program itself; tests/test_docs.py holds them equal to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from dbos_manifest.cli.main import COMMANDS, cli
from dbos_manifest.files import read_schema
from dbos_manifest.filters import FILTERS

DOCS = Path(__file__).parent
NOTE = "<!-- made by docs/generate.py: run `make docs` instead of editing -->\n"


FILES = """## Files

| rule | |
|---|---|
| format | YAML 1.2 in UTF-8, with one or more manifests divided by `---`; or JSON, in `*.json`. |
| line breaks | LF, CR and CRLF. U+0085, U+2028 and U+2029 are ordinary characters. |
| a folder | Every manifest below it: `*.yaml`, `*.yml`, `*.json`. Links are followed, hidden ones skipped. |
| other files of a folder | Skipped. One that looks like a manifest and cannot be read as one is an error. |
| what cannot be opened | An error, for files and folders. |
| a file that is named | Always a manifest, unless `validate --skip-other-files` is given. |
| what looks like a manifest | `version` and `workflows`, or a list of workflows under a misspelled key. |
| an empty path, ID or name | An error, never a default. Only an entry without `id` gets a generated ID. |
"""

ENVIRONMENT = """## Environment variables

Most options can be set by an environment variable, which their help names. The command line comes first.

- The value of the variable is the value of the option, as it is. It is never split at blanks.
- A repeatable option takes one value per line: `DBOS_MANIFEST_VAR` may have the lines `day=2026-01-01` and
  `region=eu`.
- A variable that is set and empty is an error (exit 2). Unset it instead.
- An empty value on the command line is an error too: `--target "$TARGET"` gives one where `TARGET` is unset.
"""


def manifest_reference() -> str:
    """docs/manifest.md: every key of the manifest schema."""
    schema = json.loads(read_schema("manifest.v1"))
    out = [NOTE, "# The manifest, key by key\n", schema["description"] + "\n"]
    out.append(
        "The published schema is `schemas/manifest.v1.schema.json`; `dbos-manifest schema` prints it.\n"
    )
    out.append(FILES)
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
    out += _properties(schema, axis["anyOf"][0])
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
    out.append(ENVIRONMENT)
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
- `$${{` is a literal `${{`. `{{ name }}` without `$` is plain text; a warning says so where `name` is an axis
  or a variable.
- An axis may be a variable: `region: "${{ vars.regions }}"`, whose value is a list or a map such as
  `{range: {stop: 10}}`.
- There is no clock, no chance, no environment and no loop: the same files and variables stand for the same
  workflows for ever, and a manifest of a stranger can be validated safely.
- An unknown name or filter is an error at its own column, and so is a value that a filter cannot take, with
  the first three workflows that have it. A result has at most 1,048,576 characters.

## Filters
"""


def compatibility() -> str:
    """docs/compatibility.md: what real workers did, as the tests hold it in docs/compatibility.json."""
    page = json.loads((DOCS / "compatibility.json").read_text(encoding="utf-8"))
    tables = {
        "releases": _releases(page),
        "options": _table("option", page["options"], SDKS, str),
        "clients": _table("option", page["clients"], SDKS[1:], str),
        "rules": _table("what is enqueued", page["rules"], SDKS, _outcome),
        "schemas": _table("schema", page["schemas"], SDKS, str),
        "applications": _table("", page["applications"], SDKS, str),
        "servers": ", ".join(page["postgresql"]),
        "on": page["made"]["on"],
        "tool": page["made"]["with"],
        "latest": ", ".join(page["latest"]["releases"].values()),
    }
    return f"{NOTE}\n{COMPATIBILITY.format(**tables)}"


def _table(title: str, rows: dict[str, Any], columns: Sequence[str], show: Callable[[Any], str]) -> str:
    out = [f"| {' | '.join((title, *columns))} |", "|---" * (len(columns) + 1) + "|"]
    for row, cells in rows.items():
        shown = [show(cells[column]) if column in cells else "" for column in columns]
        out.append(f"| {' | '.join((row, *shown))} |")
    return "\n".join(out)


def _outcome(cell: dict[str, Any]) -> str:
    if cell["status"] == "SUCCESS":
        text = json.dumps(cell["output"], ensure_ascii=True).replace("|", "\\|")
        return f"`{text}`"
    return f"**{cell['status']}**" + (f" {cell['error']}" if "error" in cell else "")


def _releases(page: dict[str, Any]) -> str:
    columns = [
        f"{db}, {schema} schema" for schema in ("its own", "newest") for db in ("postgresql", "sqlite")
    ]
    releases = dict(sorted(page["releases"].items(), key=_release_key))
    return _table("worker", releases, columns, _release)


def _release_key(item: tuple[str, Any]) -> tuple[int, list[int]]:
    sdk, number = item[0].split()
    return SDKS.index(sdk), [int(part) for part in number.partition("-")[0].split(".")]


def _release(cell: dict[str, Any]) -> str:
    shown: str = cell["result"]
    if shown != "runs":
        shown = f"**{shown}**"
    if "migration" in cell:
        shown += f" (migration {cell['migration']})"
    if "with --legacy-inputs" in cell:
        shown += f"; with `--legacy-inputs` {cell['with --legacy-inputs']}"
    return shown


SDKS = ("python", "typescript", "go", "java", "rust")
COMPATIBILITY = """# Compatibility

What was seen to happen, on {on}, with {tool}: real workers of every SDK ran what `apply` had enqueued.
`make compatibility` writes the cells again, into [compatibility.json](compatibility.json) next to this page.
`make e2e` checks all of them; `make test` checks the options with the latest release of each SDK ({latest})
and the rest with one SDK. The registries have only one release of the Java and Rust SDKs.

## Databases

- PostgreSQL {servers}: all tests of the system database pass, and a worker runs the examples. SQLite as
  Python has it.
- PgBouncer in transaction mode: see [reliability.md](reliability.md).
- The layout is found from tables and columns, not from version numbers. A schema without
  `workflow_status.serialization` (before DBOS 2.14 for Python) is refused, and so is a sharded one. An
  option whose column a schema lacks is an error, never dropped. CockroachDB was not run.
- Java 1.1 marks a partitioned queue in a column that newer SDKs no longer read. On the newest schema the two
  signs disagree, so plan says nothing there of a partition key that is missing or not used.

Workers of old and new releases, on the tables that the release itself lays, and on those of the newest
(Python 3.4.0):

{releases}

**Mixed fleets.** Since migration 109 arguments are in `workflow_input`, where workers of older releases do
not look: they leave the workflow PENDING, fail it or, **Go before 1.4, run it with empty arguments**. While
such workers run beside new ones on a migrated database, apply with `--legacy-inputs`, which writes the
arguments into both places. `plan`, `apply` and `doctor` say so once they see a workflow that such a worker
has run (`worker-behind-schema`); one that it left PENDING tells them nothing.

## Options

Each option, from a manifest to a worker of the latest release, and what the workflow saw of it. Priority is
the order on a queue of concurrency 1, `limited` a queue of two starts a second, `instance` a method of a
configured object:

{options}

The same by the SDK's own client: every column that a worker reads, before the run, and status, output and
error after it. For Python every column of every option is compared in
`tests/system_db/test_rows_like_the_client.py`. What the client lacks, its worker still takes. Rust 0.5.0
has no portable format: its rows say `rust_serde` where ours say `portable_json`, around the same JSON.

{clients}

## Arguments and names

What the workflow returned, where it returns its arguments; else how it ended. `runtime:` in a manifest
turns on the checks that follow from this table. PENDING is for good: the worker has claimed the workflow
and cannot run it.

{rules}

- Go passes the first argument on; here `pair` takes `PortableWorkflowArgs`, which is all of them. A typed
  number is exact.
- Rust 0.5.0 takes the whole envelope (`positionalArgs`, `namedArgs`) as a workflow's one argument; a type
  that does not fit leaves the workflow PENDING.
- Java leaves all workflows PENDING that it claimed together with one that it cannot run, good ones too.
- TypeScript has no types at run time unless the workflow checks them: what is missing is `undefined`.

## Schemas and applications

Schemas of other names than `dbos`, with capitals, quotes and blanks:

{schemas}

A database that applications share: is the work of another application, on a queue of ours, left alone?

{applications}

## YAML

The reader takes YAML 1.2's core schema through libyaml, a YAML 1.1 parser. Of the official YAML test
suite's valid cases it misreads none. Of the errors it reads 15, as the value that was meant (a bracket that
is not indented, a comment without a blank before it); they are listed in `tests/unit/test_yaml_suite.py`.
"""

PAGES = {
    "manifest.md": manifest_reference,
    "cli.md": cli_reference,
    "expressions.md": expression_reference,
    "compatibility.md": compatibility,
}


def main() -> None:
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
        sys.stdout.write(f"docs/{name}\n")


if __name__ == "__main__":
    main()
