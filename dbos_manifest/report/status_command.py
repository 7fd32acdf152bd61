"""The command that shows a status again, and lists the IDs of some of its workflows."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..expansion.selection import can_select
from ..planning.axis_conditions import Condition
from ..planning.status_table import order_statuses
from .screen import wrap_parts
from .text import printable


class StatusCommand(NamedTuple):
    """A `status` command: paths of manifests, and options with their values."""

    paths: Sequence[str]
    options: Sequence[tuple[str, str]] = ()

    def of_file(self, file: str) -> StatusCommand:
        """Return the command for one manifest file only."""
        return self._replace(paths=("-" if file == "<stdin>" else file,))

    def list_ids(self, statuses: Iterable[str], condition: Condition | None = None) -> StatusCommand | None:
        """Return the command that lists the IDs of workflows with these statuses, and a condition if given.

        None if no command can name the statuses.
        """
        known = order_statuses([status for status in statuses if can_select(status)])
        if not known:
            return None
        options = [*self.options, *(("--only", status) for status in known)]
        if condition is not None:
            options.append(("--select", condition.text))
        return self._replace(options=[*options, ("-o", "ids")])

    def line(self) -> str:
        """Return the command as one line for a shell."""
        return " ".join(self._parts())

    def lines(self, width: int) -> Iterator[str]:
        """Yield the command as lines of at most this width, each continued by a backslash.

        An option is never separated from its value, so a long value makes a longer line.
        """
        *begun, last = wrap_parts([*self._parts()], width - 4, " ")
        for place, line in enumerate(begun):
            yield f"{'  ' if place else ''}{line} \\"
        yield f"{'  ' if begun else ''}{last}"

    def _parts(self) -> Iterator[str]:
        yield "dbos-manifest status"
        yield from (printable(shlex.quote(path)) for path in self.paths)
        yield from (printable(shlex.join(option)) for option in self.options)
