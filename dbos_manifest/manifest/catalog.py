"""Check arguments against the contracts of the catalog: JSON Schemas for args and kwargs, by workflow."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema_rs

from ..core.diagnostic import Diagnostic, ValuePath, make_diagnostic
from ..core.suggest import did_you_mean
from ..reading.document import parse_documents
from ..reading.sandbox import Tree, TreeError
from ..workflows.spec import WorkflowSpec

MAX_SCHEMA_BYTES = 4 * 2**20
MAX_SCHEMA_FILES = 100
CONTRACTS = ("args", "kwargs")
_BASE = "tree:///"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
# This engine takes time linear in the text: no pattern in a manifest can hang the program.
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=10 * 2**20)


class Catalog:
    """The catalog of a manifest: options and compiled contracts by workflow name."""

    def __init__(
        self,
        entries: Mapping[str, Mapping[str, object]],
        validators: Mapping[str, Sequence[tuple[str, jsonschema_rs.Validator]]],
    ) -> None:
        self._entries = entries
        self._options = {name: _options_of(entry) for name, entry in entries.items()}
        self._validators = validators

    def options(self, workflow: str | None) -> dict[str, object]:
        """Return the options that the catalog sets for a workflow; none for a name it does not have."""
        return self._options.get(workflow or "", {})

    @property
    def has_options(self) -> bool:
        return any(self._options.values())

    def check(self, spec: WorkflowSpec) -> Iterator[Diagnostic]:
        """Yield each violation of a workflow's contract by its arguments."""
        for part, validator in self._validators.get(spec.workflow, ()):
            value = spec.args if part == "args" else spec.kwargs
            if not validator.is_valid(value):
                for error in validator.iter_errors(value):
                    yield make_diagnostic(
                        "catalog-arguments",
                        f"`{part}` of `{spec.workflow}`: {_first_line(error)}",
                        ("workflows", spec.entry, part, *error.instance_path),
                        help=f"see the contract `catalog.{spec.workflow}.{part}`",
                    )

    def has_contract(self, workflow: str) -> bool:
        """Return whether arguments of a workflow are checked."""
        return workflow in self._validators

    def check_name(self, spec: WorkflowSpec) -> Iterator[Diagnostic]:
        """Warn of a name that resembles one of the catalog; other names may be missing from it."""
        if self._entries and spec.workflow not in self._entries:
            help = did_you_mean(spec.workflow, self._entries)
            if help.startswith("did you mean"):
                message = f"`{spec.workflow}` is not in the catalog"
                yield make_diagnostic(
                    "unknown-workflow", message, ("workflows", spec.entry, "workflow"), help=help
                )


def _options_of(entry: Mapping[str, object]) -> dict[str, object]:
    return {
        key: value
        for key, value in entry.items()
        if key not in (*CONTRACTS, "description") and not key.startswith("x-")
    }


def read_catalog(entries: Mapping[str, Mapping[str, object]], tree: Tree) -> tuple[Catalog, list[Diagnostic]]:
    """Compile the contracts of a catalog. Return it without its invalid contracts, and a problem for each."""
    compiler = _Compiler(tree)
    validators: dict[str, list[tuple[str, jsonschema_rs.Validator]]] = {}
    problems: list[Diagnostic] = []
    for name, entry in entries.items():
        for part in CONTRACTS:
            if entry.get(part) is None:
                continue
            try:
                validator = compiler.compile(entry[part], ("catalog", name, part))
            except _InvalidContract as error:
                problems.append(make_diagnostic(error.code, error.message, error.path, help=error.help))
            else:
                validators.setdefault(name, []).append((part, validator))
    return Catalog(entries, validators), problems


class _InvalidContract(Exception):
    def __init__(self, code: str, message: str, path: ValuePath, help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.path, self.help = code, message, path, help


class _Compiler:
    """Compiles contracts, and reads the files that they refer to."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._files = 0
        self._failure: TreeError | None = None  # of `_retrieve`: the library passes on only its text

    def compile(self, schema: Any, path: ValuePath) -> jsonschema_rs.Validator:
        """Compile the contract at a path of the manifest.

        Raises: _InvalidContract.
        """
        self._failure = None
        if isinstance(schema, dict) and schema.get("$ref") == "#":
            message, help = "the contract refers to itself", "write the path of a file in `$ref`"
            raise _InvalidContract("catalog-schema", message, (*path, "$ref"), help)
        _check_references(schema, "", path)
        try:
            return jsonschema_rs.validator_for(
                schema,
                retriever=self._retrieve,
                base_uri=_BASE,
                pattern_options=_PATTERNS,
                validate_formats=True,
            )
        except Exception as error:
            if (failure := self._failure) is not None:
                raise _InvalidContract(failure.code, failure.message, path, failure.help) from None
            message = f"invalid JSON Schema: {_first_line(error)}"
            raise _InvalidContract("catalog-schema", message, path) from None

    def _retrieve(self, uri: str) -> Any:
        try:
            if not uri.startswith(_BASE):
                raise TreeError(
                    "remote-ref",
                    f"expected the path of a file, found `{uri}`",
                    "copy it next to the manifest",
                )
            self._files += 1
            if self._files > MAX_SCHEMA_FILES:
                raise TreeError("too-large", f"the contracts refer to more than {MAX_SCHEMA_FILES} files")
            return self._read(uri.removeprefix(_BASE))
        except TreeError as error:
            self._failure = error
            raise

    def _read(self, file: str) -> object:
        with self._tree.stream(file, MAX_SCHEMA_BYTES) as stream:
            content = stream.read()
        documents, problems = parse_documents(content, file)
        if problems or len(documents) != 1:
            why = problems[0].message if problems else f"expected one document, found {len(documents)}"
            raise TreeError("catalog-schema", f"{file}: {why}")
        try:
            _check_references(documents[0].data, posixpath.dirname(file), ())
        except _InvalidContract as error:
            raise TreeError(error.code, f"{file}: {error.message}", error.help) from None
        return documents[0].data


def _check_references(schema: object, folder: str, path: ValuePath) -> None:
    """Check every reference of a schema.

    Raises: _InvalidContract for a reference that is not a path, or leads out of the tree.
    """
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            _check_references(item, folder, (*path, index))
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef", "$id") and isinstance(value, str):
                _check_reference(value, folder, (*path, key))
            elif key not in ("const", "enum", "default", "examples"):
                _check_references(value, folder, (*path, key))


def _check_reference(reference: str, folder: str, path: ValuePath) -> None:
    if not reference and path[-1] != "$id":  # it would refer to the contract itself, and accept everything
        message, help = f"`{path[-1]}` is empty", "write the path of a file, or `#` for the contract itself"
        raise _InvalidContract("catalog-schema", message, path, help)
    target = reference.partition("#")[0]
    if _SCHEME.match(target):
        message = f"`{reference}` is a URI, but contracts are read only from the manifest's folder"
        raise _InvalidContract("remote-ref", message, path, "copy the schema next to the manifest")
    joined = posixpath.normpath(posixpath.join(folder, target)) if target else ""
    if target.startswith("/") or joined == ".." or joined.startswith("../"):
        message = f"`{reference}` is outside the manifest's folder"
        raise _InvalidContract("outside-tree", message, path, "copy the schema into the manifest's folder")


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "message", error)).split("\n")[0]
    return text if len(text) <= 200 else f"{text[:199]}…"
