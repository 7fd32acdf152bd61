"""Check that every relative link of the documentation has a file and every anchor a heading."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from doc_pages import ROOT, all_pages

PAGES = [*all_pages(), ROOT / "ARCHITECTURE.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\(<?([^()\s>]+)>?\)")
HEADING = re.compile(r"^(#+) +(.+?)#* *$", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_has_a_target(page: Path) -> None:
    text = CODE.sub("", CODE_BLOCK.sub("", page.read_text(encoding="utf-8")))
    assert [link for link in LINK.findall(text) if not leads_somewhere(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_tests_exist(page: Path) -> None:
    names = re.findall(r"`(tests/[\w/]+\.py)`", page.read_text(encoding="utf-8"))
    assert [name for name in names if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", ["SECURITY.md", "docs/contributing/reliability.md"])
def test_every_guarantee_names_its_test(name: str) -> None:
    """Each row of a table whose last column is headed "checked by"."""
    blocks = (ROOT / name).read_text(encoding="utf-8").split("\n\n")
    tables = [block.splitlines() for block in blocks if "| checked by |" in block.partition("\n")[0]]
    rows = [row for _, _, *found in tables for row in found]
    assert rows
    for row in rows:
        last = row.removesuffix("|").rpartition(" | ")[2]
        files = [ROOT / path for path in re.findall(r"`(tests/(?:\w+/)*test_\w+\.py)`", last)]
        assert files, row
        for file in files:
            assert re.search(r"^(def test_|Test\w+ = )", file.read_text(encoding="utf-8"), re.MULTILINE), file


@pytest.mark.parametrize("page", [page for page in PAGES if page.is_relative_to(ROOT / "docs")], ids=name_of)
def test_links_in_docs_stay_below_docs(page: Path) -> None:
    """The site is built from docs/ alone."""
    text = CODE.sub("", CODE_BLOCK.sub("", page.read_text(encoding="utf-8")))
    inner = [link.partition("#")[0] for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]
    assert [link for link in inner if not (page.parent / link).resolve().is_relative_to(ROOT / "docs")] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_page_has_one_title(page: Path) -> None:
    text = CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
    assert [marks for marks, _ in HEADING.findall(text)].count("#") == 1


def test_link_to_a_missing_heading_is_found() -> None:
    assert leads_somewhere(ROOT / "README.md", "docs/tutorial.md#install")
    assert not leads_somewhere(ROOT / "README.md", "docs/tutorial.md#uninstall")
    assert not leads_somewhere(ROOT / "README.md", "docs/missing.md")


def leads_somewhere(page: Path, link: str) -> bool:
    """Return whether a link of a page is external, or its file and its heading exist."""
    if re.match(r"[a-z]+:", link):
        return True
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors_of(target.resolve()))


@cache
def anchors_of(page: Path) -> frozenset[str]:
    """Return the anchors of the headings that GitHub and mkdocs both generate."""
    text = CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for _, title in HEADING.findall(text)]
    return frozenset(github_anchor(title) for title in headings) & frozenset(
        mkdocs_anchor(title) for title in headings
    )


def github_anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def mkdocs_anchor(title: str) -> str:
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())
