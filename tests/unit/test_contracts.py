"""Test the process that checks contracts: its results, and how its end is reported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hostile_shapes import doubling

from dbos_manifest.actions.validate import validate_files
from dbos_manifest.checks.forked_process import ForkedCheck
from dbos_manifest.core.work_budget import WorkBudget
from dbos_manifest.files.folder_tree import FolderTree
from dbos_manifest.manifest.contract_process import (
    ContractProcess,
    EngineFailed,
    LimitExceeded,
    Limits,
)
from dbos_manifest.manifest.contracts import Contracts, InvalidContract, SchemaFiles

LIMITS = Limits(cpu_seconds=1, memory_bytes=512 * 2**20)
PATH = ("catalog", "f", "args")
MANIFEST = """\
version: 1
name: m
defaults: {workflow: f, queue: q}
catalog: {f: {args: {items: {type: string}}}}
workflows: [{id: x, args: [a]}]
"""


@pytest.fixture
def process() -> Iterator[ContractProcess]:
    with closing(ContractProcess(LIMITS)) as started:
        yield started


@pytest.fixture
def contracts() -> Iterator[Contracts]:
    with closing(Contracts(WorkBudget())) as made:
        yield made


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (doubling(40, "allOf", {"type": "array"}), []),
        (doubling(40, "anyOf", {"type": "string"}), []),
        (doubling(23, "allOf", {"type": "string"}), []),
        (doubling(23, "oneOf", {"items": {"type": "string"}}), [1, 2]),
    ],
)
def test_process_ends_at_its_limits(process: ContractProcess, schema: object, value: object) -> None:
    assert process.call("compile", 0, schema) is None
    with pytest.raises(LimitExceeded):
        process.call("check", 0, [value])
    with pytest.raises(LimitExceeded):
        process.call("check", 0, [[]])


def test_failure_of_the_engine_is_reported_and_others_are_checked(process: ContractProcess) -> None:
    with pytest.raises(EngineFailed, match="KeyError: 7"):
        process.call("check", 7, [[]])
    assert process.call("compile", 7, {"minItems": 1}) is None
    assert process.call("check", 7, [[1], []]) == [[1, [["[] has less than 1 item", []]]]]


@pytest.mark.parametrize(
    "value", [10**30, -0.0, 1e300, "é", None, True, {"a": [1, 2.5]}, {"": "\0"}, 10**25 + 1]
)
def test_values_arrive_unchanged(process: ContractProcess, value: object) -> None:
    assert process.call("compile", 0, {"const": value}) is None
    assert process.call("check", 0, [value, [value]]) != []
    assert [position for position, _ in process.call("check", 0, [value, [value]])] == [1]  # type: ignore[attr-defined]


@pytest.mark.parametrize("program", ["/bin/false", "/bin/cat", "/nowhere/python", "/etc/passwd"])
def test_without_a_process_nothing_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    assert validate_files([str(tmp_path / "m.yaml")]).diagnostics == []
    monkeypatch.setattr(sys, "executable", program)
    (found,) = validate_files([str(tmp_path / "m.yaml")]).diagnostics
    assert (found.code, found.path) == ("catalog-schema", PATH)
    assert found.message.startswith("contracts cannot be checked: ")


def test_forked_copy_has_a_process_of_its_own(contracts: Contracts, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"maxItems": 1}')
    files = SchemaFiles(FolderTree(tmp_path))
    contract = contracts.compile({"$ref": "a.json"}, PATH, files)
    values = [[1], [1, 2], []]
    check = ForkedCheck(lambda: [*contracts.find_violations(contract, values)] == [1])
    assert [*contracts.find_violations(contract, values)] == [1]
    assert check.passed()
    assert [*contracts.find_violations(contract, values)] == [1]


class Unreadable(FolderTree):
    def stream(self, path: str, limit: int) -> None:  # type: ignore[override]
        raise KeyboardInterrupt


def test_interrupted_file_does_not_confuse_later_calls(contracts: Contracts, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        contracts.compile({"$ref": "a.json"}, PATH, SchemaFiles(Unreadable(tmp_path)))
    contract = contracts.compile({"maxItems": 1}, PATH, SchemaFiles(FolderTree(tmp_path)))
    assert [*contracts.find_violations(contract, [[], [1, 2]])] == [1]


def test_exceeded_limit_is_reported_once_at_the_contract(tmp_path: Path) -> None:
    with closing(Contracts(WorkBudget(1))) as contracts:
        files = SchemaFiles(FolderTree(tmp_path))
        slow = contracts.compile(doubling(40, "allOf", {"type": "array"}), PATH, files)
        with pytest.raises(InvalidContract) as found:
            contracts.find_violations(slow, [[]])
        assert (found.value.code, found.value.path) == ("too-large", PATH)
        assert contracts.find_violations(slow, [[]]) == {}


def test_no_process_remains(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    (tmp_path / "n.yaml").write_text("version: 1")
    validate_files([str(tmp_path)])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
