"""Check that following the hint of an error leads to a valid manifest."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from cli_harness import Cli

MANIFEST = """\
version: 1
name: hints
vars: {n: 3, text: x}
workflows:
  - ENTRY
"""


@pytest.mark.parametrize(
    ("entry", "hint", "followed"),
    [
        ("{id: a, args: x}", 'write `args: ["x"]`', '{id: a, args: ["x"]}'),
        ("{id: a, args: 'a \"b\"'}", 'write `args: ["a \\"b\\""]`', '{id: a, args: ["a \\"b\\""]}'),
        (
            "{id: a, authenticated_roles: 7}",
            'write `authenticated_roles: ["7"]`',
            '{id: a, authenticated_roles: ["7"]}',
        ),
        ("{id: 007}", 'write it in quotes: "007"', '{id: "007"}'),
        ("{id: 0x1F}", 'write it in quotes: "0x1F"', '{id: "0x1F"}'),
        ("{id: True}", 'write it in quotes: "True"', '{id: "True"}'),
        (
            "{id: a, application_version: 3.10}",
            'write it in quotes: "3.10"',
            '{id: a, application_version: "3.10"}',
        ),
        ('{id: a, args: ["C:\\Users\\x"]}', "use single quotes", "{id: a, args: ['C:\\Users\\x']}"),
        ('{id: a, args: ["\\d+"]}', "use single quotes", "{id: a, args: ['\\d+']}"),
        (
            '{id: "${{ c.nmae }}", matrix: {c: {file: {path: c.csv}}}}',
            "did you mean `name`?",
            '{id: "${{ c.name }}", matrix: {c: {file: {path: c.csv}}}}',
        ),
        (
            '{id: "a-${{ c.x }}", matrix: {c: [{x: 1}, {y: 2}]}}',
            "expected one of: y",
            '{id: "a-${{ c.x | default(2) }}", matrix: {c: [{x: 1}, {y: 2}]}}',
        ),
        (
            '{id: "a-${{ c[2] }}", matrix: {c: [[1, 2]]}}',
            "the first item is `[0]`",
            '{id: "a-${{ c[1] }}", matrix: {c: [[1, 2]]}}',
        ),
        ("{id: a, args: [0o17]}", 'write 15, or in quotes "0o17"', '{id: a, args: ["0o17"]}'),
        ("{id: a, args: [0o17]}", 'write 15, or in quotes "0o17"', "{id: a, args: [15]}"),
        ("{id: a, args: [0755]}", 'write 755, or in quotes "0755"', "{id: a, args: [755]}"),
        ("{id: a, args: [1e400]}", "write it in quotes", '{id: a, args: ["1e400"]}'),
        (
            '{id: "${{ vars.n }}"}',
            "append `| str` to the expression",
            '{id: "${{ vars.n | str }}"}',
        ),
        (
            "{id: a, matrix: {1: [x]}}",
            "start the name with a letter or `_`, such as `_1`",
            "{id: a, matrix: {_1: [x]}}",
        ),
        ("{id: a, kwargs: {1: x}}", 'write it as "1"', '{id: a, kwargs: {"1": x}}'),
        ("{id: a, matrix: {true: [x]}}", 'write it as "true"', '{id: a, matrix: {"true": [x]}}'),
        (
            '{id: a, application_version: "${{ vars.n }}"}',
            "append `| str` to the expression",
            '{id: a, application_version: "${{ vars.n | str }}"}',
        ),
        (
            '{id: a, args: "${{ vars.text }}"}',
            'write `args: ["${{ … }}"]`',
            '{id: a, args: ["${{ vars.text }}"]}',
        ),
        (
            '{id: a, kwargs: {"${{ vars.text }}": 1}}',
            "for a literal `${{` in a key, write `$${{`",
            '{id: a, kwargs: {"$${{ vars.text }}": 1}}',
        ),
    ],
)
def test_following_a_hint_makes_the_manifest_valid(
    run: Cli, tmp_path: Path, entry: str, hint: str, followed: str
) -> None:
    (tmp_path / "c.csv").write_text("id,name\n1,Ann\n")
    manifest = tmp_path / "jobs.yaml"
    template = MANIFEST.replace("workflows:", "defaults: {workflow: f, queue: q}\nworkflows:")
    manifest.write_text(template.replace("ENTRY", entry))
    done = run("validate", "jobs.yaml", "--strict")
    assert done.code == 1
    assert done.out.count("  help: ") == 1
    assert hint in done.out
    manifest.write_text(template.replace("ENTRY", followed))
    done = run("validate", "jobs.yaml", "--strict")
    assert (done.code, done.out) == (0, done.out), done.out


DAYS = "start: 2026-01-01, end: 2026-01-02"


@pytest.mark.parametrize(
    ("axis", "hint", "followed"),
    [
        (
            f"date_range: {{{DAYS}, step: 1}}",
            "write one number and one unit",
            f"date_range: {{{DAYS}, step: 1d}}",
        ),
        (
            "date_range: {start: 2026, end: 2026-02-01}",
            'write a date or a date-time in quotes: "2026-01-31"',
            'date_range: {start: "2026-01-31", end: 2026-02-01}',
        ),
        (
            f"date_range: {{{DAYS}, timezone: 1}}",
            "write an IANA name, such as `Europe/Berlin`",
            f"date_range: {{{DAYS}, timezone: Europe/Berlin}}",
        ),
        (
            f"cron: {{{DAYS}, schedule: 5}}",
            'write 5 or 6 fields in quotes: "0 5 * * *"',
            f'cron: {{{DAYS}, schedule: "0 5 * * *"}}',
        ),
        (
            "file: {path: t.csv, delimiter: 10}",
            'write one character in double quotes: `";"`',
            'file: {path: s.csv, delimiter: ";"}',
        ),
        (
            "file: {path: t.csv, delimiter: tab}",
            'or `"\\t"` for a tab',
            'file: {path: t.csv, delimiter: "\\t"}',
        ),
        ('file: {path: ""}', "write the path of the file", "file: {path: c.csv}"),
    ],
)
def test_following_a_hint_about_an_axis_makes_the_manifest_valid(
    run: Cli, tmp_path: Path, axis: str, hint: str, followed: str
) -> None:
    for name, delimiter in (("c.csv", ","), ("s.csv", ";"), ("t.csv", "\t")):
        (tmp_path / name).write_text("id,name\n1,Ann\n".replace(",", delimiter))
    entry = '{workflow: f, queue: q, id: "a-${{ c | json }}", matrix: {c: {AXIS}}}'
    manifest = tmp_path / "jobs.yaml"
    manifest.write_text(MANIFEST.replace("ENTRY", entry).replace("AXIS", axis))
    done = run("validate", "jobs.yaml", "--strict")
    assert done.code == 1
    assert done.out.count("  help: ") == 1
    assert hint in done.out
    manifest.write_text(MANIFEST.replace("ENTRY", entry).replace("AXIS", followed))
    done = run("validate", "jobs.yaml", "--strict")
    assert done.code == 0, done.out


def test_hint_for_a_size_without_unit_shows_a_unit(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(
        dedent(
            """\
            version: 1
            name: hints
            limits: {max_input_bytes: 1000}
            workflows: []
            """
        )
    )
    assert "help: write a size with its unit: `64KiB`" in run("validate", "jobs.yaml").out


def test_missing_delimiter_is_named_in_the_message(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id;name\n1;Ann\n")
    entry = '{workflow: f, id: a, matrix: {c: {file: {path: c.csv, delimiter: "\\t"}}}}'
    (tmp_path / "jobs.yaml").write_text(MANIFEST.replace("ENTRY", entry))
    assert "c.csv:1: expected a tab in the first line; the file" in run("validate", "jobs.yaml").out


@pytest.mark.parametrize("value", ["3", "{id: a}", "text"])
def test_hint_for_workflows_that_are_not_a_list(run: Cli, tmp_path: Path, value: str) -> None:
    (tmp_path / "jobs.yaml").write_text(
        dedent(
            f"""\
            version: 1
            name: hints
            workflows: {value}
            """
        )
    )
    done = run("validate", "jobs.yaml")
    assert "help: write one `- ` line for each item of `workflows`" in done.out


def test_following_the_hint_about_a_shared_lockfile_works(run_db: Cli, tmp_path: Path) -> None:
    for number, name in enumerate(("a.yaml", "a.yml")):
        (tmp_path / name).write_text(
            dedent(
                f"""\
                version: 1
                name: n{number}
                workflows: [{{id: i{number}, workflow: f, queue: q}}]
                """
            )
        )
    done = run_db("apply", ".")
    assert done.code == 2
    assert (
        "run the command once for each manifest with its own --lockfile, or rename one of the files"
        in done.err
    )
    assert run_db("apply", "a.yaml", "--lockfile", "one.jsonl").code == 0
    assert run_db("apply", "a.yml", "--lockfile", "two.jsonl").code == 0
