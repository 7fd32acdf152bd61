"""Test that no value from any source controls a terminal, a CI runner or a page that shows an output."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from cli_harness import Cli, Run
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

FRAGMENTS = [
    "::stop-commands::x", "\n::stop-commands::x", "\r::add-mask::x",
    "::set-output name=plan;::x", " ::error::x", "\x85::debug::x",
    "##[add-mask]x", "##[group]x", "##vso[task.setvariable variable=x]y", "##teamcity[buildStop]", "#",
    "\x1b[2J", "\x1b]0;title\x07", "\x9b2J", "\x08", "\x7f", "\u202e", "\u2028::notice::x", "\u200b",
    "\U000e0041", "\nFORGED", "section_start:1:x\r\x1b[0K", "@octo/team", "#123", "!7", "&8", "%9",
    "octo@example.com",
    "<img src=x>", "<script>", "</details>", "</code>", "<!--", "]]>", "&lt;", "&#64;octo", "|", "`", "``` ",
    "[a](https://example.com)", "https://example.com", "www.example.com", "**", "_", "\\", '"', "'", "{", "}",
    "%0A", "%25", ",", ":", " ", "\t", "é", "漢", "😀", "a",
]  # fmt: skip
VALUES = st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=6).map("".join)
PLAN = ("text", "json", "jsonl", "ids", "github", "sarif", "junit", "markdown")
APPLY = ("text", "json", "jsonl", "github", "sarif", "junit", "markdown")


def commands_of(log: str) -> Iterator[str]:
    """Yield the lines that a runner takes for commands, except for annotations of a file.

    Source: actions/runner, ActionCommand.cs: `::name::` after white space, `##[name]` anywhere in a line.
    Azure and TeamCity have a word before the bracket.
    """
    for line in log.replace("\r\n", "\n").split("\n"):
        text = line.lstrip()
        if text.startswith("::") and "::" in text[2:]:
            if not re.match(r"::(error|warning|notice) file=", text):
                yield line
        elif re.search(r"##\w*\[", line):
            yield line


def check_log(log: str) -> None:
    """Check what a terminal or runner shows: no command, no hidden character, no forged line."""
    assert not list(commands_of(log))
    hidden = {c for c in log if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")}
    assert hidden <= {"\n"}
    assert not [line for line in log.split("\n") if line.lstrip().startswith("FORGED")]


class _Page(HTMLParser):
    """The tags and the text of a page, with the text of code apart."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.depth = 0  # of code
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs
        self.tags.add(tag)
        self.depth += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "code"

    def handle_data(self, data: str) -> None:
        self.text += data if not self.depth else " "

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


SAFE_TAGS = {
    "h3", "p", "strong", "ul", "li", "code", "details", "summary", "br", "table", "thead", "tbody", "tr",
    "th", "td",
}  # fmt: skip


def check_markdown(text: str) -> None:
    """Check with a parser that a page has our own tags only, and no mention, reference or link."""
    page = _Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    assert page.tags <= SAFE_TAGS
    assert page.depth == 0
    assert not re.findall(r"@\w|#\d|!\d|&\d|%\d|://|www\.", page.text)


def check_json(text: str) -> None:
    json.loads(text, parse_constant=pytest.fail)


def check_json_lines(text: str) -> None:
    for line in text.splitlines():
        check_json(line)


def check_yaml(text: str) -> None:
    assert isinstance(yaml.safe_load(text), list)


PARSERS: dict[str, Callable[[str], object]] = {
    "json": check_json,
    "sarif": check_json,
    "jsonl": check_json_lines,
    "junit": ElementTree.fromstring,
    "markdown": check_markdown,
    "yaml": check_yaml,
}


@pytest.fixture
def checked(run: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a function that runs a command as in a pipeline and checks all that it prints."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    def run_checked(*words: str) -> Run:
        done = run(*words)
        assert done.code != 70, done.err
        check_log(done.out)
        check_log(done.err)
        format = words[words.index("-o") + 1] if "-o" in words else "text"
        if done.out:
            PARSERS.get(format, str)(done.out)
        return done

    return run_checked


ATTEMPTS = itertools.count()


@pytest.fixture
def fresh(tmp_path: Path, sqlite_url: str) -> Callable[[str], tuple[Path, str]]:
    """Return a function that makes an empty folder and a new copy of a database."""
    original = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()

    def make(name: str = "x") -> tuple[Path, str]:
        base = tmp_path / str(next(ATTEMPTS))
        folder = base / name
        folder.mkdir(parents=True)
        (base / "jobs.sqlite").write_bytes(original)
        return folder, f"sqlite:///{base / 'jobs.sqlite'}"

    return make


def write_manifest(folder: Path, *entries: dict[str, object], **fields: object) -> str:
    document = {
        "version": 1,
        "name": "jobs",
        "defaults": {"queue": "q"},
        "workflows": list(entries),
        **fields,
    }
    path = folder / "jobs.yaml"
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return str(path)


Test = Callable[..., None]


def hostile(test: Test) -> Test:
    """Run a test with the fragments in three texts, and with random ones."""
    test = given(value=VALUES)(test)
    for number in (0, 1, 2):
        test = example(value="".join(FRAGMENTS[number::3]))(test)
    health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=2, deadline=None, suppress_health_check=health)(test)


