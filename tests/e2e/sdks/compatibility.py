"""docs/compatibility.json: what real workers did; a test holds each cell of it, or writes it anew."""

from __future__ import annotations

import json
import os
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "compatibility.json"


def hold(section: str, row: str, column: str, seen: Any) -> None:
    """That it is as the page says; with UPDATE_GOLDEN=1 the page says what was seen."""
    page = json.loads(PAGE.read_text()) if PAGE.exists() else {}
    if os.environ.get("UPDATE_GOLDEN"):
        page["made"] = {"on": date.today().isoformat(), "with": f"dbos-manifest {version('dbos-manifest')}"}
        page.setdefault(section, {}).setdefault(row, {})[column] = seen
        PAGE.write_text(json.dumps(page, indent=1, ensure_ascii=False) + "\n")
    else:
        assert page.get(section, {}).get(row, {}).get(column) == seen, (section, row, column)
