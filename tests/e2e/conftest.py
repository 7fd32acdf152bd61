"""The worker, the command line and the rows of the database under test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dbos import DBOSClient
from harness import Cli, Rows, Worker


@pytest.fixture
def start_worker(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """`start_worker("etl", …)` starts a worker for those queues, or for all; it is stopped by the end."""
    workers = []

    def start(*queues: str) -> Worker:
        worker = Worker(database_url, queues, tmp_path / "worker.log")
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.crash()  # the database goes with it, so nothing is lost by haste


@pytest.fixture
def cli(database_url: str, tmp_path: Path) -> Cli:
    folder = tmp_path / "jobs"
    folder.mkdir()
    return Cli(database_url, folder)


@pytest.fixture
def client(database_url: str) -> Iterator[DBOSClient]:
    """The official client: the other side of every comparison."""
    client = DBOSClient(system_database_url=database_url, application_name="orders")
    yield client
    client.destroy()


@pytest.fixture
def rows(database_url: str) -> Iterator[Rows]:
    rows = Rows(database_url)
    yield rows
    rows.engine.dispose()
