"""Test which modules each command imports, because they decide how fast a command starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# Modules that make the start noticeably slower.
READING = {"click", "yaml", "_yaml", "jsonschema_rs", "orjson"}
EXPLAINING = {"jsonschema", "jsonschema_specifications", "attr", "attrs", "referencing", "rpds"}
DATABASE = {"sqlalchemy", "psycopg", "tenacity"}
SCHEDULES = {"croniter", "dateutil", "importlib.resources"}
SLOW = {"asyncio", "http", "importlib.metadata", "importlib.resources", "sqlite3", "xml"}
WATCHED = READING | EXPLAINING | DATABASE | SCHEDULES | SLOW | {"rich"}
GOOD = """\
version: 1
name: a
workflows:
  - {id: a, workflow: f, queue: q}
"""
CRON = """\
version: 1
name: a
workflows:
  - workflow: f
    queue: q
    id: "f-${{ tick }}"
    matrix:
      tick: {cron: {schedule: "0 * * * *", start: "2026-01-01T00:00:00Z", end: "2026-01-02T00:00:00Z"}}
"""
LOADED = """\
import json, sys
from dbos_manifest.cli.main import cli
from dbos_manifest.cli.error_boundary import run_guarded
code = run_guarded(cli, sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded_by(folder: Path, *words: str) -> set[str]:
    """Return the watched modules that a command imports."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    code, names = json.loads(done.stderr.splitlines()[-1])
    assert code in (0, 1), done.stderr
    return WATCHED & {*names}


@pytest.mark.parametrize(
    ("words", "manifest", "allowed"),
    [
        (["--help"], GOOD, {"click", "orjson"}),
        (["validate", "a.yaml"], GOOD, READING),
        (["expand", "a.yaml"], GOOD, READING),
        (["plan", "a.yaml", "--against", "lock"], GOOD, READING | DATABASE | SLOW),
        (["validate", "a.yaml"], CRON, READING | SCHEDULES),
        (["validate", "a.yaml"], GOOD.replace("queue", "quue"), READING | EXPLAINING | SLOW),
    ],
)
def test_command_imports_only_the_modules_it_needs(
    tmp_path: Path, words: list[str], manifest: str, allowed: set[str]
) -> None:
    (tmp_path / "a.yaml").write_text(manifest)
    assert loaded_by(tmp_path, *words) <= allowed
