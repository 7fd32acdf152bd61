"""The manifests of the command line: read, checked, and their problems shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..actions.validate import Validation, validate_files
from ..core.diagnostic import Severity
from ..core.errors import InvalidManifest, UsageError
from ..core.lines import split_lines
from ..expansion.selection import Selection, parse_terms
from ..files.manifests import read_ids, read_manifest
from ..files.sources import STDIN
from ..manifest.variables import Given
from ..reading.document import parse_documents
from ..report.text import printable
from .options import option, together
from .output import say, say_diagnostics

MAX_VARIABLES_BYTES = 16 * 2**20

variable_options = together(
    option("--var", multiple=True, metavar="NAME=VALUE", help="The value of a variable; repeatable."),
    option(
        "--vars-file",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        help="YAML or JSON map of variables; repeatable, later ones over earlier, --var over all.",
    ),
)

selection_options = together(
    option(
        "--select",
        multiple=True,
        metavar="TERMS",
        help="Only workflows that match every condition, as 'region=eu day>=2026-02-01'.",
    ),
    option("--ids-from", metavar="FILE", help="Only workflows with these IDs, one per line; - for stdin."),
    option("--entry", multiple=True, metavar="NAME", help="Only the entries of this name; repeatable."),
)

manifest_options = together(variable_options, selection_options)
"""Options that say what the manifests of a command stand for; `read_paths` takes them."""


def read_paths(
    paths: Sequence[str], options: dict[str, Any], *, beside: bool = False, skip_others: bool = False
) -> Validation:
    """Validate the paths; standard input is read when one of them is `-`."""
    named = [*options["vars_file"], *_ids_file(options.get("ids_from"))]
    given = _given(options)
    selection = _selection(options, STDIN in paths)
    stdin = sys.stdin.buffer.read() if STDIN in paths else b""
    validation = validate_files(paths, stdin, given, selection, beside=beside, skip_others=skip_others)
    validation.inputs += named
    for loaded in validation.manifests:
        validation.inputs += loaded.manifest.tree.files()
    return validation


def _ids_file(name: str | None) -> list[Path]:
    return [Path(name)] if name is not None and name != STDIN else []


def load_manifests(paths: Sequence[str], options: dict[str, Any], *, beside: bool = False) -> Validation:
    """Valid manifests for a command that goes on to use them; warnings are shown.

    With `beside` the command calls `settle_manifests` before it changes anything or says what it found.
    Raises: InvalidManifest, its diagnostics already on stderr; UsageError for a variable that is needed.
    """
    validation = read_paths(paths, options, beside=beside)
    say_diagnostics(validation)
    _raise_if_invalid(validation)
    for manifest, missing in validation.unchecked.items():
        names = ", ".join(f"`{name}`" for name in sorted(missing))
        words = " ".join(f"--var {name}=…" for name in sorted(missing))
        raise UsageError(f"the manifest `{manifest}` needs {names}", f"say {words}, or use --vars-file")
    for note in validation.notes:
        say(f"note: {printable(note)}")
    return validation


def settle_manifests(validation: Validation) -> None:
    """Wait for what was checked beside; raises as load_manifests does, as often as it is called."""
    if validation.settle():
        say_diagnostics(validation)
    _raise_if_invalid(validation)


def _raise_if_invalid(validation: Validation) -> None:
    if validation.errors:
        raise InvalidManifest([d for d in validation.diagnostics if d.severity is Severity.ERROR])


def _given(options: dict[str, Any]) -> Given:
    texts = {}
    for text in options.pop("var"):
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise UsageError(f"--var {text}: this is no NAME=VALUE", "write --var start=2026-01-01")
        texts[name] = value
    values: dict[str, Any] = {}
    for path in options.pop("vars_file"):
        values |= _read_variables(path)
    return Given(texts, values)


def _read_variables(path: Path) -> dict[str, Any]:
    documents, problems = parse_documents(read_manifest(path, MAX_VARIABLES_BYTES), str(path))
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        span = errors[0].span
        place = f"{path}:{span.line}:{span.column}" if span else str(path)
        raise UsageError(f"{place}: {errors[0].message}", errors[0].help)
    if len(documents) != 1 or not isinstance(documents[0].data, dict):
        raise UsageError(f"{path} is no map of variables", "write `name: value` lines")
    data: dict[str, Any] = documents[0].data
    if "" in data:
        raise UsageError(f"{path} has a variable with an empty name", "write `name: value` lines")
    return data


def _selection(options: dict[str, Any], stdin_taken: bool) -> Selection | None:
    select, ids_from, entries = (options.pop(key, None) for key in ("select", "ids_from", "entry"))
    if not select and ids_from is None and not entries:
        return None
    ids = None
    if ids_from is not None:
        if ids_from == STDIN and stdin_taken:
            raise UsageError(
                "standard input cannot be both the manifest and the ids", "write one into a file"
            )
        content = sys.stdin.buffer.read() if ids_from == STDIN else read_ids(Path(ids_from))
        try:
            ids = {line for line in split_lines(content.decode("utf-8-sig")) if line}
        except UnicodeDecodeError:
            raise UsageError(f"the ids of {ids_from} are not UTF-8 text") from None
    return Selection([term for text in select or () for term in parse_terms(text)], ids, entries or ())
