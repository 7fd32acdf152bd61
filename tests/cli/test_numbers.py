"""Test numbers from files and options: whole numbers in any notation, and numbers outside the float range."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest
from cli_harness import Cli

TOO_LARGE = ["1e400", "-1e400", "1E9999"]


def write(folder: Path, text: str) -> None:
    (folder / "m.yaml").write_text(dedent(text))


@pytest.mark.parametrize("limit", ["2", "2.0", "2e0", "0.2e1"])
@pytest.mark.parametrize(
    "axis",
    [
        "[a, b]",
        "{range: {stop: 2}}",
        '{date_range: {start: "2026-01-01", end: "2026-01-02"}}',
        '{cron: {schedule: "0 0 * * *", start: "2026-01-01T12:00:00Z", end: "2026-01-03T12:00:00Z"}}',
        "{file: {path: n.csv}}",
    ],
)
def test_limit_accepts_a_whole_number_in_any_notation(
    run: Cli, tmp_path: Path, limit: str, axis: str
) -> None:
    (tmp_path / "n.csv").write_text("n\n1\n2\n")
    manifest = """\
        version: 1
        name: m
        limits: {max_workflows: LIMIT}
        workflows:
          - {workflow: f, queue: q, args: ["${{ x }}"], matrix: {x: AXIS}}
        """.replace("AXIS", axis)
    write(tmp_path, manifest.replace("LIMIT", limit))
    assert "with 2 workflows" in run("validate", "m.yaml").out
    write(tmp_path, manifest.replace("LIMIT", limit.replace("2", "1")))
    done = run("validate", "m.yaml")
    assert done.code == 1
    assert "exceed the limit of 1" in done.out


PRIORITIES = {
    "entry": """\
        version: 1
        name: m
        workflows: [{id: a, workflow: f, queue: q, priority: 10.0}]
        """,
    "defaults": """\
        version: 1
        name: m
        defaults: {queue: q, priority: 1.0e+1}
        workflows: [{id: a, workflow: f}]
        """,
    "catalog": """\
        version: 1
        name: m
        catalog: {f: {queue: q, priority: 1e1}}
        workflows: [{id: a, workflow: f}]
        """,
    "expression": """\
        version: 1
        name: m
        vars: {p: 1e1}
        workflows: [{id: a, workflow: f, queue: q, priority: "${{ vars.p }}"}]
        """,
    "axis": """\
        version: 1
        name: m
        workflows: [{id: a, workflow: f, queue: q, priority: "${{ p }}", matrix: {p: [1e1]}}]
        """,
}


@pytest.mark.parametrize("place", PRIORITIES)
def test_priority_accepts_a_whole_number_in_any_notation(run_db: Cli, tmp_path: Path, place: str) -> None:
    write(tmp_path, PRIORITIES[place])
    assert run_db("apply", "m.yaml").code == 0
    write(
        tmp_path,
        """\
        version: 1
        name: m
        workflows: [{id: a, workflow: f, queue: q, priority: 10}]
        """,
    )
    done = run_db("plan", "m.yaml", "--verify")
    assert "1 unchanged" in done.out


def test_range_accepts_whole_numbers_in_any_notation(run: Cli, tmp_path: Path) -> None:
    write(
        tmp_path,
        """\
        version: 1
        name: m
        workflows:
          - workflow: f
            queue: q
            id: "a-${{ n | pad(1e0) }}"
            args: ["${{ n }}"]
            matrix: {n: {range: {start: 1.0, stop: 3e0, step: 1}}}
        """,
    )
    lines = run("expand", "m.yaml", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a-1", "a-2"]
    assert '"args":[1]' in lines[0]


@pytest.mark.parametrize("number", TOO_LARGE)
@pytest.mark.parametrize(
    ("default", "given"), [("1.5", "N"), ("1", "N"), ("[]", "[1, [N]]"), ("{a: 1}", '{"a": [N]}')]
)
def test_variable_outside_the_float_range_is_refused(
    run: Cli, tmp_path: Path, number: str, default: str, given: str
) -> None:
    write(
        tmp_path,
        f"""\
        version: 1
        name: m
        vars: {{x: {default}}}
        workflows:
          - {{id: a, workflow: f, queue: q}}
        """,
    )
    given = given.replace("N", number)
    for words in (["validate"], ["expand"]):
        done = run(*words, "m.yaml", "--var", f"x={given}")
        assert (done.code, done.out) == (2, ""), given
        assert "out of range" in done.err
    (tmp_path / "vars.yaml").write_text(f"x: {given}\n")
    assert run("validate", "m.yaml", "--vars-file", "vars.yaml").code == 2


@pytest.mark.parametrize("number", TOO_LARGE)
@pytest.mark.parametrize("operator", ["=", "!=", "<", ">="])
def test_selection_outside_the_float_range_is_refused(
    run: Cli, tmp_path: Path, number: str, operator: str
) -> None:
    write(
        tmp_path,
        """\
        version: 1
        name: m
        workflows:
          - {workflow: f, queue: q, args: ["${{ n }}"], matrix: {n: [1, 2.5]}}
        """,
    )
    done = run("expand", "m.yaml", "--select", f"n{operator}{number}")
    assert (done.code, done.out) == (2, "")
    assert "out of range" in done.err


def test_selection_compares_integers_outside_the_float_range(run: Cli, tmp_path: Path) -> None:
    large = 10**400
    write(
        tmp_path,
        """\
        version: 1
        name: m
        workflows:
          - {workflow: f, queue: q, id: one, args: ["${{ n }}"], matrix: {n: [LARGE]}}
          - {workflow: f, queue: q, id: two, args: ["${{ n }}"], matrix: {n: [2.5]}}
        """.replace("LARGE", str(large)),
    )
    assert run("expand", "m.yaml", "-o", "ids", "--select", f"n={large}").out == "one\n"
    assert run("expand", "m.yaml", "-o", "ids", "--select", "n<3").out == "two\n"
