"""Each SDK's application, its worker, and a database under both of us."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from harness import Rows
from sdk_harness import SDKS, App, Sdk, as_the_sdk_names_it, empty_database

LEGACY_INPUTS = {"java", "rust"}  # Java before 1.2 and Rust 0.5 read the arguments from workflow_status

THOROUGH = "DBOS_MANIFEST_E2E" in os.environ  # read before tests get an environment of their own


@pytest.fixture(scope="session")
def thorough() -> None:
    """Old releases and old servers."""
    if not THOROUGH:
        pytest.skip("`make e2e` runs it")


@pytest.fixture(params=SDKS.values(), ids=lambda sdk: sdk.name)
def app(request: pytest.FixtureRequest) -> App:
    sdk: Sdk = request.param
    if sdk.old:
        request.getfixturevalue("thorough")
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
def empty_url(request: pytest.FixtureRequest, tmp_path: Path, url: str) -> Iterator[str]:
    """A database without any table, of the kind of `url`."""
    if url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
        return
    with empty_database(request.getfixturevalue("whole_server")) as found:
        yield found


@pytest.fixture(scope="session")
def whole_server(thorough: None) -> Iterator[str]:
    """Old releases, and Java, ask for extensions that the wheel's server has not."""
    with servers.server(max(servers.RELEASES)) as found:
        yield found


@pytest.fixture
def rows(url: str) -> Iterator[Rows]:
    found = Rows(url)
    yield found
    found.engine.dispose()


@pytest.fixture
def app_url(app: App, url: str) -> Iterator[str]:
    with as_the_sdk_names_it(app, url) as found:
        yield found


@pytest.fixture
def worker(app: App, app_url: str, tmp_path: Path) -> Iterator[None]:
    with app.working(app_url, tmp_path / "worker.log"):
        yield


@pytest.fixture
def legacy(app: App) -> list[str]:
    """What `apply` must be told for this SDK's worker on a schema newer than it."""
    return ["--legacy-inputs"] if app.sdk.name in LEGACY_INPUTS else []
