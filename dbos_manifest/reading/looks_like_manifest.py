"""Recognize manifests among other YAML and JSON files, so that no manifest in a folder is skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NEAR = 0.8  # minimum similarity of a misspelled key, of 1
_ESCAPED_LETTER = re.compile(rb"\\(?:u00|x)[4-7]")
_BEFORE_KEY = r"""(?:^[ \t\ufeff\ufffd]*(?:---[ \t]+)?|[{,?][ \t]*)["']?"""
_KEY = re.compile(_BEFORE_KEY + r"(version|workflows)\b", re.MULTILINE)
_NEAR_KEY = re.compile(
    _BEFORE_KEY + r"workflows?\b[\"']?[ \t]*:[ \t]*(?:[\[{#]|$)", re.MULTILINE | re.IGNORECASE
)
_ENTRY = re.compile(
    r"""(?:^[ \t]*-[ \t]+|[{,][ \t]*|^[ \t]+)["']?workflow["']?[ \t]*:[ \t]*[^\s\[{]""", re.MULTILINE
)


def may_be_manifest(content: bytes) -> bool:
    """Return False quickly for a file that cannot be a manifest; other files must be read."""
    if b"\0" in content:  # UTF-16; it is recognized, and rejected later
        content = content.replace(b"\0", b"")
    return b"workflow" in content or _ESCAPED_LETTER.search(content) is not None


def looks_like_manifest(data: object) -> bool:
    """Return whether a document is meant as a manifest, even with a missing or misspelled key."""
    if not isinstance(data, dict):
        return False
    if {"version", "workflows"} <= data.keys():
        return True
    if "name" in data and isinstance(data.get("workflows"), list):
        return True
    import difflib  # loaded only for what may be another file

    near = difflib.get_close_matches("workflows", [str(key) for key in data], 3, _NEAR)
    return any(
        isinstance(item, dict) and "workflow" in item for key in near for item in _items(data.get(key))
    )


def _items(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def text_looks_like_manifest(content: bytes) -> bool:
    """Return the same for a file that cannot be read as YAML, by the words in place of its keys."""
    text = content.replace(b"\0", b"").decode("utf-8", "replace").replace("\r", "\n")
    if {"version", "workflows"} == {*_KEY.findall(text)}:
        return True
    return _NEAR_KEY.search(text) is not None and _ENTRY.search(text) is not None
