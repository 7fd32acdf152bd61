"""Provide the worker, the command line and the rows of the tested database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dbos import DBOSClient
from harness import Cli, Rows, Worker


@pytest.fixture
def start_worker(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Provide `start_worker("etl", …)` for some or all queues; stop the workers at the end."""
    workers = []

    def start(*queues: str) -> Worker:
        worker = Worker(database_url, queues, tmp_path / "worker.log")
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.crash()  # the database is dropped too, so a kill loses nothing


@pytest.fixture
def cli(database_url: str, tmp_path: Path) -> Cli:
    folder = tmp_path / "jobs"
    folder.mkdir()
    return Cli(database_url, folder)


@pytest.fixture
def client(database_url: str) -> Iterator[DBOSClient]:
    """Provide the official client for comparisons."""
    client = DBOSClient(system_database_url=database_url, application_name="orders")
    yield client
    client.destroy()


@pytest.fixture
def rows(database_url: str) -> Iterator[Rows]:
    rows = Rows(database_url)
    yield rows
    rows.engine.dispose()
