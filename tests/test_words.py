"""Check that texts use the plain words of their field.

`PHRASES` lists phrases that a reader stumbles over, and what to write instead. They are searched in pages,
schemas and golden files, in the help of every command, and in comments, strings and test names of programs.
"""

from __future__ import annotations

import io
import re
import textwrap
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from click.testing import CliRunner

from dbos_manifest.cli.main import cli

ROOT = Path(__file__).parent.parent
SCOPE = [
    "ARCHITECTURE.md",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "action.yml",
    "benchmarks",
    "ci",
    "dbos_manifest",
    "docs",
    "examples",
    "manifests",
    "schemas",
    "tests",
]
SKIPPED = {"tests/test_words.py": "lists the phrases"}
SUFFIXES = {
    ".github",
    ".in",
    ".json",
    ".jsonl",
    ".junit",
    ".markdown",
    ".md",
    ".mjs",
    ".py",
    ".sarif",
    ".sh",
    ".text",
    ".txt",
    ".yaml",
    ".yml",
}
PHRASES = {
    r"told|said|says": "report, print or describe",
    r"talks?|talking|asked|answers?|answered": "query, request, return or result",
    r"beside": "compared with, next to",
    r"mend|mends|mended": "fix",
    r"anew": "again, regenerate",
    r"at fault": "invalid, rejected",
    r"just so": "exactly",
    r"for ever": "permanently",
    r"go on|goes on|went on": "continue",
    r"stands? for|stood for": "expand to, mean",
    r"stands? in for": "replace, be returned instead",
    r"seen to end": "recorded as finished",
    r"tried again": "retried",
    r"all the same": "nevertheless",
    r"one a line": "one per line",
    r"of whom": "whose, which",
    r"nobody|somebody": "no one, another user",
    r"send|sends|sending|sent": "enqueue",
    r"is no [A-Z]+=[A-Z]+": "expected NAME=VALUE",
    r"stays? as it is|left as it is|is there already": "is unchanged, already exists",
    r"vouch(?:es|ed)? for": "already recorded",
    r"leaves? alone|left alone": "skip",
    r"looks? at|looked at|looking at": "inspect",
    r"pass(?:es|ed)? over": "ignore",
}
ALLOWED = {  # (path, phrase): the reason
    ("tests/e2e/sdks/servers.py", "nobody"): "the name of a user of the operating system",
    ("tests/e2e/sdks/test_runtime_rules.py", "nobody"): "the name of a workflow",
}
PATTERNS = [
    (re.compile(rf"(?<![\w`])(?:{phrase})(?![\w`])".replace(" ", r"\s+"), re.IGNORECASE), instead)
    for phrase, instead in PHRASES.items()
]
READ_BY_PEOPLE = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
OUTPUT = re.compile(r"^```(?:console|text)$.*?^```$", re.MULTILINE | re.DOTALL)


class Use(NamedTuple):
    """A phrase of the table in a file."""

    place: str
    phrase: str
    instead: str


def name_of(path: Path) -> str:
    """Return the path of a file below the root of the repository."""
    return str(path.relative_to(ROOT))


def files_in_scope() -> list[Path]:
    """Return the text files of `SCOPE`, sorted."""
    found: set[Path] = set()
    for name in SCOPE:
        path = ROOT / name
        found.update(path.rglob("*") if path.is_dir() else [path])
    return sorted(
        path
        for path in found
        if path.is_file()
        and (path.suffix in SUFFIXES or path.name == "Makefile")
        and name_of(path) not in SKIPPED
    )


def walk_commands(
    command: click.Command = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command with its words, groups included."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from walk_commands(child, (*path, name))


@pytest.mark.parametrize("path", files_in_scope(), ids=name_of)
def test_file_uses_plain_words(path: Path) -> None:
    uses = [use for use in find_phrases(path) if (name_of(path), use.phrase.lower()) not in ALLOWED]
    assert uses == []


@pytest.mark.parametrize("words", [words for words, _ in walk_commands()], ids=" ".join)
def test_help_uses_plain_words(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli, [*words, "--help"])
    assert shown.exit_code == 0
    assert find_phrases_in_text(shown.output, "help") == []


def test_every_allowed_phrase_occurs_and_has_a_reason() -> None:
    used = {(name_of(path), use.phrase.lower()) for path in files_in_scope() for use in find_phrases(path)}
    assert set(ALLOWED) <= used
    assert all(ALLOWED.values())


def test_phrases_are_found_in_comments_strings_and_test_names_of_a_program(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """\
            sent = 1  # is sent
            said = "not here" 'sent'
            def test_it_is_sent(): pass
            """
        ),
        encoding="utf-8",
    )
    assert [use.place.rpartition(":")[2] for use in find_phrases(program)] == ["1", "2", "3"]


def find_phrases(path: Path) -> list[Use]:
    """Return each use of a phrase in a file."""
    return [use for line, text in texts_of(path) for use in find_phrases_in_text(text, str(path), line)]


def find_phrases_in_text(text: str, source: str, first_line: int = 1) -> list[Use]:
    """Return each use of a phrase in a text, with its place in the source."""
    return [
        Use(f"{source}:{first_line + text.count(chr(10), 0, match.start())}", match[0], instead)
        for pattern, instead in PATTERNS
        for match in pattern.finditer(text)
    ]


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file that a person reads, each with its first line.

    In a program these are comments, strings and the names of tests. The output of commands in a page is left
    out: it is a copy of texts that are checked in the program.
    """
    text = path.read_text(encoding="utf-8", errors="replace")  # some cases are not UTF-8
    if path.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in READ_BY_PEOPLE:
                yield token.start[0], token.string
            elif token.type == tokenize.NAME and token.string.startswith("test_"):
                yield token.start[0], token.string.replace("_", " ")
    else:
        yield 1, OUTPUT.sub(lambda block: "\n" * block[0].count("\n"), text)
