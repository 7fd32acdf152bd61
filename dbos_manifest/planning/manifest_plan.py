"""The plan of one manifest as data: what applying it would do, and what that rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import NamedTuple

from ..core.columns import convert
from ..core.diagnostic import Diagnostic, Severity
from ..core.plural import count_of
from ..workflows.batch import Batch
from .states import Change, Changes, Decision, Overrides, State, decide
from .summary import Kind, PlanSummary, kind_of

_REFUSALS_KEPT = 100
_REFUSED = {
    State.DRIFTED: ("drifted workflow", "drifted workflows"),
    State.CONFLICT: ("workflow in conflict", "workflows in conflict"),
    State.MISSING: ("missing workflow", "missing workflows"),
    State.VANISHED: (
        "vanished workflow with a deduplication ID that another workflow holds",
        "vanished workflows with deduplication IDs that other workflows hold",
    ),
}


class PlanOrigin(NamedTuple):
    """What a plan compares: which manifest with which database."""

    name: str  # of the manifest
    file: str  # as the user wrote it
    document: int  # which of the file's documents, from 0
    database: str = ""  # as messages name it; empty: compared with the lockfile only
    target: str | None = None  # of --target
    lockfile: str = ""  # its path; empty for a manifest from standard input without one


class NewEntries(NamedTuple):
    """Lock entries for rows that exist already and that the lockfile does not have as they are."""

    ids: Sequence[str] = ()
    lines: Sequence[str] = ()


NO_ENTRIES = NewEntries()


class ManifestPlan(NamedTuple):
    """What applying one manifest would do, and what it rests on.

    Shape:  `decisions` holds one byte per workflow in manifest order (1 = enqueue), so that a million
            workflows take a megabyte; the second pass expands the manifest again and reads them.
    """

    origin: PlanOrigin
    summary: PlanSummary
    decisions: bytes = b""
    diagnostics: tuple[Diagnostic, ...] = ()  # of the preflight checks
    refused: Mapping[State, int] = {}
    refusals: tuple[Change, ...] = ()  # the first ones
    skipped_ids: AbstractSet[str] = frozenset()  # neither enqueued nor equal to the manifest
    new_entries: NewEntries = NO_ENTRIES
    newest_queued_ms: int = 0  # when the newest queued row of this manifest was created, epoch ms
    waiting_behind: Mapping[str, int] = {}  # queue -> queued rows that would start after ours

    @property
    def name(self) -> str:
        return self.origin.name

    @property
    def file(self) -> str:
        return self.origin.file

    @property
    def to_enqueue(self) -> int:
        return self.summary.to_enqueue

    def refuses(self, strict: bool) -> bool:
        return bool(self.reasons_to_refuse(strict))

    def reasons_to_refuse(self, strict: bool) -> list[str]:
        """Count what makes apply refuse, as `["200 drifted workflows", "1 preflight error"]`."""
        refused = self.refused
        reasons = [
            count_of(refused[state], *words) for state, words in _REFUSED.items() if refused.get(state)
        ]
        refusing = Counter(found.severity for found in self.refusing_diagnostics(strict))
        for severity, count in sorted(refusing.items()):
            reasons.append(count_of(count, f"preflight {severity.value}"))
        return reasons

    def refusing_diagnostics(self, strict: bool) -> list[Diagnostic]:
        """Return the preflight diagnostics that make apply refuse."""
        return [found for found in self.diagnostics if strict or found.severity is Severity.ERROR]


class PlanBuilder:
    """Decides about the workflows of a manifest, batch by batch, and gives the plan of all of them."""

    def __init__(self, overrides: Overrides) -> None:
        self._overrides = overrides
        self._counts: Counter[Kind] = Counter()
        self._decisions = bytearray()
        self._refusals: list[Change] = []
        self._refused: Counter[State] = Counter()
        self._skipped_ids: set[str] = set()

    def add(self, changes: Changes) -> list[Batch]:
        """Decide about the next workflows of the manifest.

        Shape:  those to enqueue, in batches of the same kind of change.
        """
        to_enqueue: list[Batch] = []
        for group in changes.groups:
            decision = self._decide(group.first)
            self._counts[kind_of(group.first, decision)] += group.size
            if decision is Decision.ENQUEUE and group.batch is not None:
                to_enqueue.append(group.batch)
            elif group.first.state is not State.UNCHANGED:
                self._skipped_ids.update(group.ids)
            if decision is Decision.REFUSE:
                self._refused[group.first.state] += group.size
        self._decisions += bytes(made is Decision.ENQUEUE for made in convert(changes.shared, self._decide))
        if self._refused and (room := _REFUSALS_KEPT - len(self._refusals)):
            refused = changes.select(lambda change: self._decide(change) is Decision.REFUSE)
            self._refusals += islice(refused, room)
        return to_enqueue

    def add_orphan(self, orphan: Changes) -> None:
        """Count an entry of the lockfile that is no longer in the manifest."""
        self._counts[kind_of(orphan.shared[0], Decision.SKIP)] += 1

    def counts(self, state: State) -> bool:
        """Return whether any workflow is in this state."""
        return any(kind.state is state for kind in self._counts)

    def _decide(self, change: Change) -> Decision:
        return decide(change, self._overrides)

    def build(
        self,
        origin: PlanOrigin,
        diagnostics: Iterable[Diagnostic] = (),
        new_entries: NewEntries = NO_ENTRIES,
        newest_queued_ms: int = 0,
        waiting_behind: Mapping[str, int] | None = None,
    ) -> ManifestPlan:
        """Make the plan; diagnostics that --allow names are left out."""
        allowed = self._overrides.allow
        return ManifestPlan(
            origin,
            PlanSummary(self._counts),
            bytes(self._decisions),
            tuple(found for found in diagnostics if found.code not in allowed),
            self._refused,
            tuple(self._refusals),
            self._skipped_ids,
            new_entries,
            newest_queued_ms,
            waiting_behind or {},
        )
