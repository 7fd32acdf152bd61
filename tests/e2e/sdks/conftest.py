"""Each SDK's application, its worker, and a database under both of us."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Rows
from proxy import CuttingProxy
from sdk_harness import SDKS, App

LEGACY_INPUTS = {"java", "rust"}  # Java before 1.2 and Rust 0.5 read the arguments from workflow_status


@pytest.fixture(params=SDKS)
def app(request: pytest.FixtureRequest) -> App:
    sdk = SDKS[request.param]
    if shutil.which(sdk.tool) is None:
        pytest.skip(f"{sdk.tool} is not installed")
    return App(sdk)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, app: App) -> str:
    if request.param == "sqlite" and not app.sdk.sqlite:
        pytest.skip(f"the {app.sdk.name} SDK has no SQLite")
    found: str = request.getfixturevalue(f"{request.param.replace('postgresql', 'postgres')}_url")
    return found


@pytest.fixture
def rows(url: str) -> Iterator[Rows]:
    found = Rows(url)
    yield found
    found.engine.dispose()


@pytest.fixture
def app_url(app: App, url: str) -> Iterator[str]:
    """The same database for the SDK: most know no Unix sockets."""
    if url.startswith("sqlite"):
        yield url.replace("sqlite:///", "sqlite:") if app.sdk.name == "go" else url
        return
    with CuttingProxy(url) as proxy:
        yield proxy.url(url).partition("?")[0] + "?sslmode=disable"


@pytest.fixture
def worker(app: App, app_url: str, tmp_path: Path) -> Iterator[None]:
    process = app.start(app_url, tmp_path / "worker.log")
    yield
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture
def legacy(app: App) -> list[str]:
    """What `apply` must be told for this SDK's worker on a schema newer than it."""
    return ["--legacy-inputs"] if app.sdk.name in LEGACY_INPUTS else []
