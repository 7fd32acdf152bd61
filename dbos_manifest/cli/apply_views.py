"""What an apply shows, in each format: the plans, progress, and the outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..actions.plan import ChangeSink
from ..actions.validate import Validation
from ..planning.manifest_plan import ManifestPlan
from ..planning.results import ApplyOutcome, Progress, RetryNotice, WaitProgress
from ..report.apply_results import (
    ApplyEvents,
    Times,
    applied_json,
    applied_lines,
    applied_markdown,
    rejected_diagnostics,
)
from ..report.progress import enqueue_snapshot, wait_snapshot
from .output_targets import Sink
from .plan_views import PlanView, ProblemView, Views, make_plan_view
from .progress import Stopwatch, show_progress
from .screens import make_screen
from .settings import print_retry
from .terminal import write, write_now

APPLY_FORMATS = ("text", "json", "jsonl", "github", "sarif", "junit", "markdown")
_AT_THE_END = ("github", "sarif", "junit")  # one document, of the plan's problems


class ApplyViews:
    """The formats of one apply."""

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
        self._strict = False
        self._times = Times()
        # with one format, as usual, directly to it: a plan may have a million changes
        views = [*self._views.values()]
        self.add: ChangeSink = views[0].add if len(views) == 1 else Views(views).add

    def plans(self, plans: Sequence[ManifestPlan], strict: bool) -> None:
        """Show the plans, before anything is enqueued."""
        self._strict = strict
        for at, view in self._views.items():
            if self._sinks[at].format not in _AT_THE_END:
                view.finish(plans, strict)
        for events in self._events:
            events.plans(plans, strict)

    def retry(self, notice: RetryNotice) -> None:
        """Show that a failed attempt is about to be repeated."""
        print_retry(notice)
        for events in self._events:
            events.retry(notice)

    @contextmanager
    def progress_bar(self) -> Iterator[Callable[[Progress], None]]:
        """Yield a function that shows the progress of a manifest."""
        watch = Stopwatch()
        self._times.enqueuing = watch.seconds
        with show_progress(watch) as bar:

            def show(progress: Progress) -> None:
                bar(enqueue_snapshot(progress))
                for events in self._events:
                    events.progress(progress)

            yield show

    @contextmanager
    def wait_bar(self) -> Iterator[Callable[[WaitProgress], None]]:
        """Yield the function that shows how many workflows of a manifest have ended."""
        watch = Stopwatch(since_start=True)
        self._times.waiting = watch.seconds
        with show_progress(watch) as bar:

            def show(progress: WaitProgress) -> None:
                bar(wait_snapshot(progress))

            yield show

    def finish(self, outcome: ApplyOutcome) -> None:
        """Show what was done."""
        for at, (format, emit, paint) in enumerate(self._sinks):
            if format == "json":
                emit(f"{applied_json(outcome)}\n")
            elif format == "markdown":
                emit(applied_markdown(outcome, self._times))
            elif format in _AT_THE_END:
                view = self._views[at]
                assert isinstance(view, ProblemView)
                view.more += rejected_diagnostics(outcome.results)
                view.finish(outcome.plans, self._strict)
            elif format == "text":
                for result in outcome.results:
                    waited = outcome.waited.get(result.plan.name)
                    for line in applied_lines(result, self._times, waited, make_screen(paint)):
                        emit(f"{line}\n")
        for events in self._events:
            events.finish(outcome)
