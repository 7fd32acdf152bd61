"""Compare what real workers did with docs/reference/compatibility.json, or write that file again."""

from __future__ import annotations

import json
import os
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "compatibility.json"


def expected(section: str, row: str, column: str) -> Any:
    """Return the documented behaviour to wait for; None when the page is written again."""
    if os.environ.get("UPDATE_GOLDEN") or not PAGE.exists():
        return None
    return json.loads(PAGE.read_text()).get(section, {}).get(row, {}).get(column)


def hold(section: str, row: str, column: str, seen: Any) -> None:
    """Check the observed behaviour against the page; with UPDATE_GOLDEN=1 write it to the page."""
    page = json.loads(PAGE.read_text()) if PAGE.exists() else {}
    if os.environ.get("UPDATE_GOLDEN"):
        page["made"] = {"on": date.today().isoformat(), "with": f"dbos-manifest {version('dbos-manifest')}"}
        page.setdefault(section, {}).setdefault(row, {})[column] = seen
        PAGE.write_text(json.dumps(page, indent=1, ensure_ascii=False) + "\n")
    else:
        assert page.get(section, {}).get(row, {}).get(column) == seen, (section, row, column)
