"""Check values by a JSON Schema: quickly for a valid value, and with a diagnostic for each violation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema_rs

from ..core.canonical_json import canonical_json
from ..core.diagnostic import SOURCE_IN_QUOTES, Diagnostic, ValuePath, make_diagnostic
from ..core.suggest import suggest
from ..core.units import parse_duration, parse_timestamp
from ..expressions.syntax import MARK

if TYPE_CHECKING:
    from jsonschema import ValidationError

_KINDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "object": "a map", "array": "a list", "null": "null",
}  # fmt: skip
_NAMES_HELP = "use ASCII letters, digits, `_` and `-`; start with a letter or `_`, and do not end with `-`"
_TAKES_EXPRESSION = "x-takes-expression"
_EXPRESSION = {"$ref": "#/$defs/expression"}
_DURATIONS, _TIMESTAMPS = ("timeout", "delay"), ("deadline", "not_before")
_MOMENT = 'write a date or a date-time in quotes: "2026-01-31"'
_ZONE = "write an IANA name, such as `Europe/Berlin`"
_FORMS: dict[ValuePath, str] = {  # of texts with a format, by the last two keys of their path
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
    """A compiled JSON Schema (2020-12).

    Where the schema allows an expression as well as a value, diagnostics describe the value only.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.plain: dict[str, Any] = _without_expressions(content)
        self.accepts = jsonschema_rs.validator_for(content).is_valid

    def of_option(self, option: str) -> Schema:
        """Return the schema of a map with only this option of a workflow, without expressions."""
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


class _Violation(NamedTuple):
    """A keyword of a schema that a value breaks."""

    path: ValuePath
    keyword: str
    expected: Any  # the value of the keyword
    found: object
    schema: Mapping[str, Any]  # the part that has the keyword
    of_name: bool  # whether `found` is a key of a map

    @property
    def name(self) -> str | int:
        return self.path[-1] if self.path else ""


def check_schema(data: object, schema: Schema) -> list[Diagnostic]:
    """Return a diagnostic for each violation of a schema."""
    if not isinstance(data, dict):
        message = f"expected a map as the manifest, found {_kind(data)}"
        help = "a manifest starts with `version: 1`, `name: …` and `workflows:`"
        return [make_diagnostic("not-a-manifest", message, help=help)]
    if schema.accepts(data):
        return []
    from jsonschema import Draft202012Validator  # slow to import, and only an invalid file needs it

    violations = [*map(_read_error, Draft202012Validator(schema.plain).iter_errors(data))]
    found = [one for violation in violations if not _is_expression(violation) for one in _explain(violation)]
    return list(dict.fromkeys(found))  # the library has an error per missing key, and each names them all


def _read_error(error: ValidationError) -> _Violation:
    assert isinstance(error.schema, Mapping)
    return _Violation(
        tuple(error.absolute_path),
        str(error.validator),
        error.validator_value,
        error.instance,
        error.schema,
        "propertyNames" in error.absolute_schema_path,
    )


def _is_expression(violation: _Violation) -> bool:
    """Return whether the value is an expression where the schema allows one."""
    value = violation.found
    return isinstance(value, str) and MARK in value and _TAKES_EXPRESSION in violation.schema


def _explain(violation: _Violation) -> Iterator[Diagnostic]:
    path, keyword, found = violation.path, violation.keyword, violation.found
    if keyword == "additionalProperties" and isinstance(found, dict):
        known = list(violation.schema.get("properties", ()))
        for key in found:
            if key not in known and not key.startswith("x-"):
                yield _unknown_key((*path, key), known)
    elif keyword == "required" and isinstance(found, dict):
        for key in violation.expected:
            if key not in found:
                yield make_diagnostic("missing-key", f"`{key}` is missing", path, help=f"write `{key}: …`")
    elif path == ("version",):
        message = f"unsupported manifest version {_show(found)}"
        yield make_diagnostic("unsupported-version", message, path, help="write `version: 1`")
    elif keyword == "type":
        yield _wrong_type(violation)
    elif keyword == "maxProperties":
        names = ", ".join(f"`{name}`" for name in violation.schema["properties"])
        yield make_diagnostic("invalid-value", f"`{path[-1]}` has more than one of {names}", path)
    elif keyword == "minProperties":
        yield make_diagnostic("invalid-value", f"{_name_of(path)} is empty", path)
    else:
        yield _invalid_value(violation)


