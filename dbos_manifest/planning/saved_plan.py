"""Write a plan as lines of JSON, and read it again: everything that applying it needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO, NamedTuple

import jsonschema_rs

from ..core.canonical_json import encode_json
from ..core.diagnostic import Diagnostic
from ..core.errors import Refused
from ..expansion.matrix import Matrix
from ..expansion.workflow_source import WorkflowSource
from ..lockfile.fingerprint import find_contradiction
from ..workflows.batch import Batch, make_batches
from ..workflows.spec import DEFAULT_SPEC, WorkflowSpec, make_workflow
from .manifest_plan import ManifestPlan
from .states import Changes, Overrides, State

VERSION, REVISION = 1, 0
MAX_LINE_BYTES = 64 * 2**20
_MAKE_AGAIN = "recreate the plan with `plan --out`"
_FIELDS = [field for field in WorkflowSpec._fields if field != "binding"]
_STATES = list(State)
_HELD = len(_STATES)  # a conflict for which the existing workflow is returned


class PlannedManifest(NamedTuple):
    """A manifest in the plan's first line."""

    name: str
    file: str
    lockfile: str
    complete: bool
    queues: dict[str, bool]
    commit: str | None


class PlanHeader(NamedTuple):
    """The plan's first line."""

    database: str  # fingerprint
    overrides: Overrides
    manifests: list[PlannedManifest]


