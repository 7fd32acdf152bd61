"""Rows straight into PostgreSQL tables by COPY: the fastest way, for rows that are surely not there yet."""

from __future__ import annotations

import re
from collections.abc import Sequence
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


def _encode_columns(values: Sequence[Sequence[Any]]) -> list[Sequence[str]]:
    """The columns as text. Neighbours that say the same in all rows become one, and so do equal ones once."""
    known: dict[int, Sequence[str]] = {}
    out: list[Sequence[str]] = []
    constant: list[str] = []
    for column in values:
        first = column[0]
        if type(first) is type(column[-1]) and column.count(first) == len(column) and _alike(column):
            constant.append(_encode(first))
            continue
        if constant:
            out.append(["\t".join(constant)] * len(column))
            constant = []
        if id(column) not in known:  # a time stands in more than one column
            known[id(column)] = _encode_column(column)
        out.append(known[id(column)])
    if constant:
        out.append(["\t".join(constant)] * len(values[0]))
    return out


def _alike(column: Sequence[Any]) -> bool:
    """Whether equal values are of one type: true is not 1."""
    return len(set(map(type, column))) == 1


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
