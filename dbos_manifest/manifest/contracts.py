"""Compile contracts and check arguments by them: JSON Schemas, in limited time and memory."""

from __future__ import annotations

import os
import posixpath
import re
import sys
from collections.abc import Sequence
from typing import NamedTuple, cast

from ..core.diagnostic import Diagnostic, ValuePath, make_diagnostic
from ..core.work_budget import WorkBudget
from ..reading.document import parse_documents
from ..reading.sandbox import Tree, TreeError
from .contract_engine import BASE
from .contract_process import ContractProcess, EngineFailed, LimitExceeded, Limits, ProcessFailed

MAX_SCHEMA_BYTES = 4 * 2**20
MAX_SCHEMA_FILES = 100  # of one manifest
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")


# the positions of invalid values, each with its violations: message and path
_Found = list[tuple[int, list[tuple[str, list[str | int]]]]]


class InvalidContract(Exception):
    """A contract cannot be used. The fields are those of a diagnostic."""

    def __init__(self, code: str, message: str, path: ValuePath, help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.path, self.help = code, message, path, help

    def to_diagnostic(self) -> Diagnostic:
        return make_diagnostic(self.code, self.message, self.path, help=self.help)


class Violation(NamedTuple):
    """How a value violates a contract, and where in the value."""

    message: str
    path: ValuePath


class Contracts:
    """The contracts of all manifests of a call, compiled in a process that starts when it is needed.

    A forked copy of this object starts a process of its own. After the process has exceeded a limit, nothing
    more is checked: that is an error of the call, and it is reported once.
    """

    def __init__(self, budget: WorkBudget) -> None:
        self._limits = Limits(budget.contract_seconds, budget.contract_bytes)
        self._contracts: list[Contract] = []
        self._process: ContractProcess | None = None
        self._owner = 0  # the ID of the process that started it
        self._has_ended = False

    def compile(self, schema: object, path: ValuePath, files: SchemaFiles) -> Contract:
        """Compile the contract at a path of a manifest.

        Raises: InvalidContract.
        """
        if isinstance(schema, dict) and schema.get("$ref") == "#":
            message, help = "the contract refers to itself", "write the path of a file in `$ref`"
            raise InvalidContract("catalog-schema", message, (*path, "$ref"), help)
        _check_references(schema, "", path)
        contract = Contract(len(self._contracts), schema, path, files)
        self._call(contract, "compile")
        self._contracts.append(contract)
        return contract

    def find_violations(self, contract: Contract, values: Sequence[object]) -> dict[int, list[Violation]]:
        """Return the first violations of each invalid value, by its position.

        Raises: InvalidContract if the contract takes too much time or memory.
        """
        found = self._call(contract, "check", values) or []
        return {
            position: [Violation(message, tuple(path)) for message, path in violations]
            for position, violations in cast("_Found", found)
        }

    def _call(self, contract: Contract, method: str, *arguments: object) -> object:
        """Return the result of the engine; None after its process has ended."""
        if self._has_ended:
            return None
        try:
            process = self._start()
            if method == "compile":
                return _compile(process, contract)
            return process.call(method, contract.number, *arguments)
        except (LimitExceeded, ProcessFailed) as error:
            self._has_ended = True
            self.close()
            raise self._to_invalid(contract, error) from None
        except EngineFailed as error:
            message = f"the contract cannot be checked: {error}"
            raise InvalidContract("catalog-schema", message, contract.path) from None
        except InvalidContract:
            raise
        except BaseException:  # from reading a file: the process waits for it
            self.close()
            raise

    def _to_invalid(self, contract: Contract, error: Exception) -> InvalidContract:
        if isinstance(error, LimitExceeded):
            seconds, size = self._limits.cpu_seconds, self._limits.memory_bytes >> 20
            message = f"checking this contract takes more than {seconds} s or {size:,} MiB"
            help = "use fewer `$ref` and combinations, or allow more work with `--max-workflows`"
            return InvalidContract("too-large", message, contract.path, help)
        message = f"contracts cannot be checked: {error}"
        help = f"check that `{sys.executable}` is a Python that can be started"
        return InvalidContract("catalog-schema", message, contract.path, help)

    def _start(self) -> ContractProcess:
        """Return the process; start it and compile the known contracts if this process has none yet."""
        if self._process is None or self._owner != os.getpid():
            self._process, self._owner = ContractProcess(self._limits), os.getpid()
            for contract in self._contracts:
                contract.files.count = 0
            for contract in self._contracts:
                _compile(self._process, contract)
        return self._process

    def close(self) -> None:
        """End the process, if this process has started one."""
        if self._process is not None and self._owner == os.getpid():
            self._process.close()
        self._process = None


class SchemaFiles:
    """The files that the contracts of one manifest refer to."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.count = 0  # of those that were read
        self.failure: TreeError | None = None  # of the last `retrieve`

    def retrieve(self, uri: str) -> list[object]:
        """Return the schema in a file, as a list of one; an empty list after a failure."""
        try:
            if not uri.startswith(BASE):
                raise TreeError(
                    "remote-ref",
                    f"expected the path of a file, found `{uri}`",
                    "copy it next to the manifest",
                )
            self.count += 1
            if self.count > MAX_SCHEMA_FILES:
                raise TreeError("too-large", f"the contracts refer to more than {MAX_SCHEMA_FILES} files")
            return [self._read(uri.removeprefix(BASE))]
        except TreeError as error:
            self.failure = error
            return []

    def _read(self, file: str) -> object:
        with self._tree.stream(file, MAX_SCHEMA_BYTES) as stream:
            content = stream.read()
        documents, problems = parse_documents(content, file)
        if problems or len(documents) != 1:
            why = problems[0].message if problems else f"expected one document, found {len(documents)}"
            raise TreeError("catalog-schema", f"{file}: {why}")
        try:
            _check_references(documents[0].data, posixpath.dirname(file), ())
        except InvalidContract as error:
            raise TreeError(error.code, f"{file}: {error.message}", error.help) from None
        return documents[0].data


class Contract(NamedTuple):
    """A contract that is compiled in the process of the engine under a number."""

    number: int
    schema: object
    path: ValuePath  # in the manifest
    files: SchemaFiles


def _compile(process: ContractProcess, contract: Contract) -> object:
    """Compile a contract.

    Raises: InvalidContract; LimitExceeded; EngineFailed; ProcessFailed.
    """
    files = contract.files
    files.failure = None
    problem = process.call("compile", contract.number, contract.schema, retrieve=files.retrieve)
    if problem is not None and (failure := files.failure) is not None:
        raise InvalidContract(failure.code, failure.message, contract.path, failure.help)
    if problem is not None:
        raise InvalidContract("catalog-schema", f"invalid JSON Schema: {problem}", contract.path)
    return None


def _check_references(schema: object, folder: str, path: ValuePath) -> None:
    """Check every reference of a schema.

    Raises: InvalidContract for a reference that is not a path, or leads out of the tree.
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
        raise InvalidContract("catalog-schema", message, path, help)
    target = reference.partition("#")[0]
    if _SCHEME.match(target):
        message = f"`{reference}` is a URI, but contracts are read only from the manifest's folder"
        raise InvalidContract("remote-ref", message, path, "copy the schema next to the manifest")
    joined = posixpath.normpath(posixpath.join(folder, target)) if target else ""
    if target.startswith("/") or joined == ".." or joined.startswith("../"):
        message = f"`{reference}` is outside the manifest's folder"
        raise InvalidContract("outside-tree", message, path, "copy the schema into the manifest's folder")
