"""Test axis files: delimiters, encodings, blank rows, and the lines of problems."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbos_manifest.expansion.axis import AxisError
from dbos_manifest.expansion.axis_values import make_axis
from dbos_manifest.files.folder_tree import FolderTree


def rows_of(folder: Path, content: bytes, name: str = "rows.csv", **options: Any) -> list[Any]:
    (folder / name).write_bytes(content)
    found = make_axis("row", {"file": {"path": name, **options}}, FolderTree(folder), 10_000)
    rows = list(found.values())
    assert found.count == len(rows)
    return rows


def problem(folder: Path, content: bytes, name: str = "rows.csv", **options: Any) -> AxisError:
    with pytest.raises(AxisError) as caught:
        rows_of(folder, content, name, **options)
    return caught.value


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ":", " "])
def test_delimiter_option_is_used(tmp_path: Path, delimiter: str) -> None:
    text = "id,name\n1,a\n2,b\n".replace(",", delimiter)
    assert rows_of(tmp_path, text.encode(), delimiter=delimiter) == [
        {"id": "1", "name": "a"},
        {"id": "2", "name": "b"},
    ]


@pytest.mark.parametrize(
    "encoding",
    ["windows-1252", "latin-1", "cp1252", "UTF-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"],
)
def test_encoding_option_is_used(tmp_path: Path, encoding: str) -> None:
    content = "id;name\r\n1;Zürich\r\n\r\n2;Café\r\n".encode(encoding)
    assert rows_of(tmp_path, content, delimiter=";", encoding=encoding) == [
        {"id": "1", "name": "Zürich"},
        {"id": "2", "name": "Café"},
    ]
    lines = '{"name": "Zürich"}\n\n"Café"'.encode(encoding)
    assert rows_of(tmp_path, lines, "rows.jsonl", encoding=encoding) == [{"name": "Zürich"}, "Café"]
    assert rows_of(tmp_path, '["Zürich"]'.encode(encoding), "rows.json", encoding=encoding) == ["Zürich"]


@settings(deadline=None, max_examples=50)
@given(
    rows=st.lists(st.lists(st.text("aü€;, \"\n'", max_size=6), min_size=2, max_size=2), max_size=20),
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-be", "windows-1252"]),
)
def test_files_of_the_csv_module_are_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str, encoding: str
) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([["id", "name"], ["first", ""], *rows])
    expected = [{"id": "first", "name": ""}]
    expected += [{"id": first, "name": second} for first, second in rows if (first + second).strip()]
    folder = tmp_path_factory.mktemp("rows")
    content = text.getvalue().encode(encoding)
    assert rows_of(folder, content, delimiter=delimiter, encoding=encoding) == expected


@pytest.mark.parametrize("blank", ["", ",,", '"",,""', " , ,\t", ",", ",,,,", "   "])
def test_row_without_values_is_skipped(tmp_path: Path, blank: str) -> None:
    content = f"id,name,country\r\n1,a,de\r\n{blank}\r\n{blank}\r\n2,,\r\n{blank}".encode()
    assert [row["id"] for row in rows_of(tmp_path, content)] == ["1", "2"]
    alone = f"id,name,country\r\n{blank}\r\n".encode()
    assert "has no rows" in problem(tmp_path, alone).message


def test_row_without_values_is_skipped_in_every_format(tmp_path: Path) -> None:
    assert rows_of(tmp_path, b"\n \nid;name\n;\n1;a\n;;\n", delimiter=";") == [{"id": "1", "name": "a"}]
    assert rows_of(tmp_path, b'id\n""\n1\n\n') == [{"id": "1"}]
    assert rows_of(tmp_path, b'\n{"id": ""}\n  \n\n""\n', "rows.jsonl") == [{"id": ""}, ""]


@pytest.mark.parametrize(
    ("content", "line", "seems", "write"),
    [
        (b"id;name\n1;a\n", 1, "`;`", 'delimiter: ";"'),
        (b"id\tname\n1\ta\n", 1, "a tab", 'delimiter: "\\t"'),
        (b"id|name;x|y\n", 1, "`|`", 'delimiter: "|"'),
        (b"\xef\xbb\xbf\n\nid;name\n1;a\n", 3, "`;`", 'delimiter: ";"'),
        (b"id;name;price, net\n1;a;2\n", 2, "`;`", 'delimiter: ";"'),
    ],
)
def test_other_delimiter_in_the_file_is_suggested(
    tmp_path: Path, content: bytes, line: int, seems: str, write: str
) -> None:
    found = problem(tmp_path, content)
    assert f"rows.csv:{line}: " in found.message
    assert f"the file seems to use {seems}" in found.message
    assert write in str(found.help)


def test_delimiter_that_the_file_does_not_use_is_reported(tmp_path: Path) -> None:
    found = problem(tmp_path, b"id,name\n1,a\n", delimiter=";")
    assert "rows.csv:1: expected `;` in the first line; the file seems to use `,`" in found.message


def test_quoted_column_name_may_contain_the_delimiter(tmp_path: Path) -> None:
    assert rows_of(tmp_path, b'"id;name"\n1;a\n') == [{"id;name": "1;a"}]
    assert rows_of(tmp_path, b"id,a;b\n1,2;3\n") == [{"id": "1", "a;b": "2;3"}]


def test_delimiter_line_of_a_spreadsheet_is_reported(tmp_path: Path) -> None:
    assert "delete the line" in str(problem(tmp_path, b"sep=;\r\nid;name\r\n1;a\r\n").help)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b'id,name\n1,"two\nlines"\n\n2\n', 5, "expected 2 columns, as in the first line, found 1"),
        (b'id,name\n1,"a"\n2,"open\n3,b\n', 3, "unexpected end of data"),
        (b'id,name\n1,"a\nb"\n2,"c"d\n', 4, "invalid CSV"),
        (b"id,name\r1,a\r2,b\r", 1, "new-line character"),
        (b'id,"name\n\n"\n1,a\n\n\n2\n', 7, "expected 2 columns, as in the first line, found 1"),
    ],
)
def test_problem_is_reported_at_the_first_line_of_its_row(
    tmp_path: Path, content: bytes, line: int, words: str
) -> None:
    found = problem(tmp_path, content)
    assert f"rows.csv:{line}: " in found.message
    assert words in found.message


@pytest.mark.parametrize("before", [b",\n", b" , \r\n\n", b'"",\n,,,\n'])
def test_empty_rows_before_the_header_are_skipped(tmp_path: Path, before: bytes) -> None:
    assert rows_of(tmp_path, before + b"id,name\n1,a\n") == [{"id": "1", "name": "a"}]
    line = before.count(b"\n") + 2
    assert f"rows.csv:{line}: expected 2 columns" in problem(tmp_path, before + b"id,name\n1\n").message


def test_column_without_a_name_is_reported(tmp_path: Path) -> None:
    found = problem(tmp_path, b"id,name,\n1,a,\n")
    assert "rows.csv:1: column 3 has no name" in found.message
    assert "delete the column" in str(found.help)


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("rows.jsonl", b"1\n[1,\n", "2:4: invalid JSON"),
        ("rows.jsonl", b'1\r\n\r\n{"a": 1, "a": 2}\r\n', "3:10: `a` occurs twice"),
        ("rows.jsonl", b"1\n[NaN]\n", "2:2: JSON has no `NaN`"),
        ("rows.json", b"[1,\n2,\n x]", "3:2: invalid JSON"),
        ("rows.json", b'[\r\n{"a": 1,\r\n"a": 2}]', "3:1: `a` occurs twice"),
        ("rows.json", b"\xef\xbb\xbf[\n1e999]", "2:1: 1e999 is out of range"),
    ],
)
def test_problem_in_json_has_line_and_column(tmp_path: Path, name: str, content: bytes, place: str) -> None:
    assert f"{name}:{place}" in problem(tmp_path, content, name).message


def test_problem_in_a_row_of_a_json_file_names_the_row(tmp_path: Path) -> None:
    found = problem(tmp_path, b'\n\n[{"id": 1},\n\n{"no": 2}]', "rows.json", select={"id": 1})
    assert "rows.json: row 2: the row has no column `id`" in found.message


@pytest.mark.parametrize(
    ("content", "line", "help"),
    [
        ('1\n2\n"Zürich"\n'.encode("windows-1252"), 3, "encoding: windows-1252"),
        ("1\n2\n".encode("utf-16"), 1, "encoding: utf-16"),
        ("1\n2\n".encode("utf-16-le"), 1, "encoding: utf-16-le"),
    ],
)
def test_message_about_a_wrong_encoding_names_the_option(
    tmp_path: Path, content: bytes, line: int, help: str
) -> None:
    for name in ("rows.csv", "rows.jsonl"):
        found = problem(tmp_path, content, name)
        assert f"{name}:{line}: " in found.message
        assert help in str(found.help)


def test_hint_about_a_json_file_in_another_encoding_names_the_encoding(tmp_path: Path) -> None:
    assert "encoding: windows-1252" in str(problem(tmp_path, b'["Z\xfcrich"]', "rows.json").help)
    assert "encoding: utf-16" in str(problem(tmp_path, '["a"]'.encode("utf-16"), "rows.json").help)


def test_file_that_does_not_have_the_given_encoding_is_reported(tmp_path: Path) -> None:
    marked = problem(tmp_path, b"\xef\xbb\xbfid,name\n1,a\n", encoding="windows-1252")
    assert "byte order mark of UTF-8" in marked.message
    broken = problem(tmp_path, b"id,name\n1,a\n2,\x81\n", encoding="windows-1252")
    assert "rows.csv:3: not cp1252" in broken.message
    assert "`encoding`" in str(broken.help)
    cut = problem(tmp_path, "id\n1\n".encode("utf-16-le")[:-1], encoding="utf-16-le")
    assert "rows.csv:2: not utf-16-le" in cut.message


@pytest.mark.parametrize(
    "encoding", ["windows-1251x", "rot13", "base64", "idna", "unicode_escape", "no\0", "undefined"]
)
def test_unknown_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    found = problem(tmp_path, b"id\n1\n", encoding=encoding)
    assert "unknown encoding" in found.message
    assert found.path == ("file", "encoding")


def test_delimiter_is_refused_for_formats_other_than_csv(tmp_path: Path) -> None:
    assert problem(tmp_path, b"1\n", "rows.jsonl", delimiter=";").path == ("file", "delimiter")


def test_order_desc_starts_with_the_last_row(tmp_path: Path) -> None:
    content = b"id\n1\n2\n3\n"
    assert [row["id"] for row in rows_of(tmp_path, content, order="desc")] == ["3", "2", "1"]
    assert [row["id"] for row in rows_of(tmp_path, content, order="asc")] == ["1", "2", "3"]
    chosen = rows_of(tmp_path, content, order="desc", select={"id": [1, 3]})
    assert [row["id"] for row in chosen] == ["3", "1"]


def test_large_file_is_read_backwards_in_parts(tmp_path: Path) -> None:
    """The file is read once for each part that fits into memory."""
    wide = "x" * 900_000
    content = "".join(f'{{"id": {number}, "text": "{wide}"}}\n' for number in range(90)).encode()
    rows = rows_of(tmp_path, content, "rows.jsonl", order="desc")
    assert [row["id"] for row in rows] == list(range(89, -1, -1))
