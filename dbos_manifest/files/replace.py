"""Write files whole or not at all."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import UsageError


def write_new(path: Path, text: str) -> bool:
    """Write a file that is not there yet; false, and nothing done, when it is.

    Raises: UsageError when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    return True
