"""Declarative batches of DBOS workflows: the library. The command line is `dbos-manifest`.

    import dbos_manifest

    manifests = dbos_manifest.load("jobs.yaml", variables={"region": "eu"})
    dbos_manifest.apply(manifests, "postgresql://…", target="prod")

See docs/guides/library.md. Names are loaded when first used, so that the command line starts quickly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .library import (
        ApplyResult,
        ApplySettings,
        DatabaseSettings,
        Diagnostic,
        InvalidManifest,
        ManifestPlan,
        Manifests,
        ManifestToolError,
        Overrides,
        PartlyApplied,
        Refused,
        StatusSummary,
        WorkflowStatus,
        apply,
        load,
        plan,
        status,
        summarize,
        validate,
    )

__all__ = [
    "ApplyResult",
    "ApplySettings",
    "DatabaseSettings",
    "Diagnostic",
    "InvalidManifest",
    "ManifestPlan",
    "ManifestToolError",
    "Manifests",
    "Overrides",
    "PartlyApplied",
    "Refused",
    "StatusSummary",
    "WorkflowStatus",
    "apply",
    "load",
    "plan",
    "status",
    "summarize",
    "validate",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import library

    return getattr(library, name)
