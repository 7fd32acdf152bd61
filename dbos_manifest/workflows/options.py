"""The options of a workflow: their names in a manifest, and their fields and units in a WorkflowSpec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..core.units import parse_duration, parse_timestamp
from .spec import WorkflowSpec


def _parse_positive_duration(text: object) -> int:
    milliseconds = parse_duration(text)
    if milliseconds == 0:
        raise ValueError(f"expected a duration above zero, found `{text}`; remove the option to have none")
    return milliseconds


class TimeOption(NamedTuple):
    """An option written as text, stored in milliseconds; `parse` raises ValueError with what is expected."""

    field: str  # of WorkflowSpec
    parse: Callable[[object], int]
    code: str  # of the diagnostic of an invalid text


TIME_OPTIONS = {
    "timeout": TimeOption("timeout_ms", _parse_positive_duration, "invalid-duration"),
    "delay": TimeOption("delay_ms", _parse_positive_duration, "invalid-duration"),
    "deadline": TimeOption("deadline_ms", parse_timestamp, "invalid-timestamp"),
    "not_before": TimeOption("not_before_ms", parse_timestamp, "invalid-timestamp"),
}
PLAIN_OPTIONS = frozenset(WorkflowSpec._fields) - {
    "entry", "binding", "timeout_ms", "deadline_ms", "not_before_ms", "delay_ms",
}  # fmt: skip
OPTIONS = PLAIN_OPTIONS | TIME_OPTIONS.keys()
TEXT_OPTIONS = frozenset(
    {
        "id", "workflow", "queue", "class_name", "instance_name", "application", "queue_partition_key",
        "deduplication_id", "application_version", "authenticated_user", "assumed_role", "schedule", "name",
    }
)  # fmt: skip
"""Options that accept any text."""


def read_plain_option(option: str, value: object) -> object:
    """Return a plain option's value; `1e1` is an integer to JSON Schema, so a priority of 1e1 is 10."""
    return int(value) if type(value) is float and option == "priority" else value


REQUIRED_OPTIONS = ("workflow", "queue")
FIELDS = {option: TIME_OPTIONS[option].field if option in TIME_OPTIONS else option for option in OPTIONS}
POSITIONS = {field: position for position, field in enumerate(WorkflowSpec._fields)}
EMPTY: dict[str, Any] = {"args": [], "kwargs": {}}
"""The values of options that are not set and have no default in WorkflowSpec."""
