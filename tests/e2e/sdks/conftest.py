"""Provide the application of each SDK, its worker, and a database for both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from harness import Rows
from sdk_harness import OLD, SDKS, App, Sdk, as_the_sdk_names_it, empty_database
from toolchains import IN_E2E, require

LEGACY_INPUTS = {"java", "rust"}  # Java before 1.2 and Rust 0.5 read arguments from workflow_status

E2E = os.environ.get("DBOS_MANIFEST_E2E")  # read before the tests clear the environment
DATABASES = ("postgresql", "sqlite")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests of an application with every SDK and its databases."""
    if "app" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("sdks")
    wanted = marker.kwargs if marker else {}
    sdks = [*(OLD if wanted.get("old") else ()), *SDKS.values()]
    sdks = [sdk for sdk in sdks if sdk.name != wanted.get("other_than")]
    if "url" not in metafunc.fixturenames:
        metafunc.parametrize("app", sdks, ids=str, indirect=True)
        return
    databases = wanted.get("databases", DATABASES)
    pairs = [(sdk, name) for sdk in sdks for name in databases if sdk.sqlite or name != "sqlite"]
    metafunc.parametrize(("app", "url"), pairs, ids=[f"{sdk}-{name}" for sdk, name in pairs], indirect=True)


def runs(request: pytest.FixtureRequest, sdk: Sdk, database: str) -> bool:
    """Return whether this run includes the SDK: `make test` runs representatives, `make e2e` more."""
    if E2E is not None:
        return not sdk.old or E2E != "latest"
    marker = request.node.get_closest_marker("sdks")
    names = marker.args if marker and marker.args else SDKS
    return not sdk.old and sdk.name in names and (database == "postgresql" or sdk.name == "python")


@pytest.fixture
def app(request: pytest.FixtureRequest) -> App:
    sdk: Sdk = request.param
    database = request.node.callspec.params.get("url", "postgresql")
    if not runs(request, sdk, database):
        pytest.skip(IN_E2E)
    require(sdk.tool)
    return App(sdk)


@pytest.fixture
def url(request: pytest.FixtureRequest, app: App) -> str:
    found: str = request.getfixturevalue(f"{request.param.replace('postgresql', 'postgres')}_url")
    return found


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, tmp_path: Path, app: App, url: str) -> Iterator[str]:
    """Create a database without tables, of the same dialect as `url`."""
    if url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
        return
    server = "postgres_server" if app.sdk is SDKS["python"] else "whole_server"
    with empty_database(request.getfixturevalue(server)) as found:
        yield found


@pytest.fixture(scope="session")
def whole_server() -> Iterator[str]:
    """Create the extensions that old releases and Java need and the wheel's server lacks."""
    require("npm")
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
    """Return the options that `apply` needs for this SDK's worker on a newer schema."""
    return ["--legacy-inputs"] if app.sdk.name in LEGACY_INPUTS else []
