"""Write the log of a bug, which the user can attach to a report."""

from __future__ import annotations

import os
import tempfile
import time
import traceback
from pathlib import Path

from ..files.crash_log import write_crash_log
from .redaction import redact
from .terminal import print_error


def report_bug(error: Exception) -> int:
    """Write the log of a bug, without secrets and readable by its owner only; return the exit code."""
    text = redact("".join(traceback.format_exception(error)))
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    name = f"crash-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    log: Path | None = None
    for folder in (
        Path(state) / "dbos-manifest",
        Path(tempfile.gettempdir()) / f"dbos-manifest-{os.getuid()}",
    ):
        try:
            log = write_crash_log(folder, name, text)
            break
        except OSError:
            continue
    where = f"the log is {log}" if log else "no log could be written"
    print_error(
        f"this is a bug in dbos-manifest ({type(error).__name__}); {where}",
        "report it and attach the log" if log else "report it with the command and its output",
    )
    return 70
