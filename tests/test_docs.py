"""Check that statements of the documentation are true of the program."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

import click
import pytest
import yaml

from dbos_manifest.core import errors
from dbos_manifest.core.diagnostic import CODES

ROOT = Path(__file__).parent.parent
GENERATE = runpy.run_path(str(ROOT / "docs" / "generate.py"))
PAGES = GENERATE["PAGES"]
COMMANDS: dict[str, click.Command] = {
    " ".join(words): command
    for words, command in GENERATE["commands"]()
    if not isinstance(command, click.Group)
}


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_current(name: str) -> None:
    assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_diagnostic_code_has_a_section() -> None:
    text = (ROOT / "docs" / "reference" / "diagnostics.md").read_text(encoding="utf-8")
    assert re.findall(r"^### `(.+)`$", text, re.MULTILINE) == list(CODES)


def test_every_diagnostic_section_begins_with_the_severity_and_summary_of_its_code() -> None:
    text = (ROOT / "docs" / "reference" / "diagnostics.md").read_text(encoding="utf-8")
    stated = re.findall(r"^### `.+`\n\n(.+)$", text, re.MULTILINE)
    assert stated == [f"{info.severity.value.capitalize()}: {info.summary}." for info in CODES.values()]


@pytest.mark.parametrize("words", COMMANDS)
def test_help_has_two_examples_that_can_be_parsed(words: str) -> None:
    command = COMMANDS[words]
    examples = re.findall(rf"^  dbos-manifest {words}(.*)$", help_of(words), re.MULTILINE)
    assert len(examples) >= 2
    for example in examples:
        command.make_context(words, shlex.split(example))


@pytest.mark.parametrize("words", COMMANDS)
def test_help_fits_a_terminal_of_80_columns(words: str) -> None:
    assert [line for line in help_of(words).splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("words", COMMANDS)
def test_help_shows_every_option_in_a_section(words: str) -> None:
    """Only those that every command has are without one."""
    text = help_of(words)
    others = re.search(r"^Options:\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert others is not None
    assert re.findall(r"^  (-\S+)", others[1], re.MULTILINE) == ["--color", "-q,", "-h,"]
    for option in COMMANDS[words].params:
        assert isinstance(option, click.Argument) or option.opts[-1] in text


def help_of(words: str) -> str:
    """Return what `--help` prints on a terminal of 80 columns."""
    context = click.Context(
        COMMANDS[words],
        info_name=f"dbos-manifest {words}",
        terminal_width=80,
        help_option_names=["-h", "--help"],
    )
    return COMMANDS[words].get_help(context)


def test_every_exit_code_has_its_row() -> None:
    text = (ROOT / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    codes = {kind.exit_code for kind in all_errors(errors.ManifestToolError)}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == codes | {0, 10, 130}


def all_errors(kind: type[errors.ManifestToolError]) -> set[type[errors.ManifestToolError]]:
    """Return an exception class and all classes that derive from it."""
    return {kind}.union(*map(all_errors, kind.__subclasses__()))


def test_documented_hooks_exist() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [hook["id"] for hook in hooks] == ["dbos-manifest-validate"]


def test_compatibility_page_has_every_cell() -> None:
    """Each row has a cell for every SDK, written by `make compatibility`."""
    page = json.loads((ROOT / "docs" / "reference" / "compatibility.json").read_text(encoding="utf-8"))
    sdks = set(page["latest"]["releases"])
    assert sdks == {"python", "typescript", "go", "java", "rust"}
    for section in ("rules", "options", "schemas", "applications"):
        for row, cells in page[section].items():
            assert set(cells) == sdks, (section, row)
    for row, cells in page["clients"].items():
        assert set(cells) == sdks - {"python"}, row
    assert {release.split()[0] for release in page["releases"]} == sdks
    assert list(page["postgresql"]) == ["14", "15", "16", "17", "18"]
