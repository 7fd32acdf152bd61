"""Parse outputs as a terminal, a CI runner or a page does, and check that no value controls it."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import groupby

import pytest
import yaml
from html_page import check_page
from markdown_it import MarkdownIt

HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
STYLES = ("0", "1", "2", "31", "32", "33", "36")  # what the program itself uses: reset, bold, dim, colours
SAFE_TAGS = {
    "h3", "p", "strong", "ul", "li", "code", "details", "summary", "br", "table", "thead", "tbody", "tr",
    "th", "td",
}  # fmt: skip


def find_commands(log: str) -> Iterator[str]:
    """Yield the lines that a runner takes for commands, except for annotations of a file.

    Source: actions/runner, ActionCommand.cs: `::name::` after white space, `##[name]` anywhere in a line.
    Azure and TeamCity have a word before the bracket. GitLab has `section_start:1:name`, CR, ESC `[0K`.
    """
    for line in log.replace("\r\n", "\n").split("\n"):
        text = line.lstrip()
        if text.startswith("::") and "::" in text[2:]:
            if not re.match(r"::(error|warning|notice) file=", text):
                yield line
        elif re.search(r"##\w*\[", line) or re.search(r"section_(start|end):\d+:[\w.-]+.*\r\x1b\[0K", line):
            yield line


def check_log(log: str) -> None:
    """Check what a runner or a terminal shows: no command, no hidden character, no forged line."""
    assert not list(find_commands(log))
    hidden = {c for c in log if unicodedata.category(c) in HIDDEN}
    assert hidden <= {"\n"}
    assert not [
        line for line in log.split("\n") if line.lstrip().startswith(("FORGED", "::error file=forged"))
    ]


def check_coloured_log(log: str) -> None:
    """Check a log with colours: each escape code is one of the program's own, and is reset in its line."""
    for line in log.split("\n"):
        codes = re.findall(r"\x1b\[(\d+)m", line)
        assert set(codes) <= set(STYLES)
        assert not codes or codes[-1] == "0"
    check_log(re.sub(rf"\x1b\[(?:{'|'.join(STYLES)})m", "", log))


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
        assert not attrs or (tag in ("th", "td") and attrs == [("style", "text-align:right")])
        self.tags.add(tag)
        self.depth += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "code"

    def handle_data(self, data: str) -> None:
        self.text += data if not self.depth else " "

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def check_markdown(text: str) -> None:
    """Check that a page has our own tags only, and no mention, reference, link, broken table or quick action.

    Source: CommonMark and GitHub's tables; GitLab takes a line that begins with `/` for a command.
    """
    assert not re.search(r"^\s*/", text, re.MULTILINE)
    page = _Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    assert page.tags <= SAFE_TAGS
    assert page.depth == 0
    assert not re.findall(r"@\w|#\d|!\d|&\d|%\d|://|www\.", page.text)
    for is_table, lines in groupby(text.splitlines(), key=lambda line: line.startswith("|")):
        assert not is_table or len({line.count("|") for line in lines}) == 1


def check_json(text: str) -> None:
    """Check strict JSON: no NaN or Infinity."""
    json.loads(text, parse_constant=pytest.fail)


def check_json_lines(text: str) -> None:
    """Check strict JSON in each line."""
    for line in text.splitlines():
        check_json(line)


def check_sarif(text: str) -> None:
    """Check that no message has an embedded link.

    Source: SARIF 2.1.0, 3.11.6: `[text](target)`, also in plain text.
    """
    check_json(text)
    for result in json.loads(text)["runs"][0]["results"]:
        assert not re.search(r"\]\(", result["message"]["text"])


def check_ids(text: str) -> None:
    """Check that a line is an ID, or a JSON string."""
    for line in text.splitlines():
        assert not line.startswith('"') or isinstance(json.loads(line), str)


def check_csv(text: str) -> None:
    """Check that all rows have the same cells, and that a spreadsheet runs none as a formula.

    Source: OWASP, CSV injection.
    """
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def check_yaml(text: str) -> None:
    """Check a list of workflows in YAML."""
    assert isinstance(yaml.safe_load(text), list)


PARSERS: dict[str, Callable[[str], object]] = {
    "text": str,
    "csv": check_csv,
    "ids": check_ids,
    "github": str,
    "json": check_json,
    "sarif": check_sarif,
    "jsonl": check_json_lines,
    "junit": ElementTree.fromstring,
    "markdown": check_markdown,
    "html": check_page,
    "yaml": check_yaml,
}
