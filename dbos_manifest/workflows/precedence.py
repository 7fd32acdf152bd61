"""Which place wins where several set the same option: entry over catalog over defaults over manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.diagnostic import ValuePath
from .options import OPTIONS


class Option(NamedTuple):
    """An option as written, and where."""

    name: str
    value: Any
    path: ValuePath


class Layers(NamedTuple):
    """The options that each place sets for a workflow.

    The order of the fields is the precedence, weakest first.
    A null counts as set: in an entry it unsets what the catalog or the defaults set.
    Source: SPEC §1.
    """

    manifest: Mapping[str, object]  # options at the top level: application, runtime
    defaults: Mapping[str, object]
    catalog: Mapping[str, object]  # of the workflow's name
    entry: Mapping[str, object]

    def merge(self) -> dict[str, object]:
        """Return the value of each option from the strongest place that sets it."""
        merged: dict[str, object] = {}
        for options in self:
            merged |= options
        return merged

    def find(self, option: str) -> str | None:
        """Return the name of the place whose value of an option wins; None for an option set nowhere."""
        return next((name for name in reversed(self._fields) if option in getattr(self, name)), None)

    def locate(self, entry: int, workflow: str | None) -> dict[str, Option]:
        """Return each option with the value that wins and its path; `entry` is an index in `workflows`."""
        located: dict[str, Option] = {}
        for place, options in zip(self._fields, self, strict=True):
            path = path_of_place(place, entry, workflow)
            for name, value in options.items():
                if name in OPTIONS:
                    located[name] = Option(name, value, (*path, name))
        return located


def path_of_place(place: str, entry: int, workflow: str | None) -> ValuePath:
    """Return the path in the manifest of a place of `Layers`, for a workflow of an entry."""
    paths: dict[str, ValuePath] = {
        "manifest": (),
        "defaults": ("defaults",),
        "catalog": ("catalog", str(workflow)),
        "entry": ("workflows", entry),
    }
    return paths[place]


def find_workflow_name(entry: Mapping[str, object], defaults: Mapping[str, object]) -> str | None:
    """Return the workflow that an entry names, itself or by the defaults; the catalog is searched for it."""
    name = entry["workflow"] if "workflow" in entry else defaults.get("workflow")
    return name if isinstance(name, str) else None
