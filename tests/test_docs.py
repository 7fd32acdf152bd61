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


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_current(name: str) -> None:
    assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_diagnostic_code_has_a_section() -> None:
    text = (ROOT / "docs" / "reference" / "diagnostics.md").read_text(encoding="utf-8")
    assert re.findall(r"^### `(.+)`$", text, re.MULTILINE) == list(CODES)


@pytest.mark.parametrize("words", GENERATE["EXAMPLES"])
def test_every_example_of_a_command_can_be_parsed(words: str) -> None:
    command = {" ".join(names): command for names, command in GENERATE["commands"]()}[words]
    for line in GENERATE["EXAMPLES"][words]:
        arguments = shlex.split(line.partition(" >")[0].removeprefix("> jobs/manifest.v1.schema.json"))
        command.make_context(words, arguments, resilient_parsing=True)


def test_every_command_has_an_example() -> None:
    commands = {" ".join(words): command for words, command in GENERATE["commands"]()}
    alone = {words for words, command in commands.items() if not isinstance(command, click.Group)}
    assert alone == set(GENERATE["EXAMPLES"])


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
