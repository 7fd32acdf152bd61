"""The result of one check of the system database."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Level(str, Enum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"  # apply could not work


class Check(NamedTuple):
    """What was found about one subject, and what to do about it."""

    level: Level
    what: str  # connection | encryption | schema | privileges | queues | versions | clock | inputs
    message: str
    help: str | None = None
