"""The codes of preflight diagnostics, for the command line, which loads no checks for its help."""

from __future__ import annotations

WORKER_BEHIND_SCHEMA = "worker-behind-schema"
LOCKFILE_MISSING = "lockfile-missing"
RENAMED_MANIFEST = "renamed-manifest"
PREFLIGHT_CODES = (
    LOCKFILE_MISSING,
    RENAMED_MANIFEST,
    "queue-not-registered", "queue-owned-elsewhere", "missing-partition-key", "unused-partition-key",
    "deduplication-on-partitioned-queue", "application-version-unknown", "workflow-never-seen",
    WORKER_BEHIND_SCHEMA, "deadline-passed", "queued-in-the-future",
)  # fmt: skip
"""The codes of preflight diagnostics, which `--allow` takes."""
