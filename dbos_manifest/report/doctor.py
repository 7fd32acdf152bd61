"""Render the checks of doctor as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.doctor_check import Check, Level
from .text import Paint, plain, printable, to_json

FORMAT_VERSION = 1
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}


def checkup_lines(checks: Sequence[Check], paint: Paint = plain) -> Iterator[str]:
    """Yield a line for each check, followed by its help."""
    for check in checks:
        level = paint(_STYLES[check.level], f"{check.level.value:<8}")
        yield f"{level} {check.what:<10} {printable(check.message)}"
        if check.help:
            yield f"{'':<19} {printable(check.help)}"


def checkup_json(checks: Sequence[Check]) -> str:
    """Return the checks as one document."""
    found = [{**check._asdict(), "level": check.level.value} for check in checks]
    return to_json({"format_version": FORMAT_VERSION, "checks": found}, indent=2)
