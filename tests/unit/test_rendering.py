"""Test that plans and results are rendered from data alone, without a database driver."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rendered_formats import render_apply, render_plan

PLAN_FORMATS = ["text", "json", "jsonl", "ids", "markdown", "diagnostics", "github", "sarif", "junit"]
APPLY_FORMATS = ["text", "json", "jsonl", "markdown", "github", "sarif", "junit"]


WITHOUT_DRIVERS = """\
import sys
sys.modules |= dict.fromkeys(["sqlalchemy", "psycopg", "sqlite3", "tenacity"])  # an import of them fails
"""


def run_without_drivers(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process that cannot import a database driver."""
    words = [sys.executable, "-c", WITHOUT_DRIVERS + program]
    return subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def rendered() -> dict[str, dict[str, str]]:
    """What such a process renders."""
    done = run_without_drivers(
        "import json, rendered_formats as r\n"
        "print(json.dumps({'plan': r.render_plan(), 'apply': r.render_apply()}))"
    )
    assert done.returncode == 0, done.stderr
    texts: dict[str, dict[str, str]] = json.loads(done.stdout)
    return texts


@pytest.mark.parametrize("format", PLAN_FORMATS)
def test_plan_is_rendered_without_a_driver(rendered: dict[str, dict[str, str]], format: str) -> None:
    text = rendered["plan"][format]
    assert text == render_plan()[format]
    assert ("new" if format == "ids" else "moved") in text


@pytest.mark.parametrize("format", APPLY_FORMATS)
def test_result_is_rendered_without_a_driver(rendered: dict[str, dict[str, str]], format: str) -> None:
    text = rendered["apply"][format]
    assert text == render_apply()[format]
    assert "value too long" in text


@pytest.mark.parametrize("module", ["sqlalchemy", "dbos_manifest.system_db.database"])
def test_a_driver_cannot_be_imported_there(module: str) -> None:
    assert "ModuleNotFoundError" in run_without_drivers(f"import {module}").stderr
