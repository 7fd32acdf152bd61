"""Read a CSV, JSONL or JSON file as a stream of values, one per row."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterator, Mapping
from io import SEEK_END
from itertools import chain
from typing import BinaryIO, NamedTuple

from ..core.canonical_json import canonical_json
from ..core.lines import find_position
from ..core.portable_json import read_json
from ..core.suggest import did_you_mean
from ..core.work_budget import spend_bytes, spend_each
from ..expressions.filters import text_of
from ..reading.sandbox import Tree, TreeError

MAX_FILE_BYTES = 256 * 2**20
MAX_JSON_BYTES = 32 * 2**20  # less: a JSON list is read as a whole
MAX_LINE_BYTES = 2**20
_ROW_STEPS = 4  # of work to read a short row
FORMATS = ("csv", "jsonl", "json")
DELIMITERS = (",", ";", "\t", "|")  # that are suggested
_NO_ENCODINGS = {
    "idna",
    "punycode",
    "unicode-escape",
    "raw-unicode-escape",
}  # Python lists these as text encodings
_CHUNK_BYTES = 2**16
_SAVE = "save the file as UTF-8"


class FileFormat(NamedTuple):
    """How the bytes of a file are read as rows."""

    name: str  # one of FORMATS
    delimiter: str = ","
    encoding: str = "utf-8"


def format_of(path: str) -> str | None:
    """Return the format of a file by its name; None if the name does not show it."""
    ending = path.rpartition(".")[2].lower()
    return ending if ending in FORMATS else "jsonl" if ending == "ndjson" else None


def known_encoding(name: str) -> str | None:
    """Return Python's name of a text encoding; None for an unknown one."""
    try:
        "a".encode(name)
        found = codecs.lookup(name).name
    except (LookupError, ValueError):  # a NUL in the name is a ValueError
        return None
    if found.replace("_", "-") in _NO_ENCODINGS:
        return None
    return "utf-8" if found == "utf-8-sig" else found


def read_rows(
    tree: Tree, path: str, format: FileFormat, select: Mapping[str, object], most: int
) -> Iterator[object]:
    """Yield the rows of a file that match `select`, in the file's order; at most `most` are read.

    Shape:  a CSV row is a map of texts by the names in the first line; a line of JSONL and an item of a
            JSON list are any values. `select` has the accepted value of a column, or a list of them.
            Blank lines, and CSV rows without any value, are ignored.
    Raises: TreeError with file and line.
    """
    limit = MAX_JSON_BYTES if format.name == "json" else MAX_FILE_BYTES
    readers = {"csv": _read_csv, "jsonl": _read_jsonl, "json": _read_json}
    wanted = {
        column: {_key(value, format.name) for value in (values if isinstance(values, list) else [values])}
        for column, values in select.items()
    }
    with tree.stream(path, limit) as stream:
        spend_bytes(stream.seek(0, SEEK_END))
        stream.seek(0)
        rows = spend_each(readers[format.name](stream, path, format), _ROW_STEPS)
        for number, (line, row) in enumerate(rows):
            if number >= most:
                raise TreeError(
                    "too-large",
                    f"{path} has more than {most:,} rows",
                    "split it, or raise `limits.max_workflows`: ten rows are read per allowed workflow",
                )
            if not wanted or _selected(row, wanted, format.name, _place_row(path, format.name, line)):
                yield row


def _place_row(path: str, format: str, number: int) -> str:
    return f"{path}: row {number}" if format == "json" else f"{path}:{number}"


def _key(value: object, format: str) -> str:
    if format == "csv" and not isinstance(value, (dict, list)) and value is not None:
        return text_of(value)
    return canonical_json(value)


def _selected(row: object, wanted: Mapping[str, set[str]], format: str, place: str) -> bool:
    if not isinstance(row, dict):
        raise TreeError("axis-file", f"{place}: expected a map, because `select` is used")
    for column, values in wanted.items():
        if column not in row:
            raise TreeError(
                "axis-file", f"{place}: the row has no column `{column}`", did_you_mean(column, row)
            )
        if _key(row[column], format) not in values:
            return False
    return True


def _lines(stream: BinaryIO, path: str, encoding: str) -> Iterator[tuple[int, str]]:
    return _utf8_lines(stream, path) if encoding == "utf-8" else _decoded_lines(stream, path, encoding)


def _utf8_lines(stream: BinaryIO, path: str) -> Iterator[tuple[int, str]]:
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise _too_long(path, number)
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise TreeError(
                "axis-file",
                f"{path}:{number}: not UTF-8: byte {error.start + 1} is 0x{line[error.start]:02x}",
                _advise_encoding(line),
            ) from None
        if "\0" in text:
            raise _has_nul(path, number, f"{_SAVE}, or write `encoding: utf-16-le`")
        yield number, text


def _has_nul(path: str, number: int, help: str) -> TreeError:
    return TreeError("axis-file", f"{path}:{number}: the line has a NUL character", help)


def _advise_encoding(data: bytes) -> str:
    utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return f"{_SAVE}, or write its `encoding`, such as `encoding: {'utf-16' if utf_16 else 'windows-1252'}`"


