"""Provide a manifest for each fault, and print the counts of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fault_harness import COUNTS, Batch
from urls import make_engine


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def make_batch(tmp_path: Path, engine: sa.Engine) -> Callable[[str, int], Batch]:
    return lambda name, count: Batch(tmp_path, name, count, engine)


@pytest.fixture
def make_pg_batch(tmp_path: Path, postgres_url: str) -> Iterator[Callable[[str, int], Batch]]:
    engine = make_engine(postgres_url)
    yield lambda name, count: Batch(tmp_path, name, count, engine)
    engine.dispose()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in COUNTS:
        terminalreporter.write_line(line)
