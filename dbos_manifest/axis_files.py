"""A CSV, JSONL or JSON file in, one value per row out, as a stream."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from .canonical import canonical_json
from .expression import did_you_mean
from .filters import text_of
from .json_text import read_json
from .tree import Tree, TreeError

MAX_FILE_BYTES = 256 * 2**20
MAX_JSON_BYTES = 32 * 2**20  # a JSON list cannot be read piece by piece
MAX_LINE_BYTES = 2**20
FORMATS = ("csv", "jsonl", "json")


def format_of(path: str) -> str | None:
    """The format that a file's name says, None for another one."""
    ending = path.rpartition(".")[2].lower()
    return ending if ending in FORMATS else "jsonl" if ending == "ndjson" else None


def read_rows(tree: Tree, path: str, format: str, select: Mapping[str, Any], most: int) -> Iterator[Any]:
    """The rows of a file that `select` names, in the file's order.

    Shape:  a CSV row is a map of texts by the names in its first line; a line of JSONL and an item of a
            JSON list are any values. `select` keeps the rows whose column has the value, or one of them.
    Raises: TreeError naming file and line.
    """
    limit = MAX_JSON_BYTES if format == "json" else MAX_FILE_BYTES
    readers = {"csv": _read_csv, "jsonl": _read_jsonl, "json": _read_json}
    wanted = {
        column: {_key(value, format) for value in (values if isinstance(values, list) else [values])}
        for column, values in select.items()
    }
    with tree.stream(path, limit) as stream:
        for number, (line, row) in enumerate(readers[format](stream, path)):
            if number >= most:
                raise TreeError(
                    "too-large",
                    f"{path} has more than {most:,} rows",
                    "cut it up, or raise `limits.max_workflows`: ten rows are read for each of them",
                )
            if not wanted or _selected(row, wanted, format, f"{path}:{line}"):
                yield row


def _key(value: Any, format: str) -> str:
    if format == "csv" and not isinstance(value, (dict, list)) and value is not None:
        return text_of(value)
    return canonical_json(value)


def _selected(row: Any, wanted: Mapping[str, set[str]], format: str, place: str) -> bool:
    if not isinstance(row, dict):
        raise TreeError("axis-file", f"{place}: `select` needs rows that are maps, and this is none")
    for column, values in wanted.items():
        if column not in row:
            raise TreeError(
                "axis-file", f"{place}: the row has no column `{column}`", did_you_mean(column, row)
            )
        if _key(row[column], format) not in values:
            return False
    return True


def _lines(stream: BinaryIO, path: str) -> Iterator[tuple[int, str]]:
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise TreeError("axis-file", f"{path}:{number}: the line has more than {MAX_LINE_BYTES:,} bytes")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise TreeError(
                "axis-file",
                f"{path}:{number}: not UTF-8: byte {error.start + 1} is 0x{line[error.start]:02x}",
                "save the file as UTF-8",
            ) from None
        if "\0" in text:
            raise TreeError(
                "axis-file", f"{path}:{number}: the line has a NUL character", "save the file as UTF-8 text"
            )
        yield number, text


def _read_csv(stream: BinaryIO, path: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader((text for _, text in _lines(stream, path)), strict=True)
    try:
        header = next(reader, None)
        if header is None:
            return
        _check_header(header, path)
        for row in reader:
            if not row:
                continue  # an empty line
            if len(row) != len(header):
                raise TreeError(
                    "axis-file",
                    f"{path}:{reader.line_num}: the row has {len(row)} columns, and the first line names "
                    f"{len(header)}",
                    "a value with a comma in it wants double quotes",
                )
            yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise TreeError("axis-file", f"{path}:{reader.line_num}: not CSV: {error}") from None


def _check_header(header: list[str], path: str) -> None:
    for position, name in enumerate(header):
        if not name.strip():
            raise TreeError("axis-file", f"{path}:1: column {position + 1} has no name")
        if name in header[:position]:
            raise TreeError("axis-file", f"{path}:1: two columns are named `{name}`")


def _read_jsonl(stream: BinaryIO, path: str) -> Iterator[tuple[int, Any]]:
    for number, text in _lines(stream, path):
        if text.strip():
            yield number, _parse(text, f"{path}:{number}")


def _read_json(stream: BinaryIO, path: str) -> Iterator[tuple[int, Any]]:
    try:
        text = stream.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TreeError(
            "axis-file", f"{path}: not UTF-8 at byte {error.start}", "save the file as UTF-8"
        ) from None
    rows = _parse(text, path)
    if not isinstance(rows, list):
        raise TreeError(
            "axis-file", f"{path}: a JSON file of rows is a list", "or write one value a line: jsonl"
        )
    yield from enumerate(rows, 1)


def _parse(text: str, place: str) -> Any:
    try:
        value, problems = read_json(text)
    except json.JSONDecodeError as error:
        raise TreeError("axis-file", f"{place}: not JSON: {error.msg} at column {error.colno}") from None
    if problems:
        raise TreeError("axis-file", f"{place}: {problems[0][1]}")
    return value
