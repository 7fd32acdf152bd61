"""Rows straight into PostgreSQL tables by COPY: the fastest way, for rows that are surely not there yet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def copy_text(values: Sequence[Sequence[Any]]) -> bytes:
    """Rows in COPY's text format, given as one list of values a column; text, whole numbers or None.

    Source: PostgreSQL, COPY, text format.
    """
    lines = map("\t".join, zip(*_encode_columns(values), strict=True))
    return ("\n".join(lines) + "\n").encode()


def copy_rows(connection: Connection, table: str, columns: Sequence[str], text: bytes) -> None:
    """Append rows to a table.

    Raises: psycopg.Error; the transaction is then broken up to its last savepoint.
    """
    raw: Any = connection.connection.driver_connection
    with raw.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        copy.write(text)


def _encode_columns(columns: Sequence[Sequence[Any]]) -> Iterator[Sequence[str]]:
    """The columns as text; neighbours that say the same in all rows come as one, in a piece."""
    rows = len(columns[0])
    for constant, group in groupby(columns, _is_constant):
        if constant:
            yield ["\t".join([_encode(column[0]) for column in group])] * rows
        else:
            yield from map(_encode_column, group)


def _is_constant(column: Sequence[Any]) -> bool:
    """Whether all rows have the same value, of the same type: true is not 1."""
    return column.count(column[0]) == len(column) and len(set(map(type, column))) == 1


def _encode_column(values: Sequence[Any]) -> Sequence[str]:
    kinds = set(map(type, values))
    if kinds == {int}:
        return list(map(str, values))
    if kinds == {str} and not _SPECIAL.search("".join(values)):
        return values
    return [_encode(value) for value in values]


def _encode(value: Any) -> str:
    if value is None:
        return "\\N"
    if type(value) is str:
        return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], value)
    return str(value)
