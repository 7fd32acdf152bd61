"""The laws of ARCHITECTURE.md, held against the real sources: who imports what, and who touches the world."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "dbos_manifest"

# Law 1: a module imports only from above it. A folder is one layer.
LAYERS = [
    "diagnostic", "lines", "canonical", "fingerprint", "columns", "units", "exit_codes", "errors",
    "dates", "filters", "expression", "json_text", "tree", "variables",
    "yaml_parser", "yaml_builder", "places", "yaml_places", "manifest_signs", "document",
    "schema", "manifest",
    "spec", "blocks", "options", "axis", "axis_files", "cron_ticks", "date_range", "axes", "matrix",
    "catalog", "values", "template", "entries", "findings", "expand",
    "batch", "selection", "uniqueness", "rules", "lint", "snapshot", "lock_lines", "lockfile", "lock_reader",
    "plan", "absence", "comparison", "preflight",
    "journal_file", "journal", "files", "output_files", "beside", "sources", "validation", "system_db",
    "ahead", "lockfile_checks", "planning", "offline", "saved_plan", "apply", "wait", "operations",
    "apply_operations", "plan_operations",
    "lock_operations", "lock_rebuild", "explain", "doctor",
    "report", "__init__", "cli", "__main__",
]  # fmt: skip
THIRD_PARTY = {
    "canonical": {"orjson"},
    "yaml_parser": {"yaml"},
    "yaml_builder": {"yaml"},
    "yaml_places": {"yaml"},
    "schema": {"jsonschema", "jsonschema_rs"},
    "cron_ticks": {"croniter"},
    "catalog": {"jsonschema_rs"},
    "saved_plan": {"jsonschema_rs"},
    "system_db": {"sqlalchemy", "psycopg", "tenacity"},
    "apply": {"sqlalchemy"},
    "report": {"yaml"},
    "cli": {"click", "rich"},
}

# Law 2: effects, each behind one door.
FILE_CALLS = {"open", "read_text", "read_bytes", "write_text", "write_bytes"}
FILE_MODULES = {"tempfile", "fcntl"}
FILE_LAYERS = {"files", "output_files"}
DATABASE_MODULES = {"socket", "ssl", "sqlite3", "http", "urllib.request", "subprocess", "asyncio"}
TERMINAL_NAMES = {"sys.stdin", "sys.stdout", "sys.stderr", "sys.exit", "sys.argv", "os.environ", "os.getenv"}

# Law 3: the time and chance come in from above.
CHANCE_MODULES = {"time", "uuid", "random", "secrets"}
CLOCK_NAMES = {f"{kind}.{name}" for kind in ("datetime", "date") for name in ("now", "utcnow", "today")}

EXCEPTIONS = {
    ("files", "imports time"): "waits for another process's lock on the lockfile",
    ("journal_file", "calls os.open"): "a file that is appended to, and refused where it is a link or a pipe",
    ("system_db.lock", "imports time"): "waits for another apply's lock in the database",
    ("cli.crash", "imports tempfile"): "the place of a crash log when there is no home",
    ("cli.output", "calls os.open"): "the null device, for a standard stream that is closed or has failed",
}


def find_violations(module: str, source: str) -> list[str]:
    """What a module, as `system_db.read`, does that its layer may not."""
    tree = ast.parse(source)
    layer = module.partition(".")[0]
    found = [*_upward_imports(module, tree), *_foreign_imports(layer, tree), *_effects(layer, tree)]
    return sorted({what for what in found if (module, what) not in EXCEPTIONS})


def own_imports(module: str, tree: ast.Module) -> Iterator[str]:
    """The modules of the package that a module names, as `system_db.read`."""
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


def _upward_imports(module: str, tree: ast.Module) -> Iterator[str]:
    layer = module.partition(".")[0]
    for name in own_imports(module, tree):
        imported = name.partition(".")[0]
        if imported != layer and (imported not in LAYERS or LAYERS.index(imported) > LAYERS.index(layer)):
            yield f"imports {imported}"


def _foreign_imports(layer: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        for name in _imported_names(node):
            top = name.partition(".")[0]
            if top in (*sys.stdlib_module_names, "dbos_manifest"):
                if name in DATABASE_MODULES and layer != "system_db":
                    yield f"imports {name}"
                if name in FILE_MODULES and layer not in FILE_LAYERS:
                    yield f"imports {name}"
                if name in CHANCE_MODULES and LAYERS.index(layer) < LAYERS.index("operations"):
                    yield f"imports {name}"
            elif top not in THIRD_PARTY.get(layer, ()):
                yield f"imports {top}"


def _effects(layer: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name == "print" and layer != "cli":
                yield "calls print"
            if name.rpartition(".")[2] in FILE_CALLS and layer not in FILE_LAYERS:
                yield f"calls {name}"
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name in TERMINAL_NAMES and layer not in ("cli", "__main__"):
                yield f"uses {name}"
            if name in CLOCK_NAMES and LAYERS.index(layer) < LAYERS.index("operations"):
                yield f"uses {name}"


def read_sources() -> dict[str, str]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name] = path.read_text(encoding="utf-8")
    return found


SOURCES = read_sources()


def test_every_module_has_its_layer() -> None:
    assert {name.partition(".")[0] for name in SOURCES} <= set(LAYERS)


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_module_keeps_the_laws(module: str) -> None:
    assert find_violations(module, SOURCES[module]) == []


def test_no_import_goes_round() -> None:
    graph = {
        module: {name for name in own_imports(module, ast.parse(source)) if name in SOURCES}
        for module, source in SOURCES.items()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(SOURCES)


def test_every_exception_is_still_needed() -> None:
    for module, what in EXCEPTIONS:
        layer = module.partition(".")[0]
        tree = ast.parse(SOURCES[module])
        assert what in [*_foreign_imports(layer, tree), *_effects(layer, tree)]


@pytest.mark.parametrize(
    ("module", "source", "violation"),
    [
        ("canonical", "from .spec import WorkflowSpec", "imports spec"),
        ("canonical", "from . import plan", "imports plan"),
        ("canonical", "import dbos_manifest.cli.main", "imports cli"),
        ("canonical", "from dbos_manifest import plan", "imports plan"),
        ("canonical", "from .utils import x", "imports utils"),
        ("system_db.read", "from ..operations import plan_files", "imports operations"),
        ("plan", "def f():\n    from .system_db.read import x", "imports system_db"),
        ("plan", "import yaml", "imports yaml"),
        ("plan", "from sqlalchemy.exc import DBAPIError", "imports sqlalchemy"),
        ("cli.main", "import dbos", "imports dbos"),
        ("apply", "import sqlite3", "imports sqlite3"),
        ("document", "open('x')", "calls open"),
        ("document", "Path('x').open()", "calls Path('x').open"),
        ("validation", "path.read_text()", "calls path.read_text"),
        ("cli.main", "import tempfile", "imports tempfile"),
        ("operations", "print('x')", "calls print"),
        ("operations", "os.environ['X']", "uses os.environ"),
        ("report.text", "sys.stderr.write('x')", "uses sys.stderr"),
        ("report.text", "import click", "imports click"),
        ("apply", "import time", "imports time"),
        ("plan", "from uuid import uuid4", "imports uuid"),
        ("plan", "datetime.now()", "uses datetime.now"),
    ],
)
def test_a_breach_is_seen(module: str, source: str, violation: str) -> None:
    assert violation in find_violations(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("plan", "import json\nfrom .spec import WorkflowSpec\nfrom . import spec"),
        (
            "system_db.read",
            "from sqlalchemy import select\nfrom .connect import Database\nfrom ..spec import x",
        ),
        ("cli.main", "import os, click\nfrom .output import say\nprint(os.environ['X'])"),
        ("operations", "import time, uuid"),
        ("files", "path.open()\nfrom .errors import UsageError"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert find_violations(module, source) == []
