"""Find the Git commit of the pipeline that this process runs in."""

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
    """Return the commit that the environment of the pipeline names, if any."""
    return next((os.environ[name] for name in _VARIABLES if os.environ.get(name)), None)
