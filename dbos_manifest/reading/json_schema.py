"""A document's value beside a JSON Schema: accepted fast, or explained in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from ..core.canonical_json import canonical_json
from ..core.diagnostic import SOURCE_IN_QUOTES, Diagnostic, Path, Target, make_diagnostic
from ..core.suggest import suggest
from ..core.units import parse_duration, parse_timestamp
from ..expressions.syntax import MARK

_KINDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "object": "a map", "array": "a list", "null": "null",
}  # fmt: skip
_NAMES_HELP = "use ASCII letters, digits, `_` and, in the middle, `-`; no digit first"
_TAKES_EXPRESSION = "x-takes-expression"
_EXPRESSION = {"$ref": "#/$defs/expression"}
_DURATIONS, _TIMESTAMPS = ("timeout", "delay"), ("deadline", "not_before")
_MOMENT = 'write a date or a date-time in quotes: "2026-01-31"'
_ZONE = "write an IANA name, as `Europe/Berlin`"
_FORMS: dict[Path, str] = {  # of texts that have a form, so that quotes alone would not do
    ("limits", "max_input_bytes"): "write a size with its unit: `64KiB`, `1MiB`",
    ("date_range", "step"): "write one number and one unit: `15m`, `1h`, `1d`, `1w`, `1mo` or `1y`",
    ("date_range", "start"): _MOMENT,
    ("date_range", "end"): _MOMENT,
    ("date_range", "timezone"): _ZONE,
    ("cron", "start"): _MOMENT,
    ("cron", "end"): _MOMENT,
    ("cron", "timezone"): _ZONE,
    ("cron", "schedule"): 'write 5 or 6 fields in quotes: "0 5 * * *"',
    ("file", "delimiter"): r"""write one character in double quotes: `";"`, or `"\t"` for a tab""",
}


class Schema:
    """A compiled JSON Schema (2020-12). Explained is what holds beside expressions, which it accepts too."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.plain: dict[str, Any] = _without_expressions(content)
        self.accepts = jsonschema_rs.validator_for(content).is_valid

    def of_option(self, option: str) -> Schema:
        """The schema of a map with this one option of a workflow, its expressions evaluated."""
        properties = {option: self.plain["$defs"]["workflow"]["properties"][option]}
        return Schema({"type": "object", "properties": properties, "$defs": self.plain["$defs"]})


def _without_expressions(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_expressions(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if _EXPRESSION in schema.get("anyOf", ()):
        kept = {key: value for key, value in schema.items() if key != "anyOf"}
        schema = {**kept, **schema["anyOf"][0], _TAKES_EXPRESSION: True}
    return {key: _without_expressions(value) for key, value in schema.items()}


def check_schema(data: Any, schema: Schema) -> list[Diagnostic]:
    """Every way in which the value departs from the schema; none for a good one, and that quickly."""
    if not isinstance(data, dict):
        message = f"a manifest is a map, and this is {_kind(data)}"
        help = "a manifest starts with `version: 1`, `name: …` and `workflows:`"
        return [make_diagnostic("not-a-manifest", message, help=help)]
    if schema.accepts(data):
        return []
    from jsonschema import Draft202012Validator  # slow to import, and only a bad file needs it

    errors = list(Draft202012Validator(schema.plain).iter_errors(data))
    found = [diagnostic for error in errors if not _is_expression(error) for diagnostic in _explain(error)]
    return list(dict.fromkeys(found))  # each missing key is an error of its own, that names them all


def _is_expression(error: Any) -> bool:
    """Tell whether the schema without expressions rejects a value that is one, where one may be."""
    value = error.instance
    return isinstance(value, str) and MARK in value and _TAKES_EXPRESSION in error.schema


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
    elif rule == "maxProperties":
        names = ", ".join(f"`{name}`" for name in error.schema["properties"])
        yield make_diagnostic("invalid-value", f"`{path[-1]}` is more than one of {names}", path)
    elif rule == "minProperties":
        yield make_diagnostic("invalid-value", f"`{path[-1] if path else 'the map'}` is empty", path)
    else:
        yield _invalid_value(error, path)


def _unknown_keys(error: Any, path: Path) -> Iterator[Diagnostic]:
    known = list(error.schema.get("properties", ()))
    for key in error.instance:
        if key not in known and not key.startswith("x-"):
            help = suggest(key, known) or f"known here: {', '.join(known)}"
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
        help = _list_help(name, error)
    elif kinds == ["string"] and not isinstance(error.instance, (dict, list)):
        help = _FORMS.get(path[-2:], SOURCE_IN_QUOTES)
    shown = f"entry {name + 1}" if isinstance(name, int) else f"`{name}`"
    first, *others = (_KINDS[kind] for kind in kinds)
    expected = " or ".join([first, *(kind.removeprefix("a ") for kind in others)])
    message = f"expected {expected} for {shown}, found {_kind(error.instance)}"
    return make_diagnostic("wrong-type", message, path, help=help)


def _list_help(name: Any, error: Any) -> str:
    """How to write the one value as a list, if it may be an item of it."""
    items = error.schema.get("items", {})
    value = error.instance
    if items.get("type") == "string" and not isinstance(value, (str, dict, list)):
        value = canonical_json(value)
    fits = not items or (isinstance(value, str) and items.get("type") == "string")
    text = canonical_json(value)
    return (
        f"write `{name}: [{text}]`"
        if fits and len(text) <= 60
        else f"write one `- ` line for each item of `{name}`"
    )


def _invalid_value(error: Any, path: Path) -> Diagnostic:
    name, value, limit = path[-1] if path else "", error.instance, error.validator_value
    help = None
    if error.validator == "enum":
        choices = [str(choice) for choice in limit if choice is not None]
        help = suggest(str(value), choices) or f"write one of {', '.join(choices)}"
    elif name in (*_DURATIONS, *_TIMESTAMPS):
        help = _advice(parse_duration if name in _DURATIONS else parse_timestamp, value)
    elif "propertyNames" in error.absolute_schema_path:
        message = f"`{value}` is no name that an expression can write"
        return make_diagnostic("invalid-value", message, (*path, value), target=Target.KEY, help=_NAMES_HELP)
    elif error.validator == "not":
        return make_diagnostic(
            "invalid-value",
            f"`{name}` is not free as a name",
            path,
            target=Target.KEY,
            help="take another name",
        )
    elif path[-2:] in _FORMS:
        help = _FORMS[path[-2:]]
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
