"""Find workflows that DBOS would accept and then never run, or not as intended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from ..checks.rules import RESERVED_QUEUE_PREFIX
from ..core.columns import Repeated, convert
from ..core.diagnostic import Diagnostic, Severity, make_diagnostic
from ..core.suggest import suggest
from ..core.units import format_timestamp
from ..workflows.batch import Batch
from ..workflows.spec import WorkflowSpec
from .preflight_codes import WORKER_BEHIND_SCHEMA
from .rows import QueueRow

MOST_LISTED = 10  # names of queues in one message
_KIND = ("entry", "workflow", "queue", "application", "application_version", "priority", "deadline_ms")
_KIND_WHETHER = ("queue_partition_key", "deduplication_id")
MOST_KINDS = 10_000  # of workflows whose problems are kept in memory


class _Problem(NamedTuple):
    """What the workflows have in common that are reported in one diagnostic."""

    code: str
    queue: str
    application: str | None = None
    entry: int | None = None  # None: the problem is the queue, whichever entry names it


@dataclass(slots=True)
class _Seen:
    first: WorkflowSpec
    count: int = 0


class QueuedAhead(NamedTuple):
    """A queued row that a clock far in the future created."""

    id: str
    created_at_ms: int


class PreflightFacts(NamedTuple):
    """What preflight needs to know about the database."""

    names: frozenset[str]  # of workflows that it has rows or schedules of; empty: it has none at all
    versions: frozenset[str] | None  # registered application versions; None: not known
    waiting_behind: dict[str, int]  # queue -> queued rows that would start after ours
    run_by_old_worker: str | None = None  # a workflow that a worker older than the schema has run
    queued_ahead: QueuedAhead | None = None


def _is_none(value: object) -> bool:
    return value is None


class PreflightCheck:
    """Collects problems of the workflows to enqueue: one per queue or per entry, in bounded memory."""

    def __init__(self, queues: Mapping[str, QueueRow], declared: Mapping[str, bool], *, now_ms: int) -> None:
        """Create a check.

        `declared` maps the manifest's own `queues` to whether they are partitioned; `now_ms` is the time of
        the database.
        """
        self._queues = queues
        self._declared = declared
        self.now_ms = now_ms
        self._found: dict[_Problem, _Seen] = {}
        self._kinds: dict[tuple[object, ...], list[_Seen]] = {}  # by kind of workflow
        self._first_of_name: dict[str, WorkflowSpec] = {}
        self._first_of_version: dict[str, WorkflowSpec] = {}
        self.lowest_priorities: dict[str, int] = {}  # by queue, of the workflows to enqueue

    @property
    def workflows(self) -> Collection[str]:
        """Return the names of the workflows to enqueue."""
        return self._first_of_name.keys()

    def add(self, batch: Batch) -> None:
        """Check workflows to enqueue."""
        columns = [batch.columns[field] for field in _KIND]
        columns += [convert(batch.columns[field], _is_none) for field in _KIND_WHETHER]
        if all(isinstance(column, Repeated) for column in columns):
            self._count(tuple(column[0] for column in columns), batch[0], len(batch))
            return
        counts: dict[tuple[object, ...], list[int]] = {}  # the first place, and how many there are
        for place, kind in enumerate(zip(*columns, strict=True)):
            counts.setdefault(kind, [place, 0])[1] += 1
        for kind, (place, count) in counts.items():
            self._count(kind, batch[place], count)

    def _count(self, kind: tuple[object, ...], first: WorkflowSpec, count: int) -> None:
        seen = self._kinds.get(kind)
        if seen is None:
            seen = self._check_kind(first)
            if len(self._kinds) < MOST_KINDS:
                self._kinds[kind] = seen
        for one in seen:
            one.count += count

    def _check_kind(self, spec: WorkflowSpec) -> list[_Seen]:
        self._first_of_name.setdefault(spec.workflow, spec)
        if spec.application_version is not None:
            self._first_of_version.setdefault(spec.application_version, spec)
        if spec.priority <= self.lowest_priorities.get(spec.queue, spec.priority):
            self.lowest_priorities[spec.queue] = spec.priority
        return [self._found.setdefault(finding, _Seen(spec)) for finding in self._check(spec)]

    def diagnostics(self, facts: PreflightFacts) -> list[Diagnostic]:
        """Return the problems in the order of the manifest's entries."""
        ordered = sorted(self._found.items(), key=lambda item: item[1].first.entry)
        found = [self._describe(problem, seen) for problem, seen in ordered]
        of_database = (
            self._unknown_names(facts.names),
            self._unknown_versions(facts.versions),
            self._old_worker(facts),
            self._queued_ahead(facts.queued_ahead),
        )
        return [*found, *chain.from_iterable(of_database)]

    def _old_worker(self, facts: PreflightFacts) -> Iterator[Diagnostic]:
        first = next(iter(self._first_of_name.values()), None)
        if facts.run_by_old_worker is not None and first is not None:
            yield make_diagnostic(
                WORKER_BEHIND_SCHEMA,
                f"`{facts.run_by_old_worker}` was run by a worker whose DBOS version predates the schema: "
                "such workers cannot find the arguments and may run workflows without them",
                ("workflows", first.entry, "workflow"),
                help="upgrade the workers, or add --legacy-inputs to write the arguments where "
                "those workers read them",
            )

    def _queued_ahead(self, ahead: QueuedAhead | None) -> Iterator[Diagnostic]:
        first = next(iter(self._first_of_name.values()), None)
        if ahead is not None and first is not None:
            created, now = format_timestamp(ahead.created_at_ms), format_timestamp(self.now_ms)
            yield make_diagnostic(
                "queued-in-the-future",
                f"`{ahead.id}` is queued with the creation time {created}, but the database's clock reads "
                f"{now}: workflows that are enqueued now will start before it",
                ("workflows", first.entry, "workflow"),
                help="check the clocks of the machines that enqueue and of the database server",
            )

    def _unknown_names(self, names: frozenset[str]) -> Iterator[Diagnostic]:
        """Check the names; in a database without any workflow every name is new."""
        for name, spec in self._first_of_name.items():
            if names and name not in names:
                hint = _hint(name, names, cutoff=0.75)
                yield make_diagnostic(
                    "workflow-never-seen",
                    f"no worker has run the workflow `{name}` in this database yet",
                    ("workflows", spec.entry, "workflow"),
                    help=f"{hint}if the name is misspelled, the worker that claims the workflow cannot "
                    "run it, and it stays PENDING",
                )

    def _unknown_versions(self, versions: frozenset[str] | None) -> Iterator[Diagnostic]:
        for version, spec in self._first_of_version.items():
            if versions is not None and version not in versions:
                hint = _hint(version, versions, cutoff=0.6)
                yield make_diagnostic(
                    "application-version-unknown",
                    f"no worker has registered the application version `{version}`",
                    ("workflows", spec.entry, "application_version"),
                    help=f"{hint}the workflow stays ENQUEUED until a worker with exactly this version runs",
                )

    def _check(self, spec: WorkflowSpec) -> Iterator[_Problem]:
        queue = self._queues.get(spec.queue)
        if queue is None:
            if spec.queue not in self._declared:
                yield _Problem("queue-not-registered", spec.queue, spec.application)
        elif queue.application and spec.application and queue.application != spec.application:
            yield _Problem("queue-owned-elsewhere", spec.queue, spec.application)
        signs = (queue.partitioned if queue else None, self._declared.get(spec.queue))
        if True in signs:
            if spec.queue_partition_key is None:
                yield _Problem("missing-partition-key", spec.queue, entry=spec.entry)
            if spec.deduplication_id is not None:
                yield _Problem("deduplication-on-partitioned-queue", spec.queue, entry=spec.entry)
        elif False in signs and spec.queue_partition_key is not None:
            yield _Problem("unused-partition-key", spec.queue, entry=spec.entry)
        if spec.deadline_ms is not None and spec.deadline_ms <= self.now_ms:
            yield _Problem("deadline-passed", spec.queue, entry=spec.entry)

    def _describe(self, finding: _Problem, seen: _Seen) -> Diagnostic:
        spec = seen.first
        option, message, help = self._words(finding.code, spec)
        severity = None
        if finding.code == "queue-not-registered" and not self._registered(spec.application):
            severity = Severity.WARNING  # queues declared in code are in no table
        if seen.count > 1:
            message += f" ({seen.count:,} workflows, the first is `{spec.id}`)"
        path = ("workflows", spec.entry, option)
        return make_diagnostic(finding.code, message, path, severity=severity, help=help)

    def _words(self, code: str, spec: WorkflowSpec) -> tuple[str, str, str]:
        """Return the invalid option, what is wrong, and what to do."""
        queue = f"`{spec.queue}`"
        if code == "queue-not-registered":
            return ("queue", *self._words_of_unregistered(spec))
        if code == "queue-owned-elsewhere":
            owner = self._queues[spec.queue].application
            return (
                "queue",
                f"the queue {queue} belongs to the application `{owner}`, not to `{spec.application}`",
                f"workers of `{spec.application}` never poll it: use a queue of their own",
            )
        if code == "missing-partition-key":
            return (
                "queue",
                f"the queue {queue} is partitioned, and a workflow without a partition key never runs",
                "set `queue_partition_key`",
            )
        if code == "deduplication-on-partitioned-queue":
            return (
                "deduplication_id",
                f"`deduplication_id` applies to the whole queue {queue}, not to each partition",
                "include the partition key in the deduplication ID",
            )
        if code == "unused-partition-key":
            return (
                "queue_partition_key",
                f"the queue {queue} is not partitioned, so the key has no effect",
                "remove `queue_partition_key`, or use a partitioned queue",
            )
        deadline = format_timestamp(spec.deadline_ms or 0)
        return (
            "deadline",
            f"the deadline {deadline} has passed: a worker cancels the workflow, unless it starts it first",
            "set a later `deadline`, or remove it",
        )

    def _registered(self, application: str | None) -> list[str]:
        """Return the queues that workers of an application poll: its own, and those without an owner.

        Source: DBOS.md §2.2 and §7. Without an application any worker may take the workflow.
        """
        return sorted(
            name
            for name, queue in self._queues.items()
            if not name.startswith(RESERVED_QUEUE_PREFIX)
            and (not queue.application or not application or queue.application == application)
        )

    def _words_of_unregistered(self, spec: WorkflowSpec) -> tuple[str, str]:
        registered = self._registered(spec.application)
        owner = f" for the application `{spec.application}`" if spec.application else ""
        message = f"the queue `{spec.queue}` is not registered{owner}"
        hint = _hint(spec.queue, [*registered, *self._declared], cutoff=0.75)
        if not registered:
            hint += (
                "workflows wait until a worker polls the queue; list a queue declared in code under `queues:`"
            )
            return f"{message}; this database has no registered queue{owner and ' for it'}", hint
        names = ", ".join(f"`{name}`" for name in registered[:MOST_LISTED])
        more = len(registered) - MOST_LISTED
        hint += f"registered: {names}" + (f" and {more:,} more" if more > 0 else "")
        return message, f"{hint}; list a queue declared in code under `queues:`"


def _hint(name: str, known: Iterable[str], cutoff: float) -> str:
    """Return a suggestion that more text follows; an empty text where there is none."""
    suggestion = suggest(name, known, cutoff)
    return f"{suggestion} " if suggestion else ""
