"""Describe groups of failed workflows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.plural import count_of
from ..core.units import format_timestamp
from ..planning.failure_digest import FailureGroup
from ..planning.status_table import StatusSummary, order_statuses
from .screen import Screen, wrap_parts
from .status_command import StatusCommand
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


def describe_condition(group: FailureGroup) -> tuple[str, str] | None:
    """Return which workflows of a group meet its condition, and how many others do; None without one.

    Shape:  `all 20 have region=us` or `312 of 318 have region=us`, and `so do 7 other finished workflows`.
    """
    condition = group.condition
    if condition is None:
        return None
    if condition.total == 1:
        found = f"it has {condition.text}"
    elif condition.is_exact:
        found = f"all {condition.total:,} have {condition.text}"
    else:
        found = f"{condition.covered:,} of {condition.total:,} have {condition.text}"
    others = condition.matching - condition.covered
    if not others:
        return found, "no other finished workflow does"
    return found, f"so {'does' if others == 1 else 'do'} {count_of(others, 'other finished workflow')}"


def failure_lines(
    screen: Screen, summary: StatusSummary, command: StatusCommand, most: int | None = MOST_GROUPS
) -> Iterator[str]:
    """Yield the groups, and the command that lists the IDs of a group, or of all if none has a condition.

    `command` shows the status of this manifest. `most` limits the groups; None shows all.
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
    yield from _help_lines(screen, summary, groups, command)


def _help_lines(
    screen: Screen, summary: StatusSummary, shown: Sequence[FailureGroup], command: StatusCommand
) -> Iterator[str]:
    explained = next((group for group in shown if group.condition is not None), None)
    if explained is not None:
        listing, what = command.list_ids(explained.statuses, explained.condition), "a group"
    else:
        statuses = {status for group in summary.failures for status in group.statuses}
        listing, what = command.list_ids(statuses), "the failed workflows"
    if listing is not None:
        yield f"  {screen.paint('cyan', 'help')}: list the IDs of {what}:"
        yield from (f"    {line}" for line in listing.lines(screen.width - 4))


def _details(screen: Screen, group: FailureGroup) -> Iterator[str]:
    if condition := describe_condition(group):
        yield screen.paint("bold", condition[0])
        yield condition[1]
    if step := describe_step(group):
        yield step
    if group.first_ms is not None:
        first = format_timestamp(group.first_ms // 1000 * 1000)
        yield f"failed at {first}" if group.size == 1 else f"first failed at {first}"
    if group.size <= len(group.examples):
        yield from (shorten(printable(example), 60) for example in group.examples)
