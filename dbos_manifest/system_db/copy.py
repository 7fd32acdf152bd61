"""Rows straight into PostgreSQL tables by COPY: the fastest way, for rows that are surely not there yet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from ..core.columns import Repeated, glue

_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def copy_text(columns: Sequence[Sequence[Any]], count: int) -> bytes:
    """Rows in COPY's text format, of columns of texts, whole numbers or None.

    Source: PostgreSQL, COPY, text format.
    """
    tab = Repeated("\t", count)
    pieces = [piece for column in columns for piece in (tab, _encode_column(column))]
    return ("\n".join(glue(pieces[1:], count, "")) + "\n").encode()


def copy_rows(connection: Connection, table: str, columns: Sequence[str], text: bytes) -> int:
    """Append rows to a table and return how many the server wrote: a trigger may drop some.

    Raises: psycopg.Error; the transaction is then broken up to its last savepoint.
    """
    raw: Any = connection.connection.driver_connection
    with raw.cursor() as cursor:
        with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            copy.write(text)
        return int(cursor.rowcount)


def _encode_column(values: Sequence[Any]) -> Sequence[str]:
    if isinstance(values, Repeated):
        return Repeated(_encode(values.value), len(values))
    kinds = {*map(type, values)}
    if kinds == {int}:
        return [*map({value: str(value) for value in {*values}}.__getitem__, values)]
    if kinds == {str} and _is_plain("".join(values)):
        return values
    return [*map(_encode, values)]


def _is_plain(text: str) -> bool:
    return not any(character in text for character in _ESCAPES)


def _encode(value: Any) -> str:
    if value is None:
        return "\\N"
    if type(value) is str:
        return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], value)
    return str(value)
