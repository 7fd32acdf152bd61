"""A document's value beside a JSON Schema: accepted fast, or explained in plain words."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from .canonical import canonical_json
from .diagnostic import Diagnostic, Path, Target, make_diagnostic
from .units import parse_duration, parse_timestamp

_KINDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "object": "a map", "array": "a list", "null": "null",
}  # fmt: skip
_DURATIONS, _TIMESTAMPS = ("timeout", "delay"), ("deadline", "not_before")


class Schema:
    """A compiled JSON Schema (2020-12)."""

    def __init__(self, text: str) -> None:
        self.content: dict[str, Any] = json.loads(text)
        self.accepts = jsonschema_rs.validator_for(self.content).is_valid


def check_schema(data: Any, schema: Schema) -> list[Diagnostic]:
    """Every way in which the value departs from the schema; none for a good one, and that quickly."""
    if not isinstance(data, dict):
        message = f"a manifest is a map, and this is {_kind(data)}"
        help = "a manifest starts with `version: 1`, `name: …` and `workflows:`"
        return [make_diagnostic("not-a-manifest", message, help=help)]
    if schema.accepts(data):
        return []
    from jsonschema import Draft202012Validator  # slow to import, and only a bad file needs it

    errors = Draft202012Validator(schema.content).iter_errors(data)
    return [diagnostic for error in errors for diagnostic in _explain(error)]


def _explain(error: Any) -> Iterator[Diagnostic]:
    path: Path = tuple(error.absolute_path)
    rule = error.validator
    if rule == "additionalProperties":
        yield from _unknown_keys(error, path)
    elif rule == "required":
        for key in error.validator_value:
            if key not in error.instance:
                help = f"write `{key}: …`"
                yield make_diagnostic("missing-key", f"`{key}` is missing", path, help=help)
    elif path == ("version",):
        message = f"version {_show(error.instance)} is not known to this program"
        yield make_diagnostic("unsupported-version", message, path, help="write `version: 1`")
    elif rule == "type":
        yield _wrong_type(error, path)
    else:
        yield _invalid_value(error, path)


def _unknown_keys(error: Any, path: Path) -> Iterator[Diagnostic]:
    known = list(error.schema.get("properties", ()))
    for key in error.instance:
        if key not in known and not key.startswith("x-"):
            close = difflib.get_close_matches(key, known, 1)
            help = f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(known)}"
            message = f"unknown key `{key}`"
            yield make_diagnostic("unknown-key", message, (*path, key), target=Target.KEY, help=help)


def _wrong_type(error: Any, path: Path) -> Diagnostic:
    wanted = error.validator_value
    kinds = [wanted] if isinstance(wanted, str) else [kind for kind in wanted if kind != "null"]
    name = path[-1] if path else "the manifest"
    help = None
    if name in (*_DURATIONS, *_TIMESTAMPS):
        help = _advice(parse_duration if name in _DURATIONS else parse_timestamp, error.instance)
    elif name == "args" and isinstance(error.instance, dict):
        help = "positional arguments are a list; named ones go to `kwargs`"
    elif kinds == ["array"]:
        help = f"write `{name}: [{_show(error.instance)}]`, or one `- ` line for each"
    elif kinds == ["string"] and not isinstance(error.instance, (dict, list)):
        help = f'write it in quotes: "{_show(error.instance)}"'
    shown = f"entry {name + 1}" if isinstance(name, int) else f"`{name}`"
    message = f"{shown} is {_kind(error.instance)}, and takes {' or '.join(_KINDS[kind] for kind in kinds)}"
    return make_diagnostic("wrong-type", message, path, help=help)


def _invalid_value(error: Any, path: Path) -> Diagnostic:
    name, value, limit = path[-1] if path else "", error.instance, error.validator_value
    help = None
    if error.validator == "enum":
        choices = [str(choice) for choice in limit if choice is not None]
        close = difflib.get_close_matches(str(value), choices, 1)
        help = f"did you mean `{close[0]}`?" if close else f"write one of {', '.join(choices)}"
    elif name in (*_DURATIONS, *_TIMESTAMPS):
        help = _advice(parse_duration if name in _DURATIONS else parse_timestamp, value)
    elif error.validator == "pattern":
        help = "use letters, digits, `.`, `_` and `-`, a letter or digit first and last"
    elif error.validator in ("minimum", "maximum"):
        help = f"the {'least' if error.validator == 'minimum' else 'most'} is {limit}"
    elif error.validator == "minItems":
        return make_diagnostic("invalid-value", f"`{name}` is empty", path, help="write at least one entry")
    elif error.validator == "maxLength":
        help = f"at most {limit} characters"
    return make_diagnostic("invalid-value", f"`{name}` cannot be {_show(value)}", path, help=help)


def _advice(parse: Any, value: object) -> str | None:
    try:
        parse(value)
    except ValueError as error:
        return str(error)
    return None


def _show(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    text = text if len(text) <= 60 else f"{text[:59]}…"
    return f"`{text}`" if isinstance(value, str) else text


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return _KINDS[names[type(value)]]
