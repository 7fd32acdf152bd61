"""Check the laws of ARCHITECTURE.md against the sources: who imports what, and who reaches the outside world.

The table of folders in ARCHITECTURE.md is the only list of layers: this test reads it from there.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dbos_manifest"
ROW = re.compile(r"^\| `(?P<folder>\w+)/?` \| [^|]+ \|(?P<packages>[^|]*)\|$", re.MULTILINE)
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")

# Law 1: a module imports only from its own folder and from folders above it in the table, and only the
# third-party packages that the table allows.
THIRD_PARTY = {row["folder"]: set(re.findall(r"`(\w+)`", row["packages"])) for row in ROW.finditer(PAGE)}
LAYERS = [*THIRD_PARTY]
TOP_MODULES = 4
IGNORED = {"schemas", "templates"}  # data files

# Law 2: each kind of effect has one folder.
FILE_CALLS = {"open", "read_text", "read_bytes", "write_text", "write_bytes"}
FILE_MODULES = {"tempfile", "fcntl"}
DATABASE_MODULES = {"socket", "ssl", "sqlite3", "http", "urllib.request", "subprocess", "asyncio"}
TERMINAL_NAMES = {"sys.stdin", "sys.stdout", "sys.stderr", "sys.exit", "sys.argv", "os.environ", "os.getenv"}

# Law 3: time and randomness come from the actions and the command line.
CHANCE_MODULES = {"time", "uuid", "random", "secrets"}
CLOCK_NAMES = {f"{kind}.{name}" for kind in ("datetime", "date") for name in ("now", "utcnow", "today")}
WITH_CLOCK = {"actions", "cli"}

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("files.lockfile_lock", "imports time"): "waits for another process's lock on the lockfile",
    ("system_db.advisory_lock", "imports time"): "waits for another apply's lock in the database",
    ("manifest.contract_process", "imports subprocess"): "the JSON Schema engine needs limits of its own",
    ("cli.crash", "imports tempfile"): "the place of a crash log when there is no home",
    (
        "cli.terminal",
        "calls os.open",
    ): "opens the null device for a standard stream that is closed or has failed",
}


def find_violations(module: str, source: str) -> list[str]:
    """Find what a module, as `system_db.read`, does that its layer may not."""
    tree = ast.parse(source)
    layer = module.partition(".")[0]
    found = [*_upward_imports(module, tree), *_foreign_imports(layer, tree), *_effects(layer, tree)]
    return sorted({what for what in found if (module, what) not in EXCEPTIONS})


def own_imports(module: str, tree: ast.Module) -> Iterator[str]:
    """Yield the modules of the package that a module imports, as `system_db.read`."""
    folder = module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = folder[: len(folder) - node.level + 1]
            if node.module:
                yield ".".join([*base, node.module])
            else:
                yield from (".".join([*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "dbos_manifest":
            yield from (alias.name for alias in node.names)
        else:
            for name in _imported_names(node):
                if name.startswith("dbos_manifest."):
                    yield name.partition(".")[2]


def _imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and not node.level and node.module else []


def _rank(layer: str) -> int:
    return (
        LAYERS.index(layer) if layer in LAYERS else len(LAYERS)
    )  # modules at the top of the package come last


def _upward_imports(module: str, tree: ast.Module) -> Iterator[str]:
    layer = module.partition(".")[0]
    for name in own_imports(module, tree):
        imported = name.partition(".")[0]
        if (module, imported) == ("__init__", "library"):  # the package's own top, in this order
            continue
        if imported != layer and (imported not in LAYERS or _rank(imported) > _rank(layer)):
            yield f"imports {imported}"


def _foreign_imports(layer: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        for name in _imported_names(node):
            top = name.partition(".")[0]
            if top in (*sys.stdlib_module_names, "dbos_manifest"):
                if name in DATABASE_MODULES and layer != "system_db":
                    yield f"imports {name}"
                if name in FILE_MODULES and layer != "files":
                    yield f"imports {name}"
                if name in CHANCE_MODULES and layer not in WITH_CLOCK:
                    yield f"imports {name}"
            elif top not in THIRD_PARTY.get(layer, ()):
                yield f"imports {top}"


def _effects(layer: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name == "print" and layer != "cli":
                yield "calls print"
            if name.rpartition(".")[2] in FILE_CALLS and layer != "files":
                yield f"calls {name}"
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name in TERMINAL_NAMES and layer not in ("cli", "__main__"):
                yield f"uses {name}"
            if name in CLOCK_NAMES and layer not in WITH_CLOCK:
                yield f"uses {name}"


def read_sources() -> dict[str, str]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name] = path.read_text(encoding="utf-8")
    return found


SOURCES = read_sources()


def test_folders_are_those_of_the_page() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert folders - IGNORED == set(LAYERS)


def test_package_has_few_modules_at_the_top() -> None:
    assert len([*PACKAGE.glob("*.py")]) <= TOP_MODULES


def test_page_names_existing_modules() -> None:
    named = {name for name in re.findall(r"`(\w+/\w+\.py)`", PAGE) if name.partition("/")[0] in LAYERS}
    assert len(named) > 15
    assert [name for name in sorted(named) if not (PACKAGE / name).is_file()] == []


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_module_keeps_the_laws(module: str) -> None:
    assert find_violations(module, SOURCES[module]) == []


def test_no_import_is_circular() -> None:
    graph = {
        module: {name for name in own_imports(module, ast.parse(source)) if name in SOURCES}
        for module, source in SOURCES.items()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(SOURCES)


def test_every_exception_is_still_needed() -> None:
    for module, what in EXCEPTIONS:
        layer = module.partition(".")[0]
        tree = ast.parse(SOURCES[module])
        assert what in [*_foreign_imports(layer, tree), *_effects(layer, tree)], (module, what)


@pytest.mark.parametrize(
    ("module", "source", "violation"),
    [
        ("core.units", "from ..workflows.spec import WorkflowSpec", "imports workflows"),
        ("core.units", "from .. import planning", "imports planning"),
        ("core.units", "import dbos_manifest.cli.main", "imports cli"),
        ("core.units", "from dbos_manifest import planning", "imports planning"),
        ("core.units", "from ..utils import x", "imports utils"),
        ("system_db.read", "from ..actions.session import connect", "imports actions"),
        ("planning.states", "def f():\n    from ..system_db.read import x", "imports system_db"),
        ("planning.states", "import yaml", "imports yaml"),
        ("planning.states", "from sqlalchemy.exc import DBAPIError", "imports sqlalchemy"),
        ("cli.main", "import dbos", "imports dbos"),
        ("actions.apply", "import sqlite3", "imports sqlite3"),
        ("reading.document", "open('x')", "calls open"),
        ("reading.document", "Path('x').open()", "calls Path('x').open"),
        ("actions.validate", "path.read_text()", "calls path.read_text"),
        ("cli.main", "import tempfile", "imports tempfile"),
        ("actions.session", "print('x')", "calls print"),
        ("actions.session", "os.environ['X']", "uses os.environ"),
        ("report.text", "sys.stderr.write('x')", "uses sys.stderr"),
        ("report.text", "import click", "imports click"),
        ("system_db.new_rows", "import time", "imports time"),
        ("planning.states", "from uuid import uuid4", "imports uuid"),
        ("planning.states", "datetime.now()", "uses datetime.now"),
    ],
)
def test_violation_is_found(module: str, source: str, violation: str) -> None:
    assert violation in find_violations(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "planning.states",
            "import json\nfrom ..workflows.spec import WorkflowSpec\nfrom ..workflows import spec",
        ),
        (
            "system_db.read",
            "from sqlalchemy import select\nfrom .database import Database\nfrom ..workflows.spec import x",
        ),
        ("cli.main", "import os, click\nfrom .output import say\nprint(os.environ['X'])"),
        ("actions.session", "import time, uuid"),
        ("files.replace", "path.open()\nfrom ..core.errors import UsageError"),
    ],
)
def test_allowed_source_passes(module: str, source: str) -> None:
    assert find_violations(module, source) == []
