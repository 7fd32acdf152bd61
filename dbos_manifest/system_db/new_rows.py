"""Make the rows of workflows as the official client makes them, column by column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..core.columns import Repeated, convert, filter_column
from ..workflows.batch import Batch
from ..workflows.encoded_arguments import encode_inputs
from .layout import Layout

COLUMNS_OF_ALL = ("updated_at", "recovery_attempts", "serialization")
"""Columns of workflow_status that have the same value, or that of `created_at`, in every new row."""
INPUT_COLUMNS = ("workflow_uuid", "inputs", "retention_timestamp")
INPUT_SOURCES = ("workflow_uuid", "inputs", "created_at")
"""The columns of `NewRows` that go to `INPUT_COLUMNS`."""


@dataclass(frozen=True, slots=True)
class NewRows:
    """Rows of workflow_status by its columns, with their inputs; at least one.

    Shape:  `columns` has every column that is ever written, also those that this schema does not have.
    Source: DBOSClient.enqueue of dbos 3.4.0, `_enqueue_options.py` and `_sys_db.py`.
    """

    columns: Mapping[str, Sequence[Any]]
    count: int

    def filter(self, mask: bytes | bytearray) -> NewRows:
        """Return the rows at the places where the mask is not 0."""
        columns = {name: filter_column(column, mask) for name, column in self.columns.items()}
        return NewRows(columns, len(columns["workflow_uuid"]))

    def slice(self, start: int, stop: int) -> NewRows:
        """Return the rows from `start` to before `stop`."""
        part = slice(start, stop)
        return NewRows({name: column[part] for name, column in self.columns.items()}, stop - start)


class PreparedRows(NamedTuple):
    """Rows ready to be inserted: everything that takes time and no database is done."""

    rows: NewRows
    names: Sequence[str]  # of the columns of workflow_status that are written
    status_text: bytes = b""  # in COPY's text format, where rows are inserted by COPY
    input_text: bytes = b""

    @property
    def ids(self) -> Sequence[str]:
        """The IDs of the rows."""
        return self.rows.columns["workflow_uuid"]


_OPTION_COLUMNS = (
    ("application", "application_name", "application"),
    ("queue_partition_key", "queue_partition_key", "queue_partition_key"),
    ("delay_ms", "delay_until_epoch_ms", "delay"),
    ("not_before_ms", "delay_until_epoch_ms", "not_before"),
    ("attributes", "attributes", "attributes"),
    ("schedule", "schedule_name", "schedule"),
)


def options_without_column(layout: Layout) -> list[tuple[str, str]]:
    """Return the options that this schema has no column for, as (field of a spec, name of the option)."""
    return [(field, option) for field, column, option in _OPTION_COLUMNS if column not in layout.status]


def make_rows(
    batch: Batch,
    *,
    created_at_ms: Sequence[int],
    now_ms: int,
    attributes: Sequence[str | None],
    creator_xid: str,
) -> NewRows:
    """Make the rows of workflows. `delay` counts from `now_ms`; `attributes` are JSON."""
    fields, count = batch.columns, len(batch)
    delay_until = _make_delays(batch, now_ms)
    columns: dict[str, Sequence[Any]] = {
        "workflow_uuid": batch.ids,
        "status": convert(delay_until, lambda until: "ENQUEUED" if until is None else "DELAYED"),
        "name": fields["workflow"],
        "class_name": fields["class_name"],
        "config_name": fields["instance_name"],
        "queue_name": fields["queue"],
        "application_version": fields["application_version"],
        "application_name": fields["application"],
        "authenticated_user": fields["authenticated_user"],
        "authenticated_roles": convert(fields["authenticated_roles"], _encode_roles),
        "assumed_role": fields["assumed_role"],
        "priority": fields["priority"],
        "created_at": created_at_ms,
        "workflow_timeout_ms": fields["timeout_ms"],
        "workflow_deadline_epoch_ms": fields["deadline_ms"],
        "deduplication_id": fields["deduplication_id"],
        "queue_partition_key": fields["queue_partition_key"],
        "delay_until_epoch_ms": delay_until,
        "attributes": attributes,
        "schedule_name": fields["schedule"],
        "creator_xid": Repeated(creator_xid, count),
        "inputs": encode_inputs(batch),
    }
    return NewRows(columns, count)


def _make_delays(batch: Batch, now_ms: int) -> Sequence[int | None]:
    not_before, delays = batch.columns["not_before_ms"], batch.columns["delay_ms"]
    if not batch.sets("delay_ms"):
        return not_before
    return [
        until if delay is None else now_ms + delay for until, delay in zip(not_before, delays, strict=True)
    ]


def _encode_roles(roles: list[str] | None) -> str | None:
    return json.dumps(roles) if roles else None
