"""What an apply shows, in each form: the plan, what happens, and the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..actions.apply import ApplyResult
from ..actions.enqueue import Progress
from ..actions.plan import ManifestPlan
from ..actions.session import ChangeSink
from ..actions.validate import Validation
from ..core.errors import ManifestToolError
from ..plan.rows import LiveRow
from ..report.applied import (
    ApplyEvents,
    applied_json,
    applied_lines,
    applied_markdown,
    fault_diagnostics,
)
from ..system_db.retry import RetryNotice
from .output import write, write_now
from .outputs import Sink
from .plans import PlanView, ProblemView, Views, make_plan_view

APPLY_FORMATS = ("text", "json", "jsonl", "github", "sarif", "junit", "markdown")
_AT_THE_END = ("github", "sarif", "junit")  # one document, of the plan's problems


class ApplyViews:
    """The forms of one apply."""

    def __init__(self, sinks: Sequence[Sink], validation: Validation) -> None:
        self._sinks = sinks
        self._views: dict[int, PlanView] = {
            at: make_plan_view(sink, validation, None)
            for at, sink in enumerate(sinks)
            if sink.format not in ("json", "jsonl")
        }
        self._events = [
            ApplyEvents(write_now if sink.write is write else sink.write)
            for sink in sinks
            if sink.format == "jsonl"
        ]
        self._plans: list[ManifestPlan] = []
        self._strict = False
        # with one form, as usual, straight to it: a plan may have a million changes
        views = [*self._views.values()]
        self.add: ChangeSink = views[0].add if len(views) == 1 else Views(views).add

    def plans(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        self._plans, self._strict = list(plans), strict
        for at, view in self._views.items():
            if self._sinks[at].format not in _AT_THE_END:
                view.finish(plans, strict)
        for events in self._events:
            events.plans(plans, strict)

    def retry(self, notice: RetryNotice) -> None:
        for events in self._events:
            events.retry(notice)

    def progress(self, progress: Progress) -> None:
        for events in self._events:
            events.progress(progress)

    def finish(
        self, results: Sequence[ApplyResult], failed: Mapping[str, LiveRow], failure: ManifestToolError | None
    ) -> None:
        for at, (format, send, paint) in enumerate(self._sinks):
            if format == "json":
                send(f"{applied_json(self._plans, results, failed, failure)}\n")
            elif format == "markdown":
                send(applied_markdown(results, failed, failure))
            elif format in _AT_THE_END:
                view = self._views[at]
                assert isinstance(view, ProblemView)
                view.more += fault_diagnostics(results)
                view.finish(self._plans, self._strict)
            elif format == "text":
                for applied in results:
                    for line in applied_lines(applied, failed, paint):
                        send(f"{line}\n")
        for events in self._events:
            events.finish(self._plans, results, failed, failure)
