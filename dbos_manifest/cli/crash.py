"""Write the log of a bug, which the user can attach to a report."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..files.crash_log import write_crash_log
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
        f"this is a bug in dbos-manifest ({type(error).__name__}); {where}", "report it and attach the log"
    )
    return 70


def redact(text: str) -> str:
    """Replace passwords: those of the database URLs of this process, and those in any URL of the text."""
    given = [*sys.argv, *(value for key, value in os.environ.items() if key.endswith("DATABASE_URL"))]
    secrets = {value for key, value in os.environ.items() if key == "PGPASSWORD" and value}
    for word in given:
        try:
            password = urlsplit(word.partition("=")[2] if word.startswith("--") else word).password
        except ValueError:
            continue
        if password:
            secrets |= {password, unquote(password)}
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _USERINFO.sub(r"\1***@", text)
    return _PASSWORD_WORD.sub(r"\1***", text)


_USERINFO = re.compile(r"(://[^\s/:@'\"]*:)[^\s'\"]*@")
_PASSWORD_WORD = re.compile(r"(password['\"]?\s*[=:]\s*['\"]?)[^\s'\"&,)}]+", re.IGNORECASE)
