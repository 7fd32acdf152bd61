"""Write the log of a crash."""

from __future__ import annotations

import os
from pathlib import Path


def write_crash_log(folder: Path, name: str, text: str) -> Path:
    """Write a new log that only its owner can read, and return its path."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path
