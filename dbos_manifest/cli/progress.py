"""Show progress on standard error: a bar on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TextIO

from ..report.progress import Snapshot, bar_parts, describe_pace, progress_line
from .terminal import preferences, progress_stream, say, wants_colours

LINE_EVERY_S = 10
BAR_CELLS = 24

Show = Callable[[Snapshot], object]


class Stopwatch:
    """Measure from the reports of progress how long each manifest takes, and how fast its workflows end."""

    def __init__(self, clock: Callable[[], float] = monotonic, *, since_start: bool = False) -> None:
        """Start. A manifest begins where the previous one ended, or with `since_start` now."""
        self.clock = clock
        self.seconds: dict[str, float] = {}  # by manifest, until its last report
        self._since_start = since_start
        self._begun = clock()
        self._last = self._begun
        self._first = (self._begun, 0)  # time and count of the manifest's first report

    def report(self, snapshot: Snapshot) -> list[str]:
        """Record a report, and return the rate since the manifest's first one and the time that is left."""
        now = self.clock()
        if snapshot.manifest not in self.seconds:
            self._first = (now, snapshot.ended)
            self._begun = self._begun if self._since_start else self._last
        self._last = now
        self.seconds[snapshot.manifest] = now - self._begun
        begun, ended = self._first
        return describe_pace(snapshot.ended - ended, snapshot.total - snapshot.ended, now - begun)


class PlainLines:
    """Write a line every ten seconds at most, and one at the end of each manifest."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._written_at = clock()
        self._manifest = ""
        self._unwritten: str | None = None

    def show(self, snapshot: Snapshot, pace: Sequence[str]) -> None:
        """Write the line if it is due, else keep it for the end."""
        if snapshot.manifest != self._manifest:
            self.close()
            self._manifest = snapshot.manifest
        self._unwritten = progress_line(snapshot, pace)
        if self._clock() - self._written_at >= LINE_EVERY_S:
            self.close()

    def close(self) -> None:
        """Write the last line, if it was not written."""
        if self._unwritten is not None:
            self._write(self._unwritten)
            self._unwritten = None
            self._written_at = self._clock()


@contextmanager
def show_progress(watch: Stopwatch) -> Iterator[Show]:
    """Yield a function that records a snapshot and shows it, unless --quiet is set."""
    stream = progress_stream()
    if preferences.quiet:
        yield watch.report
    elif stream is None:
        lines = PlainLines(say, watch.clock)
        try:
            yield lambda snapshot: lines.show(snapshot, watch.report(snapshot))
        finally:
            lines.close()
    else:
        with _terminal_bar(stream, watch) as show:
            yield show


@contextmanager
def _terminal_bar(stream: TextIO, watch: Stopwatch) -> Iterator[Show]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=stream, no_color=not wants_colours(stream))
    line = "━" if console.encoding.lower().startswith("utf") else "-"

    def render(snapshot: Snapshot, pace: Sequence[str]) -> Text:
        shown = Text(no_wrap=True, overflow="ellipsis")
        for count in snapshot.counts:
            shown.append(count.text, count.style).append("  ")
        share = snapshot.ended * 100 // snapshot.total if snapshot.total else 100
        end = "  ".join(["", f"{share} %", *pace])
        width = max(0, min(BAR_CELLS, console.width - len(shown.plain) - len(end)))
        for cells, style in bar_parts(snapshot, width):
            shown.append(line * cells, style)
        return shown.append(end)

    with Live(console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as live:
        yield lambda snapshot: live.update(render(snapshot, watch.report(snapshot)))
