"""Read YAML scalars by the core schema of YAML 1.2, as far as JSON can hold their values.

Source: YAML 1.2.2 §10.3; https://yaml.org/type for what YAML 1.1 reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml

MAX_SCALAR = 16 * 2**20  # characters
MAX_DIGITS = 1000

TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CONSTANTS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_TYPES: dict[str, type] = {"null": type(None), "bool": bool, "int": int, "float": float}  # by tag
_MAYBE_NUMBER = frozenset("0123456789+-.")
MAYBE_YAML11 = frozenset("yYnNoO0123456789+-.=")  # first characters of what YAML 1.1 may read otherwise
_resolve_yaml11: Callable[[type, str, tuple[bool, bool]], str] = yaml.resolver.Resolver().resolve
_YAML11_NAMES = {"str": "text", "bool": "true or false", "timestamp": "a date"}  # by tag


class ScalarError(Exception):
    """A scalar without a JSON value. `code` is a diagnostic's."""

    def __init__(self, code: str, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help


def read_plain(text: str) -> str | int | float | bool | None:
    """Read a scalar that has no quotes and no tag.

    Raises: ScalarError.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    value = _read_number(text) if text[0] in _MAYBE_NUMBER else text
    if value is text and (len(text) > MAX_SCALAR or "\0" in text or not text.isascii()):
        check_text(text)
    return value


def read_tagged(tag: str, text: str) -> str | int | float | bool | None:
    """Read a scalar with a tag other than `!`.

    Raises: ScalarError, also for a tag of another type.
    """
    kind = tag.removeprefix(TAG)
    if kind == "str":
        check_text(text)
        return text
    if kind == "binary":
        raise ScalarError("not-portable", "JSON has no binary values", "write it as text, such as base64")
    if kind not in _TYPES:
        raise ScalarError("unknown-tag", f"the tag `{tag}` has no JSON value", "remove the tag")
    value: str | int | float | bool | None = _CONSTANTS.get(text, text)
    if kind in ("int", "float") and value is text and text:
        value = _read_number(text)
        if kind == "float" and type(value) is int:
            value = float(value)
    if type(value) is not _TYPES[kind]:
        raise ScalarError("unknown-tag", f"`{text}` does not have the type of its tag `!!{kind}`")
    return value


def _read_number(text: str) -> str | int | float:
    if _INT.fullmatch(text):
        if len(text) > MAX_DIGITS:
            message = f"an integer has more than {MAX_DIGITS} digits"
            raise ScalarError("not-portable", message, "write it in quotes")
        return int(text, 8 if text[:2] == "0o" else 16 if text[:2] == "0x" else 10)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ScalarError("not-portable", f"{text} is out of range for a number", "write it in quotes")
        return number
    if _SPECIAL_FLOAT.fullmatch(text):
        raise ScalarError("not-portable", f"JSON has no `{text}`", "write it in quotes, or remove it")
    return text


def is_plain_text(text: str) -> bool:
    """Return whether a scalar without quotes and without a tag is text."""
    return text not in _CONSTANTS and not _INT.fullmatch(text) and not _FLOAT.fullmatch(text)


def check_text(text: str) -> None:
    """Raise ScalarError for text that is too long or that JSON or a database cannot hold."""
    if len(text) > MAX_SCALAR:
        raise ScalarError("too-large", f"text is longer than {MAX_SCALAR // 2**20} MiB")
    if "\0" in text:
        raise ScalarError("not-portable", "text contains a NUL character, which databases cannot store")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ScalarError("not-portable", "text contains a lone surrogate, which is not valid Unicode")


def compare_with_yaml11(text: str, value: object) -> tuple[str, str] | None:
    """Return message and help for a plain scalar that YAML 1.1 tools read as another value."""
    if text in _CONSTANTS or (type(value) is int and text[0] in "123456789" and text.isdigit()):
        return None
    tag = _resolve_yaml11(yaml.ScalarNode, text, (True, False)).removeprefix(TAG)
    now = "str" if value is text else "int" if type(value) is int else "float"
    octal = tag == "int" and now == "int" and re.fullmatch(r"[-+]?0[0-9]+", text)
    if tag in (now, "value", "merge") and not octal:
        return None
    number = "a number" if now == "str" else "another number"
    other = number if tag in ("int", "float") else _YAML11_NAMES.get(tag, tag)
    here = "text" if now == "str" else f"the number {value}"
    help = f'quote it to be clear: "{text}"' if now == "str" else f'write {value}, or in quotes "{text}"'
    return f"`{text}` is {here} here, but {other} to YAML 1.1 tools", help
