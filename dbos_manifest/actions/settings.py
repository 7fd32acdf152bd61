"""How the actions work: the settings that the command line and the library give them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..planning.preflight_codes import WORKER_BEHIND_SCHEMA
from ..planning.results import RetryNotice
from ..planning.states import NO_OVERRIDES, Overrides


class DatabaseSettings(NamedTuple):
    """How to connect to the system database."""

    url: str
    schema: str = "dbos"
    retry_budget_s: float = 120.0
    on_retry: Callable[[RetryNotice], None] = lambda notice: None
    lock_timeout_s: float = 60.0  # for each lock of the database and of lockfiles


class LockfileSettings(NamedTuple):
    """How to find the lockfile of a manifest."""

    path: Path | None = None  # of --lockfile
    target: str | None = None  # of --target


class PlanSettings(NamedTuple):
    """How to plan."""

    overrides: Overrides = NO_OVERRIDES
    verify: bool = False  # read stored arguments also where the lockfile describes them
    batch_size: int | None = None  # workflows per batch; None: the default of the database


class ApplySettings(NamedTuple):
    """How to apply."""

    overrides: Overrides = NO_OVERRIDES
    verify: bool = False
    batch_size: int | None = None  # workflows per transaction; None: the default of the database
    atomic: bool = False
    fail_fast: bool = False
    locked: bool = False  # only check whether anything would be enqueued or recorded
    provenance: bool = True
    reason: str | None = None  # recorded with the provenance
    legacy_inputs: bool = False

    def for_plan(self) -> PlanSettings:
        """Return how to make the plan that is applied."""
        overrides = self.overrides
        if self.legacy_inputs:
            overrides = overrides._replace(allow=overrides.allow | {WORKER_BEHIND_SCHEMA})
        return PlanSettings(overrides, self.verify, self.batch_size)


DEFAULT_SETTINGS = ApplySettings()


class WaitSettings(NamedTuple):
    """How to wait."""

    timeout_s: float | None = None  # None: until all workflows have ended
    poll_s: float = 0.5