class PlanWriter:
    """Writes a plan while its changes are found. Without its last line it cannot be applied."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._hash = hashlib.sha256()
        self._workflows = 0
        self._positions: dict[str, int] = {}

    def begin(self, header: PlanHeader) -> None:
        overrides = header.overrides._asdict() | {"allow": sorted(header.overrides.allow)}
        self._positions = {manifest.name: at for at, manifest in enumerate(header.manifests)}
        self._line(
            {
                "type": "plan",
                "version": VERSION,
                "revision": REVISION,
                "database": header.database,
                "overrides": overrides,
                "manifests": [manifest._asdict() for manifest in header.manifests],
            }
        )

    def add(self, source: WorkflowSource, changes: Changes) -> None:
        if changes.batch is None:  # an orphan, which apply ignores
            return
        for spec, change in zip(changes.batch, changes.shared, strict=True):
            fields = {
                field: value
                for field, value, default in zip(WorkflowSpec._fields, spec, DEFAULT_SPEC, strict=True)
                if value is not default and field != "binding"
            }
            line = {
                "type": "workflow",
                "manifest": self._positions[source.name],
                "state": change.state.value,
                **({"held": True} if change.held else {}),
                "spec": fields,
            }
            self._line(line)
            self._workflows += 1

    def finish(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        """Write the last line, without which the plan cannot be applied."""
        last = {"type": "end", "workflows": self._workflows, "sha256": self._hash.hexdigest()}
        self._write(f"{encode_json(last).decode()}\n")

    def _line(self, fields: Mapping[str, Any]) -> None:
        try:
            line = encode_json(fields) + b"\n"
        except UnicodeEncodeError:  # the first line, of a file whose name is not UTF-8
            line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        self._hash.update(line)
        self._write(line.decode())


class SavedPlan:
    """A plan that was read and is complete; its workflows are read again each time.

    `open_file` gives the same content each time, or raises.
    """

    def __init__(self, open_file: Callable[[], BinaryIO], name: str, schema: Mapping[str, Any]) -> None:
        """Read and check a plan.

        Raises: Refused for a file that is not a plan, is incomplete, was edited, or has a newer version.
        """
        self._open = open_file
        self.name = name
        self.header, self._states = self._check(schema)

    @property
    def sources(self) -> list[SavedManifest]:
        return [SavedManifest(self, at) for at in range(len(self.header.manifests))]

    def _check(self, schema: Mapping[str, Any]) -> tuple[PlanHeader, list[bytearray]]:
        valid = jsonschema_rs.validator_for(dict(schema)).is_valid
        hashed = hashlib.sha256()
        header: PlanHeader | None = None
        states: list[bytearray] = []
        last: dict[str, Any] | None = None
        for number, raw in self._raw_lines():
            if last is not None:
                raise self._refuse(f"line {number} comes after the end")
            fields = self._decode(raw, number)
            if header is None:
                self._check_version(fields)
            if not valid(fields):
                raise self._refuse(f"line {number} is not a line of a plan")
            if fields["type"] == "end":
                last = fields
                continue
            hashed.update(raw)
            if fields["type"] == "plan":
                if header is not None:
                    raise self._refuse(f"line {number} repeats the first line")
                header = _read_header(fields)
                states = [bytearray() for _ in header.manifests]
            elif header is None or fields["manifest"] >= len(states):
                raise self._refuse(f"line {number} does not belong to a manifest of the plan")
            else:
                states[fields["manifest"]].append(
                    _state_code(State(fields["state"]), fields.get("held", False))
                )
        if header is None or last is None:
            raise self._refuse("its end is missing: the plan was cut off, or is still being written")
        if last["sha256"] != hashed.hexdigest() or last["workflows"] != sum(map(len, states)):
            raise self._refuse("it was edited: its content does not match its last line")
        return header, states

    def _raw_lines(self) -> Iterator[tuple[int, bytes]]:
        with self._open() as file:
            number = 0
            while raw := file.readline(MAX_LINE_BYTES):
                number += 1
                yield number, raw

    def _decode(self, raw: bytes, number: int) -> dict[str, Any]:
        try:
            fields = json.loads(raw)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            raise self._refuse(f"line {number} is not a line of a plan")
        return fields

    def _check_version(self, fields: Mapping[str, Any]) -> None:
        version = fields.get("version")
        if fields.get("type") != "plan" or type(version) is not int:
            raise self._refuse("it is not a saved plan")
        if version > VERSION:
            raise Refused(
                f"the plan {self.name} has format version {version}, but this dbos-manifest reads "
                f"only up to {VERSION}",
                "upgrade dbos-manifest, or recreate the plan with this version",
            )

    def _refuse(self, why: str) -> Refused:
        return Refused(f"the plan {self.name} cannot be applied: {why}", _MAKE_AGAIN)

    def specs(self, manifest: int) -> Iterator[WorkflowSpec]:
        for _, raw in self._raw_lines():
            if raw.startswith(b'{"type":"workflow"'):
                fields = json.loads(raw)
                if fields["manifest"] == manifest:
                    yield make_workflow(fields["spec"])

    def check_database(self, fingerprint: str) -> None:
        """Check the database. Raises: Refused for another one than the plan was made for."""
        if reason := find_contradiction(self.header.database, fingerprint):
            raise Refused(
                f"the plan {self.name} was made for a different database: {reason}",
                "check the database URL, or create a plan for this database",
            )

    def checker(self, manifest: int) -> StaleCheck:
        return StaleCheck(self._states[manifest])


class SavedManifest(NamedTuple):
    """One manifest of a saved plan, as a `WorkflowSource`."""

    plan: SavedPlan
    position: int

    @property
    def planned(self) -> PlannedManifest:
        return self.plan.header.manifests[self.position]

    @property
    def name(self) -> str:
        return self.planned.name

    @property
    def file(self) -> str:
        return self.planned.file

    @property
    def document(self) -> int:
        return 0

    @property
    def queues(self) -> Mapping[str, bool]:
        return self.planned.queues

    @property
    def complete(self) -> bool:
        return self.planned.complete

    def specs(self) -> Iterator[WorkflowSpec]:
        return self.plan.specs(self.position)

    def batches(self, size: int) -> Iterator[Batch]:
        return make_batches(self.specs(), size)

    def locate(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        return [replace(found, file=self.file) for found in diagnostics]

    def matrix_of(self, entry: int) -> Matrix | None:
        return None


class StaleCheck:
    """Compares what was planned with what is found now, workflow by workflow, in the same order.

    A workflow that was to be enqueued and has the intended row now is fine: an apply of this plan was
    interrupted and continues.
    """

    def __init__(self, states: Iterable[int]) -> None:
        self._states = iter(states)
        self.count = 0
        self.first: list[str] = []

    def add(self, changes: Changes) -> None:
        if changes.batch is None:
            return
        for workflow_id, change in zip(changes.ids, changes.shared, strict=True):
            planned, found = next(self._states), _state_code(change.state, change.held)
            done = planned in _MAY_BE_ENQUEUED and found == _UNCHANGED and change.comparable
            if planned != found and not done:
                self.count += 1
                if len(self.first) < 3:
                    self.first.append(f"{workflow_id} was {_name(planned)} and is {_name(found)}")


def _state_code(state: State, held: bool) -> int:
    return _HELD if held else _STATES.index(state)


_UNCHANGED = _state_code(State.UNCHANGED, False)
_MAY_BE_ENQUEUED = [_state_code(state, False) for state in (State.CREATE, State.VANISHED, State.MISSING)]


def _name(code: int) -> str:
    return "held by another workflow" if code == _HELD else _STATES[code].value


def _read_header(fields: Mapping[str, Any]) -> PlanHeader:
    overrides = {key: value for key, value in fields["overrides"].items() if key in Overrides._fields}
    manifests = [
        PlannedManifest(**{key: manifest.get(key) for key in PlannedManifest._fields})
        for manifest in fields["manifests"]
    ]
    return PlanHeader(
        fields["database"], Overrides(**{**overrides, "allow": frozenset(overrides["allow"])}), manifests
    )