def _decoded_lines(stream: BinaryIO, path: str, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file in another encoding than UTF-8, split after decoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    number, rest, ended = 1, "", False
    while not ended:
        chunk = stream.read(_CHUNK_BYTES)
        ended = not chunk
        if number == 1 and not rest and chunk.startswith(codecs.BOM_UTF8):
            message = f"{path}:1: expected {encoding}, found the byte order mark of UTF-8"
            raise TreeError("axis-file", message, "remove `encoding`")
        try:
            text = decoder.decode(chunk, ended)
        except UnicodeError as error:
            before = b"" if not isinstance(error, UnicodeDecodeError) else error.object[: error.start]
            number += (rest + before.decode(encoding, "replace")).count("\n")
            raise TreeError(
                "axis-file", f"{path}:{number}: not {encoding}: {error}", "correct `encoding`"
            ) from None
        if number == 1 and not rest:
            text = text.removeprefix("\ufeff")
        *lines, rest = (rest + text).split("\n")
        if len(rest) > MAX_LINE_BYTES:
            raise _too_long(path, number + len(lines))
        for line in [*lines, rest] if ended else lines:
            if "\0" in line:
                raise _has_nul(path, number, _SAVE)
            yield number, line + "\n"
            number += 1


def _too_long(path: str, number: int) -> TreeError:
    return TreeError("axis-file", f"{path}:{number}: the line has more than {MAX_LINE_BYTES:,} bytes")


def _read_csv(stream: BinaryIO, path: str, format: FileFormat) -> Iterator[tuple[int, dict[str, str]]]:
    lines = (text for _, text in _lines(stream, path, format.encoding))
    skipped = 0
    empty = f' \t\r\n"{format.delimiter}'
    for first in lines:
        if first.strip().strip(empty):
            break
        skipped += 1
    else:
        return
    reader = csv.reader(chain([first], lines), delimiter=format.delimiter, strict=True)
    line = before = skipped + 1  # of the next row: a value may span several lines
    try:
        header = next(reader)
        _check_header(header, f"{path}:{line}", first.strip("\r\n"), format.delimiter)
        width = len(header)
        line = before + reader.line_num
        for row in reader:
            if len(row) == width and (row[0].strip() or any(map(str.strip, row))):
                yield line, dict(zip(header, row, strict=True))
            elif any(map(str.strip, row)):
                raise _uneven(row, header, f"{path}:{line}", format.delimiter)
            line = before + reader.line_num
    except csv.Error as error:
        help = "end its lines with LF or CRLF" if "new-line character" in str(error) else None
        raise TreeError("axis-file", f"{path}:{line}: invalid CSV: {error}", help) from None


def _uneven(row: list[str], header: list[str], place: str, delimiter: str) -> TreeError:
    message = f"{place}: expected {len(header)} columns, as in the first line, found {len(row)}"
    for other in DELIMITERS:
        names = delimiter.join(header).count(other)
        if other != delimiter and names and names == delimiter.join(row).count(other):
            return TreeError("axis-file", f"{message}; the file seems to use {_show(other)}", _write(other))
    return TreeError(
        "axis-file", message, f"write double quotes around a value that contains {_show(delimiter)}"
    )


def _check_header(header: list[str], place: str, text: str, delimiter: str) -> None:
    others = [other for other in DELIMITERS if other != delimiter and other in text]
    if len(header) == 1 and others and '"' not in text:
        other = max(others, key=text.count)
        if text.lower() == f"sep={other}":
            message = f"{place}: expected a header, found the `sep=` line of a spreadsheet"
            raise TreeError("axis-file", message, f"delete the line and {_write(other)}")
        mark = _show(delimiter)
        message = f"{place}: expected {mark} in the first line; the file seems to use {_show(other)}"
        help = f"{_write(other)}; if the line is the name of a single column, put it in double quotes"
        raise TreeError("axis-file", message, help)
    seen: set[str] = set()
    for position, name in enumerate(header):
        if not name.strip():
            message = f"{place}: column {position + 1} has no name"
            raise TreeError("axis-file", message, "name it in the first line, or delete the column")
        if name in seen:
            raise TreeError("axis-file", f"{place}: two columns are named `{name}`")
        seen.add(name)


def _show(delimiter: str) -> str:
    return "a tab" if delimiter == "\t" else f"`{delimiter}`"


def _write(delimiter: str) -> str:
    shown = "\\t" if delimiter == "\t" else delimiter
    return f'write `delimiter: "{shown}"`'


def _read_jsonl(stream: BinaryIO, path: str, format: FileFormat) -> Iterator[tuple[int, object]]:
    for number, text in _lines(stream, path, format.encoding):
        if text.strip():
            yield number, _parse(text.rstrip("\r\n"), path, number)


def _read_json(stream: BinaryIO, path: str, format: FileFormat) -> Iterator[tuple[int, object]]:
    data = stream.read()
    try:
        text = data.decode(format.encoding)
    except UnicodeError as error:
        if format.encoding != "utf-8" or not isinstance(error, UnicodeDecodeError):
            message = f"{path}: not {format.encoding}: {error}"
            raise TreeError("axis-file", message, "correct `encoding`") from None
        message = f"{path}: not UTF-8 at byte {error.start}"
        raise TreeError("axis-file", message, _advise_encoding(data[:2])) from None
    rows = _parse(text.removeprefix("\ufeff"), path, 1)
    if not isinstance(rows, list):
        raise TreeError(
            "axis-file",
            f"{path}: expected a list of rows",
            "write a list, or one value per line with `format: jsonl`",
        )
    yield from enumerate(rows, 1)


def _parse(text: str, path: str, line: int) -> object:
    """Parse the JSON text that begins at a line of the file."""
    try:
        value, problems = read_json(text)
    except json.JSONDecodeError as error:
        place = _place_text(text, error.pos, path, line)
        raise TreeError("axis-file", f"{place}: invalid JSON: {error.msg}") from None
    if problems:
        place = _place_text(text, problems[0].range[0], path, line)
        raise TreeError("axis-file", f"{place}: {problems[0].message}", problems[0].help)
    return value


def _place_text(text: str, index: int, path: str, line: int) -> str:
    before, column = find_position(text, index)
    return f"{path}:{line + before - 1}:{column}"
