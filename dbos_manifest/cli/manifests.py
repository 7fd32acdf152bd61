"""Read and check the manifests of the command line, and print their diagnostics."""

from __future__ import annotations

import sys
from pathlib import Path

from ..actions.validate import Validation, validate_files
from ..core.diagnostic import Severity
from ..core.errors import UsageError, refuse_errors
from ..core.work_budget import MAX_WORKFLOWS
from ..expansion.selection import Selection, parse_ids, parse_terms
from ..files.manifests import read_ids, read_manifest
from ..files.sources import STDIN
from ..manifest.variables import Given
from ..reading.document import parse_documents
from .arguments import InputArguments, SelectionArguments
from .diagnostics import say_diagnostics
from .terminal import print_note

MAX_VARIABLES_BYTES = 16 * 2**20


def read_paths(
    inputs: InputArguments,
    selection: SelectionArguments | None = None,
    *,
    fork: bool = False,
    skip_others: bool = False,
) -> Validation:
    """Read and validate the paths; `-` is standard input."""
    named = [*inputs.vars_file, *_ids_file(selection)]
    given = _given(inputs)
    selected = _selection(selection, STDIN in inputs.paths) if selection is not None else None
    stdin = sys.stdin.buffer.read() if STDIN in inputs.paths else b""
    validation = validate_files(
        inputs.paths,
        stdin,
        given,
        selected,
        max_workflows=inputs.max_workflows or MAX_WORKFLOWS,
        fork=fork,
        skip_others=skip_others,
    )
    validation.inputs += named
    for loaded in validation.manifests:
        validation.inputs += loaded.manifest.tree.files()
    return validation


def _ids_file(selection: SelectionArguments | None) -> list[Path]:
    name = selection.ids_from if selection is not None else None
    return [Path(name)] if name is not None and name != STDIN else []


def load_manifests(
    inputs: InputArguments, selection: SelectionArguments | None = None, *, fork: bool = False
) -> Validation:
    """Return valid manifests, and print their warnings.

    With `fork` the checks may run in another process: call `settle_manifests` before changing or printing
    anything.
    Raises: InvalidManifest, with its diagnostics already printed; UsageError for a variable without a value.
    """
    validation = read_paths(inputs, selection, fork=fork)
    say_diagnostics(validation)
    refuse_errors(validation.diagnostics)
    for manifest, missing in validation.unchecked.items():
        names = ", ".join(f"`{name}`" for name in sorted(missing))
        words = " ".join(f"--var {name}=…" for name in sorted(missing))
        values = "a value" if len(missing) == 1 else "values"
        raise UsageError(
            f"the manifest `{manifest}` needs {values} for {names}", f"set {words}, or use --vars-file"
        )
    for note in validation.notes:
        print_note(note)
    return validation


def settle_manifests(validation: Validation) -> None:
    """Wait for the parallel checks. Raises what load_manifests raises, each time it is called."""
    if validation.settle():
        say_diagnostics(validation)
    refuse_errors(validation.diagnostics)


def _given(inputs: InputArguments) -> Given:
    texts = {}
    for text in inputs.var:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise UsageError(
                f"expected NAME=VALUE after --var, found `{text}`", "write --var start=2026-01-01"
            )
        texts[name] = value
    values: dict[str, object] = {}
    for path in inputs.vars_file:
        values |= _read_variables(path)
    return Given(texts, values)


def _read_variables(path: Path) -> dict[str, object]:
    documents, problems = parse_documents(read_manifest(path, MAX_VARIABLES_BYTES), str(path))
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        span = errors[0].span
        place = f"{path}:{span.line}:{span.column}" if span else str(path)
        raise UsageError(f"{place}: {errors[0].message}", errors[0].help)
    if len(documents) != 1 or not isinstance(documents[0].data, dict):
        raise UsageError(f"expected a map of variables in {path}", "write `name: value` lines")
    data: dict[str, object] = documents[0].data
    if "" in data:
        raise UsageError(f"{path} has a variable with an empty name", "write `name: value` lines")
    return data


def _selection(selection: SelectionArguments, stdin_taken: bool) -> Selection | None:
    if not selection.given():
        return None
    ids_from = selection.ids_from
    ids = None
    if ids_from is not None:
        if ids_from == STDIN and stdin_taken:
            raise UsageError(
                "standard input cannot be both the manifest and the IDs", "write one of them to a file"
            )
        content = sys.stdin.buffer.read() if ids_from == STDIN else read_ids(Path(ids_from))
        try:
            ids = parse_ids(content.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise UsageError(f"--ids-from {ids_from}: the IDs are not valid UTF-8") from None
    return Selection([term for text in selection.select for term in parse_terms(text)], ids, selection.entry)
