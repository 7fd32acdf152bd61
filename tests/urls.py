"""Database URLs for the tests, and the password that all of them have."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import sqlalchemy as sa

# in pieces, as copies of this file are among what is searched; the wheel's server trusts everybody
PLANTED = "-".join(("pl4nted", "for", "all"))


def with_database(url: str, name: str) -> str:
    """The server's URL with another database in it."""
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


def with_user(url: str, user: str, password: str = PLANTED) -> str:
    """The URL for another role."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}"))


def make_engine(url: str) -> sa.Engine:
    """An engine for the tests' own reading and writing, which waits for its turn on SQLite."""
    if url.startswith("sqlite"):
        return sa.create_engine(url, connect_args={"timeout": 600})
    return sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))


def files_with_password(folder: Path) -> list[Path]:
    """Which files of the tests have it, the databases' own left out."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and PLANTED.encode() in path.read_bytes()
    ]
