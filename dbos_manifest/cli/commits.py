"""The Git commit that a pipeline says it runs for."""

from __future__ import annotations

import os

_VARIABLES = (
    "GITHUB_SHA",
    "CI_COMMIT_SHA",
    "BITBUCKET_COMMIT",
    "BUILD_SOURCEVERSION",
    "CIRCLE_SHA1",
    "GIT_COMMIT",
)


def commit_of_pipeline() -> str | None:
    return next((os.environ[name] for name in _VARIABLES if os.environ.get(name)), None)
