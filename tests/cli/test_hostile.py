"""Test hostile manifests: they are refused in bounded time and memory, without touching other files."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

MAX_MB = 200
MAX_CPU_S = 300  # only stops endless loops; benchmarks measure the time

# Runs the program and uses an audit hook to record the files it opens and the calls it makes.
WATCHED = """
import json, sys
CALLS = ("socket.connect", "socket.getaddrinfo", "subprocess", "os.system", "os.exec", "pickle")
opened, called = set(), []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        opened.add(str(arguments[0]))
    elif event.startswith(CALLS) and (event, arguments[0]) != ("subprocess.Popen", sys.executable):
        called.append(event)
from dbos_manifest.cli.error_boundary import run_guarded
from dbos_manifest.cli.main import cli
import dbos_manifest.expansion.cron_ticks  # croniter asks the program `file` about Python when it is imported
sys.addaudithook(watch)
code = run_guarded(cli, ["validate", "-o", "json", "jobs.yaml"])
sys.stderr.write("\\n" + json.dumps({"opened": sorted(opened), "called": called}))
raise SystemExit(code)
"""


HEAD = """\
version: 1
name: hostile
defaults: {queue: q, workflow: f}
"""


class Verdict:
    def __init__(self, folder: Path) -> None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        done = subprocess.run(
            [sys.executable, "-c", WATCHED],
            cwd=folder,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S)),
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        self.codes = {found["code"] for found in json.loads(done.stdout)["diagnostics"]}
        seen = json.loads(done.stderr.splitlines()[-1])
        self.called: list[str] = seen["called"]
        inside = (str(folder), sys.prefix, sys.base_prefix, str(Path(__file__).parent.parent.parent))
        self.opened = [
            path
            for path in seen["opened"]
            if Path(path).is_absolute()
            and not path.startswith((*inside, os.devnull))
            and "zoneinfo" not in path
        ]
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        self.peak_mb = peak // 1024 if peak > before else 0


def judge(folder: Path, manifest: str) -> Verdict:
    (folder / "jobs.yaml").write_text(HEAD + manifest)
    verdict = Verdict(folder)
    assert verdict.called == []
    assert verdict.opened == []
    assert verdict.peak_mb < MAX_MB
    return verdict


def axis(source: str) -> str:
    return dedent(
        """\
        workflows:
          - id: "${{ a | str }}"
            matrix: {a: SOURCE}
        """
    ).replace("SOURCE", source)


def contract(schema: str) -> str:
    return dedent(
        """\
        catalog: {f: {args: SCHEMA}}
        workflows: [{id: x}]
        """
    ).replace("SCHEMA", schema)


def identifier(text: str) -> str:
    return dedent(
        """\
        workflows:
          - id: 'TEXT'
            matrix: {a: ['00']}
        """
    ).replace("TEXT", text)


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        (
            dedent(
                """\
                workflows:
                  - id: "${{ a }}-${{ b }}-${{ c }}"
                    matrix:
                      a: {range: {stop: 1000}}
                      b: {range: {stop: 1000}}
                      c: {range: {stop: 1000}}
                """
            ),
            "too-many-workflows",
        ),
        (axis("{range: {stop: 1000000000000000000000}}"), "too-many-workflows"),
        (axis("{range: {stop: 1.0e300, step: 1.0e-300}}"), "too-many-workflows"),
        (
            axis("{date_range: {start: '0001-01-01T00:00:00Z', end: '9999-12-31T00:00:00Z', step: 1s}}"),
            "too-many-workflows",
        ),
        (
            axis("{cron: {schedule: '* * * * * *', start: '2000-01-01', end: '2099-01-01'}}"),
            "too-many-workflows",
        ),
        (
            axis("{cron: {schedule: '* * * * 1', start: '2000-01-01', end: '2099-01-01'}}"),
            "too-many-workflows",
        ),
        (axis("{cron: {schedule: '0 0 31 2 *', start: '2000-01-01', end: '2099-01-01'}}"), "empty-axis"),
        (axis("{cron: {schedule: '0 0 * * *', start: '0001-01-01', end: '9999-01-01'}}"), "invalid-axis"),
        (identifier("${{ " * 50_000), "expression-syntax"),
        (identifier(f"${{{{ a{'[0]' * 900} }}}}"), "expression-syntax"),
        (identifier(f"${{{{ a | {'(' * 100_000} }}}}"), "expression-syntax"),
        (
            identifier(
                "${{ a | replace(''0'', ''SIXTY'') | replace(''0'', ''SIXTY'') | replace(''00'', ''MORE'') }}"
            )
            .replace("SIXTY", "0" * 60)
            .replace("MORE", "0" * 999),
            "expression-value",
        ),
        (
            dedent(
                """\
                workflows:
                  - id: "${{ a }}"
                    args: [MANY]
                    matrix: {a: {range: {stop: 99999}}}
                """
            ).replace("MANY", "'${{ a }}'," * 20_000),
            "too-large",
        ),
        (
            dedent(
                """\
                catalog: {f: {args: {items: {pattern: "^(a|a)*(a|a)*(a|a)*$"}}}}
                workflows: [{id: x, args: [LONG]}]
                """
            ).replace("LONG", "a" * 100_000 + "b"),
            "catalog-arguments",
        ),
        (contract("{pattern: '(a{1000}){1000}'}"), "catalog-schema"),
        (contract("{$ref: 'loop/loop/args.json'}"), "axis-file"),
        (contract("{$ref: '../args.json'}"), "outside-tree"),
        (contract("{$ref: 'file:///etc/passwd'}"), "remote-ref"),
        (contract("{$id: 'file:///etc/', $ref: 'passwd'}"), "remote-ref"),
        (axis("{file: {path: ../../../../../../etc/passwd, format: csv}}"), "outside-tree"),
        (axis("{file: {path: /etc/passwd, format: csv}}"), "outside-tree"),
        (axis("{file: {path: /proc/self/environ, format: csv}}"), "outside-tree"),
    ],
)
def test_manifest_that_would_exhaust_resources_is_refused(tmp_path: Path, manifest: str, code: str) -> None:
    assert code in judge(tmp_path, manifest).codes


def fill(path: Path, head: bytes, size: int) -> None:
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)


@pytest.mark.parametrize(
    ("content", "size", "code"),
    [
        (b"id\n", 10 * 2**30, "too-large"),
        (b"id\n", 200 * 2**20, "axis-file"),
        (b"id\n" + b"1\n" * 1_000_001, 0, "too-large"),
        (b"id\na\0b\n", 0, "axis-file"),
        (b"id,name\n1\n", 0, "axis-file"),
        (b"id,id\n1,2\n", 0, "axis-file"),
        (b'id\n"1\n2', 0, "axis-file"),
        ("id\nZürich\n".encode("latin-1"), 0, "axis-file"),
        ("id\nZürich\n".encode("utf-16"), 0, "axis-file"),
        (b'id\n"' + b"x\n" * 200_000 + b'"\n', 0, "axis-file"),
    ],
)
def test_harmful_axis_file_is_refused(tmp_path: Path, content: bytes, size: int, code: str) -> None:
    fill(tmp_path / "rows.csv", content, size or len(content))
    rows = (
        "{file: {path: rows.csv, select: {id: x}}}"
        if content.count(b"\n") > 10**6
        else "{file: {path: rows.csv}}"
    )
    assert code in judge(tmp_path, axis(rows)).codes
    (tmp_path / "rows.csv").unlink()  # the search for passwords reads all remaining files, even sparse ones


def test_links_outside_the_tree_and_pipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "rows.csv").write_text("id\nsecret\n")
    folder = tmp_path / "jobs"
    folder.mkdir()
    (folder / "link.csv").symlink_to(tmp_path / "outside" / "rows.csv")
    (folder / "folder").symlink_to(tmp_path / "outside")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.csv")
    for path, code in (
        ("link.csv", "outside-tree"),
        ("folder/rows.csv", "outside-tree"),
        ("pipe.csv", "axis-file"),
    ):
        assert code in judge(folder, axis(f"{{file: {{path: {path}}}}}")).codes
    (folder / "args.json").write_text(json.dumps({"allOf": [{"$ref": "loop/args.json"}]}))
    assert "too-large" in judge(folder, contract("{$ref: args.json}")).codes


def test_schema_references_are_neither_fetched_nor_read_outside_the_tree(tmp_path: Path) -> None:
    """The test server gets no connection, and the schema outside of the tree is not read."""
    (tmp_path / "outside.json").write_text("true")
    folder = tmp_path / "jobs"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/args.json"
        contracts: list[dict[str, Any]] = [
            {"$ref": url},
            {"$schema": url},
            {"$id": url, "$ref": "other.json"},
            {"$dynamicRef": url},
            {"items": {"anyOf": [{"$ref": url.replace("http:", "")}]}},
            {"$ref": (tmp_path / "outside.json").as_uri()},
            {"$ref": str(tmp_path / "outside.json")},
            {"$ref": "../outside.json"},
        ]
        for schema in contracts:
            codes = judge(folder, contract(json.dumps(schema))).codes
            assert codes & {"remote-ref", "outside-tree", "catalog-schema"}, schema
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("text", ["${{ vars.big }}${{ b }}", "${{ vars.big }}${{ b }}${{ a }}"])
def test_memory_is_bounded_for_many_long_texts(tmp_path: Path, text: str) -> None:
    """Each text is small enough for a row, but all together do not fit into memory."""
    manifest = dedent(
        """\
        vars: {big: LONG}
        workflows:
          - id: "${{ a }}-${{ b }}"
            args: ["TEXT"]
            matrix: {a: {range: {stop: 2}}, b: {range: {stop: 250}}}
        """
    )
    judge(tmp_path, manifest.replace("LONG", "x" * 900_000).replace("TEXT", text))


def test_memory_is_bounded_for_many_large_rows(tmp_path: Path) -> None:
    row = json.dumps({"n": "0", "pad": ["x" * 100] * 9_000})
    rows = (row.replace('"0"', f'"{number}"', 1) for number in range(100))
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    manifest = """\
        workflows:
          - id: "${{ a.n }}"
            matrix: {a: {file: {path: rows.jsonl, format: jsonl}}}
        """
    judge(tmp_path, dedent(manifest))