def _unknown_key(path: ValuePath, known: list[str]) -> Diagnostic:
    key = str(path[-1])
    help = suggest(key, known) or f"expected one of: {', '.join(known)}"
    return make_diagnostic("unknown-key", f"unknown key `{key}`", path, at_key=True, help=help)


def _name_of(path: ValuePath) -> str:
    """Name a map: by its key, or by the list that it is in."""
    if not path:
        return "the map"
    return f"`{path[-1]}`" if isinstance(path[-1], str) else f"an item of `{path[-2]}`"


def _wrong_type(violation: _Violation) -> Diagnostic:
    path, wanted, found = violation.path, violation.expected, violation.found
    kinds = [wanted] if isinstance(wanted, str) else [kind for kind in wanted if kind != "null"]
    name = path[-1] if path else "the manifest"
    help = None
    if name in (*_DURATIONS, *_TIMESTAMPS):
        help = _error_of(parse_duration if name in _DURATIONS else parse_timestamp, found)
    elif name == "args" and isinstance(found, dict):
        help = "write positional arguments as a list, and named arguments under `kwargs`"
    elif kinds == ["array"]:
        help = _list_help(name, found, violation.schema.get("items", {}))
    elif kinds == ["string"] and not isinstance(found, (dict, list)):
        help = _FORMS.get(path[-2:], SOURCE_IN_QUOTES)
    shown = f"entry {name + 1}" if isinstance(name, int) else f"`{name}`"
    first, *others = (_KINDS[kind] for kind in kinds)
    expected = " or ".join([first, *(kind.removeprefix("a ") for kind in others)])
    message = f"expected {expected} for {shown}, found {_kind(found)}"
    return make_diagnostic("wrong-type", message, path, help=help)


def _list_help(name: str | int, value: object, items: Mapping[str, object]) -> str:
    """Return how to write a value as a list of one item, if the schema of items allows it."""
    is_text = items.get("type") == "string"
    if is_text and not isinstance(value, (str, dict, list)):
        value = canonical_json(value)
    fits = not items or (is_text and isinstance(value, str))
    text = canonical_json(value)
    if fits and len(text) <= 60:
        return f"write `{name}: [{text}]`"
    return f"write one `- ` line for each item of `{name}`"


def _invalid_value(violation: _Violation) -> Diagnostic:
    path, name, value = violation.path, violation.name, violation.found
    keyword = violation.keyword
    if keyword != "enum" and violation.of_name and name not in (*_DURATIONS, *_TIMESTAMPS):
        path, message, help = (*path, str(value)), f"`{value}` is not a valid name", _NAMES_HELP
        return make_diagnostic("invalid-value", message, path, at_key=True, help=help)
    if keyword == "not":
        message, help = f"`{name}` is a reserved name", "use another name"
        return make_diagnostic("invalid-value", message, path, at_key=True, help=help)
    if keyword == "minLength" and value == "" and path[-2:] not in _FORMS:
        return make_diagnostic(
            "invalid-value", f"`{name}` is empty", path, help="give it a value, or remove the key"
        )
    if keyword == "minItems":
        return make_diagnostic("invalid-value", f"`{name}` is empty", path, help="write at least one entry")
    message = f"`{name}` cannot be {_show(value)}"
    return make_diagnostic("invalid-value", message, path, help=_value_help(violation))


def _value_help(violation: _Violation) -> str | None:
    path, name, keyword, limit = violation.path, violation.name, violation.keyword, violation.expected
    if keyword == "enum":
        choices = [str(choice) for choice in limit if choice is not None]
        return suggest(str(violation.found), choices) or f"write one of {', '.join(choices)}"
    if name in (*_DURATIONS, *_TIMESTAMPS):
        return _error_of(parse_duration if name in _DURATIONS else parse_timestamp, violation.found)
    if path[-2:] in _FORMS:
        return _FORMS[path[-2:]]
    return {
        "pattern": "use letters, digits, `.`, `_` and `-`; start and end with a letter or digit",
        "minimum": f"the minimum is {limit}",
        "maximum": f"the maximum is {limit}",
        "maxLength": f"use at most {limit} characters",
    }.get(keyword)


def _error_of(parse: Callable[[object], object], value: object) -> str | None:
    try:
        parse(value)
    except ValueError as error:
        return str(error)
    return None


def _show(value: object) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    text = text if len(text) <= 60 else f"{text[:59]}…"
    return f"`{text}`" if isinstance(value, str) else text


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    names = {int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return _KINDS[names[type(value)]]
