"""Test which files are read, and that empty values never mean a default."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli_harness import Cli

MANIFEST = """\
version: 1
name: NAME
workflows:
  - {id: NAME-1, workflow: ingest, queue: etl}
"""
CONTRACT = """{"type": "object", "properties": {"version": {}, "workflows": {}}, "title": "of a workflow"}"""


def manifest(name: str) -> str:
    return MANIFEST.replace("NAME", name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.yaml", manifest("x").encode()),
        ("upper.YAML", manifest("x").encode()),
        ("short.yml", manifest("x").encode()),
        ("bom.yaml", b"\xef\xbb\xbf" + manifest("x").encode()),
        ("cr.yaml", manifest("x").replace("\n", "\r").encode()),
        ("crlf.yaml", manifest("x").replace("\n", "\r\n").encode()),
        ("indented.yaml", manifest("x").replace("\n", "\n  ").replace("version", "  version", 1).encode()),
        ("flow.yaml", b"--- {version: 1, name: x, workflows: [{id: x-1, workflow: w, queue: q}]}"),
        ("question.yaml", manifest("x").replace("version:", "? version\n:").encode()),
        ("quoted.yaml", manifest("x").replace("version", "'version'").encode()),
        ("escaped.yaml", manifest("x").replace("workflows", '"\\x77orkflows"').encode()),
        ("tagged.yaml", manifest("x").replace("version", "!!str version").encode()),
        ("second.yaml", b"a: 1\n---\n" + manifest("x").encode()),
        (
            "m.json",
            b'{"version": 1, "name": "x", "workflows": [{"id": "x-1", "workflow": "w", "queue": "q"}]}',
        ),
    ],
)
def test_folder_expands_to_every_manifest_below_it(
    run: Cli, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / "jobs" / "deep").mkdir(parents=True)
    (tmp_path / "jobs" / "deep" / name).write_bytes(content)
    done = run("expand", "jobs", "-o", "ids")
    assert (done.code, done.out) == (0, "x-1\n"), done.err


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("latin.yaml", manifest("x\xe9").encode("latin-1"), "encoding"),
        ("utf16.yaml", manifest("x").encode("utf-16"), "encoding"),
        ("control.yaml", manifest("x\x08").encode(), "yaml-syntax"),
        ("colon.yaml", manifest("x").replace("version:", "version").encode(), "yaml-syntax"),
        ("bracket.yaml", manifest("x").replace("}", "").encode(), "yaml-syntax"),
        ("broken.json", b'{"version": 1, "name": "x", "workflows": [}', "yaml-syntax"),
        ("twice.json", b'{"version": 1, "version": 1, "name": "x", "workflows": []}', "duplicate-key"),
        ("missing.yaml", manifest("x").replace("version: 1\n", "").encode(), "missing-key"),
        ("typo.yaml", manifest("x").replace("workflows", "worklfows").encode(), "unknown-key"),
        ("number.yaml", b"version: 1\nname: x\nworkflows: 3\n", "wrong-type"),
        ("both.yaml", manifest("x").replace("version: 1\n", "").replace("}", "").encode(), "yaml-syntax"),
        ("item.yaml", b"name: x\nWorkflows:\n- id: a\n  workflow: w\n\tqueue: q\n", "yaml-syntax"),
        ("both.json", b'{"name": "x", "workflows": [{"workflow": "w"},]}', "yaml-syntax"),
        ("map.yaml", b"name: x\nworkflows:\n  a: {workflow: w, queue: q}\n", "missing-key"),
        ("merge.yaml", (manifest("x") + "<<: {a: 1}\n").encode(), "merge-key"),
    ],
)
def test_broken_manifest_in_a_folder_is_an_error(
    run: Cli, tmp_path: Path, name: str, content: bytes, code: str
) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "good.yaml").write_text(manifest("good"))
    (tmp_path / "jobs" / name).write_bytes(content)
    done = run("validate", "jobs")
    assert done.code == 1
    assert f"error[{code}]" in done.out
    assert f"jobs/{name}" in done.out


OTHERS = {
    "contract.json": CONTRACT,
    "rows.json": '[{"workflow": "w", "version": 1}]',
    "vars.yaml": "version: 3\nworkflow: ingest\n",
    "merge.yaml": "a: &a {workflow: 1}\nb: {<<: *a}\n",
    "broken.yaml": "a workflow: [\n",
    "template.yaml": "{{ if .workflows }}\nversion: {{ .version }}\n",
    "package.json": '{"name": "x", "version": "1.0", "description": "a workflow"}',
    "other.yaml": "workflows: {build: {steps: []}}\n",
}


def test_files_in_a_folder_that_are_not_manifests_are_skipped(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(manifest("good"))
    for name, content in OTHERS.items():
        (tmp_path / name).write_text(content)
    done = run("validate", ".")
    assert (done.code, done.out) == (0, "ok: 1 file, 1 manifest with 1 workflow\n")


@pytest.mark.parametrize("kind", ["dangling", "pipe"])
def test_file_that_cannot_be_opened_is_an_error(run: Cli, tmp_path: Path, kind: str) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "good.yaml").write_text(manifest("good"))
    if kind == "pipe":
        os.mkfifo(tmp_path / "jobs" / "bad.yaml")
    else:
        (tmp_path / "jobs" / "bad.yaml").symlink_to("nowhere")
    done = run("validate", "jobs")
    assert done.code == 2
    assert "jobs/bad.yaml" in done.err


def test_links_are_followed_and_each_folder_is_read_once_only(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "jobs" / "shared").mkdir(parents=True)
    (tmp_path / "jobs" / "shared" / "x.yaml").write_text(manifest("x"))
    (tmp_path / "jobs" / "link").symlink_to("shared")
    (tmp_path / "jobs" / "loop").symlink_to(".")
    done = run("expand", "jobs", "-o", "ids")
    assert (done.code, done.out) == (0, "x-1\n"), done.err


@pytest.mark.parametrize(
    "words",
    [
        ("validate", ""), ("plan", "good.yaml", ""), ("apply", ""), ("expand", ""),
        ("explain", "", "good.yaml"),
        ("lock", "check", ""), ("init", ""), ("doctor", "--role", ""), ("doctor", "--schema", ""),
        ("plan", "good.yaml", "--target", ""), ("plan", "good.yaml", "--lockfile", ""),
        ("plan", "good.yaml", "--allow", ""), ("plan", "good.yaml", "--out", ""),
        ("plan", "good.yaml", "--database-url", ""), ("validate", "good.yaml", "--vars-file", ""),
        ("validate", "good.yaml", "--var", ""), ("validate", "good.yaml", "--var", "=x"),
        ("validate", "good.yaml", "--select", ""), ("validate", "good.yaml", "--entry", ""),
        ("validate", "good.yaml", "--ids-from", ""), ("validate", "good.yaml", "-o", ""),
    ],
)  # fmt: skip
def test_empty_arguments_are_refused(run: Cli, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "good.yaml").write_text(manifest("good"))
    done = run(*words)
    assert done.code == 2, done
    assert "mpty" in done.err or "NAME=VALUE" in done.err or "is not one of" in done.err


def test_empty_environment_variables_are_refused(
    run: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "good.yaml").write_text(manifest("good"))
    for name in ("TARGET", "LOCKFILE", "STRICT", "OUT"):
        with monkeypatch.context() as context:
            context.setenv(f"DBOS_MANIFEST_{name}", "")
            done = run("plan", "good.yaml", "--against", "lock")
            assert done.code == 2
            assert f"DBOS_MANIFEST_{name} is set but empty" in done.err
    monkeypatch.setenv("DBOS_MANIFEST_TARGET", "")
    assert run("plan", "good.yaml", "--against", "lock", "--target", "prod").code == 0


ENTRIES = """\
version: 1
name: jobs
vars: {greeting: hi, end: z}
defaults: {queue: etl, workflow: f, args: ["${{ vars.greeting }}", "${{ vars.end }}"]}
workflows:
  - {id: right, name: smoke test}
  - {id: wrong-1, name: smoke}
  - {id: wrong-2, name: test}
