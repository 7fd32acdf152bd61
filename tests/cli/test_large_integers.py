"""Test the warning for integers beyond 2^53, in every notation and from every source."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest
from cli_harness import Cli

MANIFEST = """\
version: 1
name: big
vars: {n: 0, big: 9007199254740993, nested: {a: [1e17]}}
defaults: {workflow: f, queue: q}
workflows:
  - ENTRY
"""
OVER = [
    "9007199254740993", "-9007199254740993", "1e17", "1.5e300", "-1E+17", "0x20000000000001",
    "0o400000000000000001", "9007199254740993000000.0", "99999999999999999999999999",
]  # fmt: skip
WITHIN = [
    "9007199254740992", "-9007199254740992", "9007199254740991", "1e15", "1e-30", "1700000000000000",
    "9007199254740990.5", "'9007199254740993'", "'1e17'", "0.12345678901234567",
]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "warnings"),
    [
        *[(f"{{id: a, args: [{number}]}}", 1) for number in OVER],
        *[(f"{{id: a, args: [{number}]}}", 0) for number in WITHIN],
        ("{id: a, kwargs: {k: [{x: 9007199254740993}, 1e17]}}", 2),
        ("{id: a, attributes: {k: 9007199254740993}}", 1),
        ("{id: 'a${{ n }}', matrix: {n: [9007199254740993]}}", 0),  # text in the ID
        ("{id: 'a${{ n }}', matrix: {n: [1, 9007199254740993]}, args: ['${{ n }}']}", 1),
        ("{id: 'a${{ n }}', matrix: {n: [1, 2e17]}, kwargs: {n: '${{ n }}'}}", 1),
        ("{id: 'a${{ n }}', matrix: {n: [1, 2]}, args: [9007199254740993]}", 1),
        ("{id: 'a${{ n }}', matrix: {n: {range: {start: 9007199254740992, stop: 9007199254740995}}}, "
         "args: ['${{ n }}']}", 1),
        ("{id: a, args: ['${{ vars.big }}']}", 1),
        ("{id: a, args: ['${{ vars.nested }}']}", 1),
        ("{id: a, args: ['${{ vars.big | str }}']}", 0),
        ("{id: a, args: ['${{ vars.big }}-x']}", 0),
        ("{id: 'a${{ r.n }}', matrix: {r: {file: {path: n.jsonl}}}, args: ['${{ r.n }}']}", 1),
        ("{id: 'a${{ r.n }}', matrix: {r: {file: {path: n.json}}}, args: ['${{ r }}']}", 1),
        ("{id: 'a${{ r.n }}', matrix: {r: {file: {path: n.csv}}}, args: ['${{ r.n | int }}']}", 1),
        ("{id: 'a${{ r.n }}', matrix: {r: {file: {path: n.csv}}}, args: ['${{ r.n }}']}", 0),
    ],
)  # fmt: skip
def test_large_integer_in_a_manifest_warns_where_it_reaches_a_workflow(
    run: Cli, tmp_path: Path, entry: str, warnings: int
) -> None:
    (tmp_path / "n.jsonl").write_text('{"n": 1}\n{"n": 9007199254740993}\n')
    (tmp_path / "n.json").write_text('[{"n": 1e17}]')
    (tmp_path / "n.csv").write_text("n\n9007199254740993\n")
    (tmp_path / "jobs.yaml").write_text(MANIFEST.replace("ENTRY", entry))
    found = run("validate", "jobs.yaml", "-o", "json").json["diagnostics"]
    found = [one for one in found if one["code"] != "ambiguous-scalar"]
    assert [one["code"] for one in found] == ["imprecise-integer"] * warnings
    assert all(one["span"] for one in found)


def test_large_integer_in_a_variable_warns(run: Cli, tmp_path: Path) -> None:
    entry = {"id": "a", "workflow": "f", "queue": "q", "args": ["${{ vars.n }}"]}
    manifest = {"version": 1, "name": "big", "vars": {"n": 0}, "workflows": [entry]}
    (tmp_path / "jobs.json").write_text(json.dumps(manifest))
    (tmp_path / "vars.yaml").write_text("n: 0x20000000000001\n")
    (tmp_path / "vars.json").write_text('{"n": 1e17}')
    for words in (
        ("--var", "n=9007199254740993"), ("--vars-file", "vars.yaml"), ("--vars-file", "vars.json")
    ):  # fmt: skip
        done = run("validate", "jobs.json", *words)
        assert (done.code, done.out.count("warning[imprecise-integer]")) == (0, 1)
    assert "imprecise" not in run("validate", "jobs.json", "--var", "n=9007199254740992").out


def test_error_is_found_after_thousands_of_warnings(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(
        dedent(
            """\
            version: 1
            name: big
            defaults: {workflow: f, queue: q}
            workflows:
              - id: "a-${{ n }}"
                matrix: {n: {range: {stop: 23000}}}
                args: ["${{ n | add(9007199254740993) }}"]
              - id: a-22999
            """
        )
    )
    done = run("validate", "jobs.yaml")
    assert done.code == 1
    assert "error[duplicate-id]" in done.out
    assert "in at least 20,000 workflows" in done.out
