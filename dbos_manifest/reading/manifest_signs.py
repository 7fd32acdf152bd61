"""Recognizes manifests among other YAML and JSON files, so that a folder skips none, broken ones included."""

from __future__ import annotations

import difflib
import re
from typing import Any

_NEAR = 0.8  # how alike a misspelled key is to the right one, of 1
_ESCAPED_LETTER = re.compile(rb"\\(?:u00|x)[4-7]")
_KEY = re.compile(
    r"""(?:^[ \t\ufeff\ufffd]*(?:---[ \t]+)?|[{,?][ \t]*)["']?(version|workflows)\b""", re.MULTILINE
)


def may_be_manifest(content: bytes) -> bool:
    """Tell quickly that a file cannot be a manifest; all others have to be read."""
    if b"\0" in content:  # UTF-16, which a manifest must not be
        content = content.replace(b"\0", b"")
    return b"workflow" in content or _ESCAPED_LETTER.search(content) is not None


def looks_like_manifest(data: Any) -> bool:
    """Tell whether a document is meant as a manifest, also with a key that is missing or misspelled."""
    if not isinstance(data, dict):
        return False
    if {"version", "workflows"} <= data.keys():
        return True
    if "name" in data and isinstance(data.get("workflows"), list):
        return True
    return any(
        any(isinstance(item, dict) and "workflow" in item for item in data[key])
        for key in difflib.get_close_matches("workflows", [str(key) for key in data], 3, _NEAR)
        if isinstance(data.get(key), list)
    )


def text_looks_like_manifest(content: bytes) -> bool:
    """Tell the same of a file that cannot be read as YAML, by the words where its keys would be."""
    text = content.replace(b"\0", b"").decode("utf-8", "replace").replace("\r", "\n")
    return {"version", "workflows"} == {*_KEY.findall(text)}