"""


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("VAR", "greeting=hello world", ("--var", "greeting=hello world")),
        ("VAR", "greeting=a end=b", ("--var", "greeting=a end=b")),
        ("VAR", "greeting=a b\r\nend=c d\n", ("--var", "greeting=a b", "--var", "end=c d")),
        ("VAR", "greeting=a\u2028b", ("--var", "greeting=a\u2028b")),
        ("ENTRY", "smoke test", ("--entry", "smoke test")),
        ("ENTRY", "smoke\ntest", ("--entry", "smoke", "--entry", "test")),
        ("SELECT", "id = right", ("--select", "id = right")),
        ("VARS_FILE", "my vars/a:b.yaml", ("--vars-file", "my vars/a:b.yaml")),
        ("IDS_FROM", "my vars/ids", ("--ids-from", "my vars/ids")),
    ],
)
def test_environment_variables_work_like_command_line_options(
    run: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    words: tuple[str, ...],
) -> None:
    (tmp_path / "jobs.yaml").write_text(ENTRIES)
    (tmp_path / "my vars").mkdir()
    (tmp_path / "my vars" / "a:b.yaml").write_text("greeting: x\n")
    (tmp_path / "my vars" / "ids").write_text("right\n")
    expected = run("expand", "jobs.yaml", *words)
    assert expected.code == 0, expected.err
    monkeypatch.setenv(f"DBOS_MANIFEST_{variable}", value)
    assert run("expand", "jobs.yaml") == expected


EMPTY_ID = """\
version: 1
name: jobs
vars: {run: ""}
defaults: {queue: etl, workflow: f}
workflows:
  - ENTRY
"""


@pytest.mark.parametrize(
    "entry",
    [
        """{id: "${{ c.id }}", matrix: {c: [{id: a}, {id: ""}]}}""",
        """{id: "${{ c.id }}", matrix: {c: [{id: a}, {id: null}]}}""",
        """{id: "${{ c | slug }}", matrix: {c: [東京, x]}}""",
        """{id: "${{ vars.run }}"}""",
        """{id: "${{ vars.run }}${{ c }}", matrix: {c: ["", x]}}""",
        """{id: ""}""",
        """{id: " "}""",
        """{id: "${{ q }}-x", queue: "${{ q }}", matrix: {q: [a, ""]}}""",
        """{id: "${{ q }}-x", workflow: "${{ q }}", matrix: {q: [a, ""]}}""",
        """{id: "${{ q }}-x", deduplication_id: "${{ q }}", matrix: {q: [a, ""]}}""",
    ],
)
def test_empty_ids_and_texts_are_errors(run: Cli, tmp_path: Path, entry: str) -> None:
    (tmp_path / "jobs.yaml").write_text(EMPTY_ID.replace("ENTRY", entry))
    done = run("validate", "jobs.yaml")
    assert done.code == 1
    assert done.out.count("error[") == 1
    assert "error[invalid-text]" in done.out
    assert run("expand", "jobs.yaml", "-o", "ids").out == ""