def look(checked: Cli, path: str, url: str) -> None:
    """Run every command that only reads, in every format."""
    for format in ("text", "json", "github", "sarif", "junit", "markdown"):
        checked("validate", path, "-o", format)
    for format in PLAN:
        checked("plan", path, "-o", format, "--show-values", "--verify", "--database-url", url)
    checked("plan", path, "--against", "lock", "-o", "markdown")
    for format in ("text", "json", "ids"):
        checked("status", path, "-o", format, "--database-url", url)
    for verb in ("check", "verify"):
        for format in ("text", "json"):
            more = ["--database-url", url] if verb == "verify" else []
            checked("lock", verb, path, "-o", format, *more)


@hostile
def test_values_of_a_manifest(checked: Cli, fresh: Callable[..., tuple[Path, str]], value: str) -> None:
    folder, url = fresh()
    entry = {
        "id": value,
        "name": value,
        "workflow": value,
        "args": [value],
        "kwargs": {value: value},
        "attributes": {value: value},
        "matrix": {"a": [value]},
    }
    path = write_manifest(folder, entry, vars={"v": value})
    assert checked("validate", path).code == 0
    look(checked, path, url)
    for format in APPLY:
        checked("apply", path, "-o", format, "--database-url", url)
    write_manifest(folder, {**entry, "args": [1]})  # drift
    look(checked, path, url)
    for format in APPLY:
        checked("apply", path, "-o", format, "--database-url", url)
    for format in ("text", "json"):
        checked("explain", path, value, "-o", format, "--database-url", url)
    checked("expand", path, "--count")


@hostile
def test_formats_for_programs_keep_values(
    checked: Cli, fresh: Callable[..., tuple[Path, str]], value: str
) -> None:
    """Escapes are those of the format, so its parser returns the value; `--ids-from` reads `-o ids`."""
    folder, url = fresh()
    path = write_manifest(
        folder, {"id": value, "workflow": "f", "args": [value]}, {"id": "b", "workflow": "f"}
    )
    specs = [json.loads(line) for line in checked("expand", path, "-o", "jsonl").out.splitlines()]
    assert (specs[0]["id"], specs[0]["args"]) == (value, [value])
    assert yaml.safe_load(checked("expand", path, "-o", "yaml").out)[0]["id"] == value.replace("${{", "$${{")
    listed = folder / "ids"
    for words in (["expand", path], ["plan", path, "--database-url", url]):
        listed.write_text(checked(*words, "-o", "ids").out, encoding="utf-8")
        again = checked("expand", path, "--ids-from", str(listed), "-o", "jsonl")
        assert [json.loads(line)["id"] for line in again.out.splitlines()] == [value, "b"]
    plan = checked("plan", path, "-o", "jsonl", "--database-url", url)
    assert json.loads(plan.out.splitlines()[0])["id"] == value
    assert checked("apply", path, "--database-url", url).code == 0
    status = checked("status", path, "-o", "json", "--database-url", url)
    assert status.json["workflows"][0]["id"] == value


@hostile
def test_values_of_an_invalid_manifest(
    checked: Cli, fresh: Callable[..., tuple[Path, str]], value: str
) -> None:
    """The message and the line of the file show them."""
    folder, _ = fresh()
    for document in (
        {value: value},
        {"version": 1, "name": value, "workflows": [{"id": "a"}]},
        {"version": 1, "name": "j", "workflows": [{"id": "a", value: value}, {"id": "a", "queue": [value]}]},
        {"version": 1, "name": "j", "workflows": [{"id": value, "workflow": "f"}] * 2},
        {"version": 1, "name": "j", "workflows": [{"id": "${{ nothing }}" + value, "workflow": "f"}]},
        {
            "version": 1,
            "name": "j",
            "catalog": {"f": {"args": {"items": {"enum": [value]}}}},
            "workflows": [{"id": "a", "workflow": "f", "args": [value + "x"]}],
        },
    ):
        path = folder / "jobs.yaml"
        path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        for format in ("text", "json", "github", "sarif", "junit", "markdown"):
            assert checked("validate", str(path), "-o", format).code == 1
        assert checked("expand", str(path)).code == 1
    (folder / "jobs.yaml").write_text(f"version: 1\n{value}\n", encoding="utf-8")
    for format in ("text", "json", "github", "sarif", "junit", "markdown"):
        assert checked("validate", str(path), "-o", format).code == 1


