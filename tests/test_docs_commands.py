"""Run the commands of the documentation and compare their output with the pages."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from doc_pages import ROOT, PageRun, all_pages, orders_worker, put_programs_first

WITH_WORKER = {ROOT / "README.md", ROOT / "docs" / "guides" / "backfills.md"}
PAGES = [page for page in all_pages() if "```console\n" in page.read_text(encoding="utf-8")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Create an empty folder and enter it."""
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.chdir(folder)
    put_programs_first(monkeypatch)
    yield folder


@pytest.fixture
def shop_url(folder: Path, sqlite_template: Path) -> str:
    """Create a system database with the registered queue `etl` in the folder."""
    shutil.copy(sqlite_template, "shop.sqlite")
    with sqlite3.connect("shop.sqlite") as connection:
        connection.execute("INSERT INTO queues (queue_id, name) VALUES ('etl', 'etl')")
    return "sqlite:///shop.sqlite"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_print_what_the_page_shows(
    page: Path,
    shop_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DBOS_SYSTEM_DATABASE_URL", shop_url)
    monkeypatch.setenv("COLUMNS", "80")
    worker = orders_worker(shop_url, tmp_path / "worker.log") if page in WITH_WORKER else nullcontext()
    with worker:
        PageRun(page, "python app.py", capsys).check()
