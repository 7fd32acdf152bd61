"""Describe groups of failed workflows."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from ..core.plural import count_of
from ..core.units import format_timestamp
from ..expansion.selection import can_select
from ..planning.axis_conditions import Condition
from ..planning.failure_digest import FailureGroup
from ..planning.status_table import StatusSummary, order_statuses
from .screen import Screen, wrap_parts
from .text import printable, shorten

MOST_GROUPS = 10
_MOST_CHARACTERS = 300  # of a message


def describe_error(group: FailureGroup) -> str:
    """Return `TimeoutError: warehouse <n> did not respond`, or the status where there is no error."""
    if group.message is None:
        return ", ".join(printable(status) for status in order_statuses([*group.statuses]))
    text = group.message if group.name is None else f"{group.name}: {group.message}"
    return shorten(printable(text), _MOST_CHARACTERS)


def describe_step(group: FailureGroup) -> str | None:
    """Return `step 2 (fetch)`, or `after step 2 (fetch)` if no step failed; None without a step."""
    if group.step is None:
        return None
    name = f" ({shorten(printable(group.step.name), 60)})" if group.step.name else ""
    return f"{'' if group.step.failed else 'after '}step {printable(str(group.step.number))}{name}"


def describe_condition(group: FailureGroup) -> str | None:
    """Return `all have region=us`, or `312 of 318 have region=us`; None without a condition."""
    condition = group.condition
    if condition is None:
        return None
    share = "all" if condition.is_exact else f"{condition.covered:,} of {condition.total:,}"
    return f"{share} have {condition.text}"


def failure_lines(
    screen: Screen, summary: StatusSummary, command: str, most: int | None = MOST_GROUPS
) -> Iterator[str]:
    """Yield the groups, and the command that lists the IDs of a group; `command` begins it.

    `most` limits the groups; None shows all.
    """
    groups = summary.failures[:most]
    if not groups:
        return
    yield screen.paint("bold", "Failures")
    width = max(len(f"{group.size:,}") for group in groups)
    indent = " " * (width + 4)
    for group in groups:
        error = screen.fit(describe_error(group), max(20, screen.width - width - 4))
        yield f"  {screen.paint('red', f'{group.size:>{width},}')}  {error}"
        for line in wrap_parts([*_details(screen, group)], screen.width - len(indent), "; "):
            yield f"{indent}{line}"
    if rest := summary.failures[len(groups) :]:
        workflows = count_of(sum(group.size for group in rest), "workflow")
        yield f"{indent}{count_of(len(rest), 'more group')} ({workflows}): --by error"
    if not summary.steps_known:
        yield f"{indent}steps are unknown: this role lacks SELECT on operation_outputs"
    example = next((group for group in groups if group.condition is not None), groups[0])
    if listing := list_command(command, example.statuses, example.condition):
        yield f"  {screen.paint('cyan', 'help')}: list the IDs of a group:"
        yield f"    {listing}"


def _details(screen: Screen, group: FailureGroup) -> Iterator[str]:
    if condition := describe_condition(group):
        yield screen.paint("bold", condition)
    if step := describe_step(group):
        yield step
    if group.first_ms is not None:
        first = format_timestamp(group.first_ms // 1000 * 1000)
        yield f"failed at {first}" if group.size == 1 else f"first failed at {first}"
    if group.size <= len(group.examples):
        yield from (shorten(printable(example), 60) for example in group.examples)


def list_command(command: str, statuses: Iterable[str], condition: Condition | None = None) -> str | None:
    """Return the command that lists the IDs of workflows with these statuses, and a condition if it has one.

    None if no command can name the statuses.
    """
    known = order_statuses([status for status in statuses if can_select(status)])
    words = [word for status in known for word in ("--only", status)]
    if condition is not None:
        words += ["--select", condition.text]
    return f"{command} {shlex.join([*words, '-o', 'ids'])}" if known else None
