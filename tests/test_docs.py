"""What the documentation states is what the program does."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest
import yaml

from dbos_manifest.diagnostic import CODES

ROOT = Path(__file__).parent.parent
PAGES = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_code_has_its_section() -> None:
    text = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    assert re.findall(r"^### `(.+)`$", text, re.MULTILINE) == list(CODES)


def test_hooks_name_what_exists() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [hook["id"] for hook in hooks] == ["dbos-manifest-validate"]


def test_the_compatibility_page_is_whole() -> None:
    """Each row has a cell of every SDK, as `make compatibility` leaves it."""
    page = json.loads((ROOT / "docs" / "compatibility.json").read_text(encoding="utf-8"))
    sdks = set(page["latest"]["releases"])
    assert sdks == {"python", "typescript", "go", "java", "rust"}
    for section in ("rules", "options", "schemas", "applications"):
        for row, cells in page[section].items():
            assert set(cells) == sdks, (section, row)
    for row, cells in page["clients"].items():
        assert set(cells) == sdks - {"python"}, row
    assert {release.split()[0] for release in page["releases"]} == sdks
    assert list(page["postgresql"]) == ["14", "15", "16", "17", "18"]
