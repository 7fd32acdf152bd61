"""Render diagnostics as a SARIF log, for code scanning."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import quote

from ..core.diagnostic import CODES, Diagnostic, Severity
from .text import printable, to_json

MOST_RESULTS = 5_000  # GitHub shows no more of one run
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif_document(diagnostics: Sequence[Diagnostic], version: str) -> str:
    """Return the log of one run. Columns count code points.

    Source: OASIS SARIF 2.1.0; its official schema is checked by the tests.
    """
    codes = sorted({diagnostic.code for diagnostic in diagnostics})
    run = {
        "tool": {
            "driver": {
                "name": "dbos-manifest",
                "version": version,
                "rules": [_rule(code) for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(found, codes) for found in diagnostics[:MOST_RESULTS]],
    }
    return to_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(code: str) -> dict[str, object]:
    info = CODES[code]
    return {
        "id": code,
        "shortDescription": {"text": info.summary},
        "defaultConfiguration": {"level": info.severity.value},
    }


def _result(found: Diagnostic, codes: Sequence[str]) -> dict[str, object]:
    parts = (found.message, found.note, f"help: {found.help}" if found.help else None)
    out: dict[str, object] = {
        "ruleId": found.code,
        "ruleIndex": codes.index(found.code),
        "level": "error" if found.severity is Severity.ERROR else "warning",
        "message": {"text": "\n".join(_plain(part) for part in parts if part)},
    }
    file = found.span.file if found.span else found.file
    if file:
        uri = quote(os.fsencode(file))
        place: dict[str, object] = {
            "artifactLocation": {"uri": f"file://{uri}" if uri.startswith("/") else uri},
            "region": {"startLine": 1},  # code scanning refuses a result without a line
        }
        if (span := found.span) is not None:
            place["region"] = {
                "startLine": span.line,
                "startColumn": span.column,
                "endLine": span.end_line,
                "endColumn": max(span.end_column, span.column),
            }
        out["locations"] = [{"physicalLocation": place}]
    return out


def _plain(text: str) -> str:
    """Escape text. A word joiner prevents an embedded link, `[text](target)`."""
    return printable(text).replace("](", "]\u2060(")
