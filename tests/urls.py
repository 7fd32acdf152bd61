"""Build database URLs for the tests, all with one known password."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import sqlalchemy as sa

# in pieces, because the search for the password also reads copies of this file
PLANTED = "-".join(("pl4nted", "for", "all"))


def with_database(url: str, name: str) -> str:
    """Return the server's URL with another database name."""
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


def with_user(url: str, user: str, password: str = PLANTED) -> str:
    """Return the URL with another role."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}"))


def make_engine(url: str) -> sa.Engine:
    """Create an engine for direct access by tests; on SQLite it waits for locks."""
    if url.startswith("sqlite"):
        return sa.create_engine(url, connect_args={"timeout": 600})
    return sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))


def files_with_password(folder: Path) -> list[Path]:
    """Return the files that contain the password."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and PLANTED.encode() in path.read_bytes()
    ]
