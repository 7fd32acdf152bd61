"""Texts use the plain words of their field.

The table lists phrases that a reader stumbles over, and what to write instead. A file is checked when one of
the paths in `SCOPE` names it or a folder above it.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
SCOPE = [
    "README.md",
    "docs",
    "schemas/manifest.v1.schema.json",
]
SUFFIXES = {".md", ".in", ".py", ".json", ".yaml", ".yml", ".txt", ".jsonl"}
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
ALLOWED: dict[tuple[str, str], str] = {}  # (path, phrase): the reason
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


def files_in_scope() -> list[Path]:
    """Return the text files that `SCOPE` names, sorted."""
    found: set[Path] = set()
    for name in SCOPE:
        path = ROOT / name
        found.update(path.rglob("*") if path.is_dir() else [path])
    return sorted(path for path in found if path.suffix in SUFFIXES)


@pytest.mark.parametrize("path", files_in_scope(), ids=lambda path: str(path.relative_to(ROOT)))
def test_words_are_plain(path: Path) -> None:
    uses = [use for use in find_phrases(path) if (name_of(path), use.phrase.lower()) not in ALLOWED]
    assert uses == []


def test_each_exception_is_used_and_has_a_reason() -> None:
    used = {(name_of(path), use.phrase.lower()) for path in files_in_scope() for use in find_phrases(path)}
    assert set(ALLOWED) <= used
    assert all(ALLOWED.values())


def test_phrases_are_found_in_texts_of_a_program_and_not_in_its_names(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("sent = 1  # is sent\nsaid = \"it is\\n\" 'sent'\n", encoding="utf-8")
    assert [use.place.rpartition(":")[2] for use in find_phrases(program)] == ["1", "2"]


def find_phrases(path: Path) -> list[Use]:
    """Return each use of a phrase, with its place."""
    return [
        Use(f"{path}:{line + text.count(chr(10), 0, match.start())}", match[0], instead)
        for line, text in texts_of(path)
        for pattern, instead in PATTERNS
        for match in pattern.finditer(text)
    ]


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file that a person reads, each with its first line.

    Of a program these are comments and strings. The output and the help of commands in a page are copies of
    the program's texts, which are checked where they are written.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in READ_BY_PEOPLE:
                yield token.start[0], token.string
    else:
        yield 1, OUTPUT.sub(lambda block: "\n" * block[0].count("\n"), text)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))