@hostile
def test_values_of_paths_and_options(
    checked: Cli, fresh: Callable[..., tuple[Path, str]], value: str
) -> None:
    name = value.replace("/", "_")
    folder, url = fresh(f"{name[:60]}x\udcff")
    path = write_manifest(folder, {"id": "a", "workflow": "f"})
    look(checked, path, url)
    for words in (
        ["validate", str(folder / value)],
        ["validate", path, "-o", value],
        ["validate", path, f"--{value}"],
        [value],
        ["expand", path, "--var", value],
        ["expand", path, "--var", f"{value}=1"],
        ["expand", path, "--select", value],
        ["expand", path, "--select", f"{value}=1"],
        ["expand", path, "--entry", value],
        ["expand", path, "--ids-from", str(folder / value)],
        ["explain", path, value],
        ["plan", path, "--target", value],
        ["plan", path, "--lockfile", str(folder / f"{name[:60]}.lock")],
        ["plan", path, "--database-url", value],
        ["plan", path, "--database-url", f"sqlite:///{folder}/{name[:60]}"],
        ["apply", str(folder), "--database-url", url],
        ["lock", "format", path],
    ):
        checked(*words)


@hostile
def test_values_of_lockfiles_and_saved_plans(
    checked: Cli, fresh: Callable[..., tuple[Path, str]], value: str
) -> None:
    folder, url = fresh()
    path = write_manifest(folder, {"id": "a", "workflow": "f"})
    lockfile, plan = folder / "jobs.lock.jsonl", folder / "plan.jsonl"
    assert checked("plan", path, "--out", str(plan), "--database-url", url).code == 0
    assert checked("apply", path, "--database-url", url).code == 0
    for file in (lockfile, plan):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for number, line in enumerate(lines):
            for key in [*line, value]:
                changed = [*lines[:number], {**line, key: value}, *lines[number + 1 :]]
                file.write_text("".join(f"{json.dumps(one)}\n" for one in changed))
                if file is plan:
                    checked("apply", str(plan), "--database-url", url)
                    continue
                checked("plan", path, "--database-url", url)
                checked("plan", path, "--against", "lock", "-o", "markdown")
                checked("lock", "check", path)
                checked("explain", path, "a")
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


ROWS = [
    "UPDATE workflow_status SET status = ?",
    "UPDATE workflow_status SET name = ?",
    "UPDATE workflow_status SET queue_name = ?",
    "UPDATE workflow_status SET serialization = ?",
    "UPDATE workflow_status SET attributes = ?",
    "UPDATE workflow_status SET authenticated_roles = ?",
    "UPDATE workflow_input SET inputs = ?",
    "UPDATE workflow_status SET status = 'ERROR', completed_at = 1; INSERT INTO workflow_output "
    "(workflow_uuid, error, retention_timestamp) VALUES ('a', ?, 1)",
    "UPDATE workflow_status SET status = 'SUCCESS', completed_at = 1; INSERT INTO workflow_output "
    "(workflow_uuid, output, retention_timestamp) VALUES ('a', ?, 1)",
    "INSERT INTO application_versions (version_id, version_name, version_timestamp) "
    "VALUES (?, hex(randomblob(9)), 1)",
]  # fmt: skip


@pytest.mark.parametrize("change", ROWS)
@hostile
def test_values_of_the_database(
    checked: Cli, fresh: Callable[..., tuple[Path, str]], change: str, value: str
) -> None:
    folder, url = fresh()
    path = write_manifest(folder, {"id": "a", "workflow": "f", "attributes": {"k": 1}})
    assert checked("apply", path, "--database-url", url).code == 0
    *first, last = change.split("; ")
    for text in (value, json.dumps({"name": value, "message": value})):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("DELETE FROM workflow_output")
            for statement in first:
                connection.execute(statement)
            connection.execute(last, [text])
        connection.close()
        for format in ("text", "json"):
            checked("status", path, "-o", format, "--database-url", url)
            checked("explain", path, "a", "-o", format, "--database-url", url)
            checked("doctor", "-o", format, "--database-url", url)
            checked("lock", "verify", path, "-o", format, "--database-url", url)
        for format in ("text", "jsonl", "github", "junit", "markdown"):
            checked("plan", path, "-o", format, "--show-values", "--verify", "--database-url", url)
        checked("apply", path, "--wait", "--wait-timeout", "0s", "--database-url", url)
