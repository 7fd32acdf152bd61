"""A manifest in, its workflows out: one WorkflowSpec after the other, in manifest order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from .diagnostic import Diagnostic, Path, Target, make_diagnostic
from .manifest import Manifest
from .spec import WorkflowSpec, default_id
from .units import parse_duration, parse_timestamp

EXPRESSION_MARK = "${{"
REQUIRED_OPTIONS = ("workflow", "queue")
_UNIT_FREE_OPTIONS = frozenset(WorkflowSpec._fields) - {
    "entry", "timeout_ms", "deadline_ms", "not_before_ms", "delay_ms",
}  # fmt: skip

Report = Callable[[Diagnostic], None]


def _parse_positive_duration(text: object) -> int:
    milliseconds = parse_duration(text)
    if milliseconds == 0:
        raise ValueError(f"`{text}` is not above zero: write a longer one, or leave the option out")
    return milliseconds


class _TimeOption(NamedTuple):
    field: str  # of WorkflowSpec
    parse: Callable[[object], int]
    code: str  # when the text cannot be read


_TIME_OPTIONS = {
    "timeout": _TimeOption("timeout_ms", _parse_positive_duration, "invalid-duration"),
    "delay": _TimeOption("delay_ms", _parse_positive_duration, "invalid-duration"),
    "deadline": _TimeOption("deadline_ms", parse_timestamp, "invalid-timestamp"),
    "not_before": _TimeOption("not_before_ms", parse_timestamp, "invalid-timestamp"),
}


def expand_manifest(manifest: Manifest, report: Report) -> Iterator[WorkflowSpec]:
    """Every workflow the manifest asks for; what is wrong with one is reported and never hides the next.

    An entry's option stands over the defaults' and these over the manifest's: a map replaces, null unsets.
    Shape:  an unreadable duration or date-time is reported and left unset, so that the rest of its entry
            can still be checked; an entry without `workflow` or `queue`, or with an expression, is
            reported and yields nothing. So after a report the specs are for checking only.
    Units:  "30s" becomes `timeout_ms` 30000; instants are epoch milliseconds, UTC.
    """
    readable = not _report_expressions(manifest.defaults, ("defaults",), report)
    base = {"application": manifest.application, "runtime": manifest.runtime}
    if readable:
        base |= _read_options(manifest.defaults, ("defaults",), report)
    for index, entry in enumerate(manifest.entries):
        path = ("workflows", index)
        if _report_expressions(entry, path, report) or not readable:
            continue
        options = base | _read_options(entry, path, report)
        fields = {name: value for name, value in options.items() if value is not None}
        missing = [option for option in REQUIRED_OPTIONS if option not in fields]
        for option in missing:
            report(_missing_option(option, entry, path))
        if not missing:
            yield _make_spec(manifest, index, fields)


def _read_options(options: Mapping[str, Any], path: Path, report: Report) -> dict[str, Any]:
    """The options under the names and in the units of WorkflowSpec; `x-…` keys are the user's own."""
    fields: dict[str, Any] = {}
    for option, value in options.items():
        if option in _UNIT_FREE_OPTIONS:
            fields[option] = value
        elif option in _TIME_OPTIONS:
            field, parse, code = _TIME_OPTIONS[option]
            fields[field] = None
            if value is not None:
                try:
                    fields[field] = parse(value)
                except ValueError as error:
                    report(make_diagnostic(code, f"`{option}`: {error}", (*path, option)))
    return fields


def _make_spec(manifest: Manifest, index: int, fields: dict[str, Any]) -> WorkflowSpec:
    spec = WorkflowSpec(**{"id": "", "args": [], "kwargs": {}, **fields, "entry": index})
    return spec if "id" in fields else spec._replace(id=default_id(manifest.name, spec))


def _missing_option(option: str, entry: Mapping[str, Any], path: Path) -> Diagnostic:
    return make_diagnostic(
        "missing-option",
        f"the workflow has no `{option}`",
        (*path, option) if option in entry else path,
        help=f"write `{option}: …` in the entry or under `defaults`",
    )


def _report_expressions(options: Mapping[str, Any], path: Path, report: Report) -> bool:
    """Whether there are any. Their meaning comes with a later version, so they are no plain text now."""
    if EXPRESSION_MARK not in repr(options):  # exact, and at C speed: no JSON syntax has a `$`
        return False
    own = {key: value for key, value in options.items() if not key.startswith("x-")}
    places = list(_find_expressions(own, path))
    for place, target in places:
        report(
            make_diagnostic(
                "unsupported-expression",
                "`${{ … }}` is reserved: this version has no expressions",
                place,
                target=target,
                help="write the value itself",
            )
        )
    return bool(places)


def _find_expressions(value: Any, path: Path) -> Iterator[tuple[Path, Target]]:
    if isinstance(value, str):
        if EXPRESSION_MARK in value:
            yield path, Target.VALUE
    elif isinstance(value, dict):
        for key, item in value.items():
            if EXPRESSION_MARK in key:
                yield (*path, key), Target.KEY
            yield from _find_expressions(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _find_expressions(item, (*path, index))
