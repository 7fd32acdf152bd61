"""Read the parts of an entry: its plain fields, its matrix, and the variables of its expressions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ..core.diagnostic import Diagnostic, Fragment, ValuePath, make_diagnostic
from ..core.suggest import did_you_mean
from ..expressions.compiled import DiagnosticError, resolve_constants
from ..expressions.syntax import MARK, ExpressionError, parse_template
from ..manifest.manifest import Manifest
from ..workflows.options import PLAIN_OPTIONS, TIME_OPTIONS, read_plain_option
from .axis import Axis, AxisError
from .axis_values import make_axis
from .compiled_options import CheckOption, relocate
from .matrix import MAX_AXES, Matrix

RULES = ("exclude", "include")  # of a matrix
MAX_UNMARKED = 100  # warnings of one manifest
_UNMARKED = re.compile(
    r"(?<![${])\{{2,}\s*([A-Za-z_][A-Za-z0-9_-]*)(?:\s*\.\s*([A-Za-z_][A-Za-z0-9_-]*))?[^{}]*\}\}", re.ASCII
)


def read_matrix(
    raw: Mapping[str, Any],
    path: ValuePath,
    manifest: Manifest,
    check: CheckOption,
) -> tuple[Matrix, list[Diagnostic]]:
    """Read the matrix of an entry, at `path`, with its variables resolved; return it with its warnings.

    Raises: DiagnosticError with every problem of the matrix.
    """
    found = resolve_constants(raw, path, manifest.variables.values)
    if found is not raw and (problems := check("matrix", found)):
        raise DiagnosticError([relocate(problem, path) for problem in problems])
    axes, problems = _read_axes(found, path, manifest)
    problems += _check_excludes(found, path)
    warnings = [
        make_diagnostic(code, message, (*path, axis.name, *below), help=help)
        for axis in axes
        for code, message, below, help in axis.warnings
    ]
    if problems:
        raise DiagnosticError([*warnings, *problems])
    excludes, includes = (tuple(found.get(rule) or ()) for rule in RULES)
    return Matrix(tuple(axes), excludes, includes), warnings


def _read_axes(
    matrix: Mapping[str, Any], path: ValuePath, manifest: Manifest
) -> tuple[list[Axis], list[Diagnostic]]:
    axes: list[Axis] = []
    problems: list[Diagnostic] = []
    sources = {name: source for name, source in matrix.items() if name not in RULES and name[:2] != "x-"}
    if len(sources) > MAX_AXES:
        message = f"the matrix has {len(sources):,} axes; at most {MAX_AXES} are allowed"
        help = "replace several axes with one `file` axis, whose columns hold their values"
        return [], [make_diagnostic("too-large", message, path, help=help)]
    for name, source in sources.items():
        try:
            axes.append(make_axis(name, source, manifest.tree, manifest.max_workflows))
        except AxisError as error:
            place = (*path, name, *error.path)
            problems.append(make_diagnostic(error.code, error.message, place, help=error.help))
    return axes, problems


def _check_excludes(matrix: Mapping[str, Any], path: ValuePath) -> Iterator[Diagnostic]:
    """Find names in `exclude` that are not axes."""
    axes = [name for name in matrix if name not in RULES]
    for position, exclude in enumerate(matrix.get("exclude") or ()):
        for name in exclude:
            if name not in axes:
                yield make_diagnostic(
                    "unknown-name",
                    f"there is no axis `{name}`",
                    (*path, "exclude", position, name),
                    at_key=True,
                    help=did_you_mean(name, axes),
                )


def read_fields(options: Mapping[str, object], path: ValuePath) -> tuple[dict[str, object], list[Diagnostic]]:
    """Return the options that are not expressions, by field of WorkflowSpec, and the problems of the times.

    Units:  those of WorkflowSpec.
    """
    fields: dict[str, object] = {}
    problems: list[Diagnostic] = []
    for option, value in options.items():
        if option in PLAIN_OPTIONS:
            fields[option] = read_plain_option(option, value)
        elif option in TIME_OPTIONS and not (isinstance(value, str) and MARK in value):
            field, parse, code = TIME_OPTIONS[option]
            fields[field] = None
            if value is not None:
                try:
                    fields[field] = parse(value)
                except ValueError as error:
                    problems.append(make_diagnostic(code, f"`{option}`: {error}", (*path, option)))
    return fields, problems


def variables_of(raw: object) -> frozenset[str]:
    """Return the variables that the expressions of a value name; an invalid expression names none."""
    if isinstance(raw, str):
        if MARK not in raw:
            return frozenset()
        try:
            return frozenset(e.variable for e in parse_template(raw).expressions if e.variable is not None)
        except ExpressionError:
            return frozenset()
    parts: Sequence[object] = (
        list(raw.values()) if isinstance(raw, dict) else raw if isinstance(raw, list) else ()
    )
    return frozenset[str]().union(*map(variables_of, parts))


def find_marks(value: object, path: ValuePath) -> Iterator[tuple[ValuePath, bool]]:
    """Yield the path of each `${{` in values and keys, and whether it is in a key."""
    if isinstance(value, str):
        if MARK in value:
            yield path, False
    elif isinstance(value, dict):
        for key, item in value.items():
            if MARK in key:
                yield (*path, key), True
            yield from find_marks(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_marks(item, (*path, index))


@lru_cache(maxsize=1)
def has_unmarked(text: str) -> bool:
    """Return whether a text may have a `{{ name }}` without `$`; the text may be that of many documents."""
    return _UNMARKED.search(text) is not None


def find_unmarked(
    value: object, path: ValuePath, names: Collection[str], variables: Collection[str]
) -> Iterator[Diagnostic]:
    """Warn of each `{{ name }}` without `$` whose name would be valid in an expression."""
    if isinstance(value, str):
        for found in _UNMARKED.finditer(value):
            root, key = found.groups()
            if root in names or (root == "vars" and key in variables):
                help = f"write `${{{{ {found[0].strip('{} ')} }}}}`"
            elif root in variables:
                help = f"write `${{{{ vars.{root} }}}}`"
            else:
                continue
            start, end = found.span()
            number = value.count("{{", 0, start)
            message = f"`{found[0]}` is plain text: an expression begins with `${{{{`"
            diagnostic = make_diagnostic("not-an-expression", message, path, help=help)
            yield replace(diagnostic, fragment=Fragment(number, start, start, end, "{{"))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from find_unmarked(item, (*path, key), names, variables)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_unmarked(item, (*path, index), names, variables)
