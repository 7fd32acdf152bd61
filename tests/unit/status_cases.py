"""Make the statuses of a manifest by hand: a year of days in three regions, of which some failed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta

from dbos_manifest.core.diagnostic import Diagnostic
from dbos_manifest.core.units import parse_timestamp
from dbos_manifest.expansion.axis import Axis
from dbos_manifest.expansion.matrix import Matrix
from dbos_manifest.planning.durations import measure
from dbos_manifest.planning.failure_digest import Failure, LastStep
from dbos_manifest.planning.rows import FAILED_STATUSES, LiveRow
from dbos_manifest.planning.status_table import StatusSummary, StatusTable
from dbos_manifest.planning.workflow_status import WorkflowStatus
from dbos_manifest.report.stored_results import error_parts
from dbos_manifest.workflows.batch import Batch
from dbos_manifest.workflows.spec import WorkflowSpec

DAYS = [(date(2025, 1, 1) + timedelta(days=number)).isoformat() for number in range(365)]
REGIONS = ["eu", "us", "apac"]
NOW_MS = parse_timestamp("2026-01-31T09:30:00Z")
BEGIN_MS = parse_timestamp("2026-01-31T09:00:00Z")
TIMEOUT = '{"name": "TimeoutError", "message": "warehouse %d did not respond in 30 s"}'
EMPTY = '{"name": "ValueError", "message": "empty file"}'


class Source:
    """A manifest with one entry of axes, as far as a status needs it."""

    document = 0
    complete = True
    queues: Mapping[str, bool] = {}

    def __init__(self, axes: Mapping[str, Sequence[object]], name: str = "orders") -> None:
        self.name = name
        self.file = f"jobs/{name}.yaml"
        self.names = tuple(axes)
        self._matrix = Matrix(
            tuple(Axis(axis, len(values), lambda v=values: iter(v)) for axis, values in axes.items())
        )

    def matrix_of(self, entry: int) -> Matrix:
        return self._matrix

    def specs(self) -> Iterator[WorkflowSpec]:
        for cells in self._matrix.combinations({}):
            values = [str(cell[0]) for cell in cells]
            key = "-".join([self.name, *values])
            yield WorkflowSpec(key, "ingest_orders", "etl", [], {}, binding=cells)

    def batches(self, size: int) -> Iterator[Batch]:
        yield Batch.of([*self.specs()])

    def locate(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        return [*diagnostics]


def row_of(
    spec: WorkflowSpec, status: str, number: int, *, ran_ms: int = 2_000, error: str | None = None
) -> LiveRow:
    started = BEGIN_MS + number * 1_000 if status != "ENQUEUED" else None
    ended = started + ran_ms if started is not None and status != "PENDING" else None
    attempts = 0 if status == "ENQUEUED" else 1
    return LiveRow(
        spec.id, status, spec.workflow, spec.queue, BEGIN_MS, started, ended, attempts, "portable_json",
        '"10 orders"' if status == "SUCCESS" else None, error,
    )  # fmt: skip


def year() -> list[WorkflowStatus]:
    """Return a year in which region us fails since December, one file was empty, and the end still waits."""
    draw = random.Random(3)
    source = Source({"day": DAYS, "region": REGIONS})
    found = []
    for number, spec in enumerate(source.specs()):
        day, region = (cell[0] for cell in spec.binding)
        status, error, step, ran_ms = "SUCCESS", None, None, 2_000 + draw.randrange(1_500)
        if region == "us" and day >= "2025-12-01" and (draw.random() < 0.6 or day == "2025-12-01"):
            status, error, step, ran_ms = "ERROR", TIMEOUT % number, LastStep(2, "fetch", True), 30_000
        elif (day, region) == ("2025-07-01", "eu"):
            status, error, step = "ERROR", EMPTY, LastStep(1, "read", True)
        elif day >= "2025-12-28":
            status = "ENQUEUED" if day > "2025-12-28" else "PENDING"
        found.append(status_of(source, spec, row_of(spec, status, number, ran_ms=ran_ms, error=error), step))
    return found


def status_of(
    source: Source, spec: WorkflowSpec, row: LiveRow | None, step: LastStep | None = None
) -> WorkflowStatus:
    failure = durations = None
    if row is not None:
        durations = measure(row, NOW_MS)
        if row.status in FAILED_STATUSES:
            failure = Failure(row.id, row.status, *error_parts(row), step, row.completed_at_ms)
    return WorkflowStatus(source.name, spec, row, durations, failure, source.names)


def every_status() -> list[WorkflowStatus]:
    """Return one workflow for each kind of row, with hostile texts."""
    source = Source({"day": DAYS[:9]}, "mixed")
    specs = [*source.specs()]
    hostile = '{"name": "\\u001b[31m::error::", "message": "<script>|`@team`\\u202e ##[command]"}'
    rows = [
        row_of(specs[0], "SUCCESS", 0)._replace(attempts=3),
        row_of(specs[1], "ERROR", 1, error=hostile),
        row_of(specs[2], "MAX_RECOVERY_ATTEMPTS_EXCEEDED", 2),
        row_of(specs[3], "CANCELLED", 3)._replace(queue=None, started_at_ms=None),
        row_of(specs[4], "PENDING", 4),
        row_of(specs[5], "ENQUEUED", 5),
        row_of(specs[6], "DELAYED", 6)._replace(started_at_ms=None, completed_at_ms=None),
        row_of(specs[7], "NEW_STATUS\x1b[2J", 7),
        None,
    ]
    return [status_of(source, spec, row) for spec, row in zip(specs, rows, strict=True)]


def summarize(
    found: Sequence[WorkflowStatus], *by: str, axes: Mapping[str, Sequence[object]] | None = None
) -> StatusSummary:
    """Summarize statuses as the command does."""
    name = found[0].manifest
    source = Source(axes or {"day": DAYS, "region": REGIONS}, name)
    table = StatusTable(source, by, frozenset())
    for status in found:
        table.add(status)
    return table.summarize("prod", NOW_MS, steps_known=True)
