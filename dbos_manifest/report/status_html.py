"""Render the status of manifests as one HTML page, without scripts and without anything from the network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from ..core.plural import count_of
from ..files.bundled import read_template
from ..planning.status_cells import StatusCell
from ..planning.status_table import StatusSummary
from ..planning.workflow_status import WorkflowStatus
from .page_cells import PanelMaker, label_text
from .page_charts import HEIGHT, WIDTH
from .status_command import StatusCommand
from .status_page import ManifestPage, choose_sections, describe_total, prepare_manifest, prepare_overview

if TYPE_CHECKING:  # loaded only where a page is written
    from jinja2 import Template

_MOST_BYTES_OF_IDS = 2_500_000  # of the panels of all cells
_PIECES = 500  # that are written together


class StatusHtml:
    """Write the page at the end."""

    def __init__(self, write: Callable[[str], object], command: StatusCommand) -> None:
        """Prepare a page. `command` shows the status of all manifests."""
        self._write = write
        self._command = command

    def add(self, found: WorkflowStatus) -> None:
        """Skip a workflow: the page is made of summaries and their detail."""

    def finish(self, summaries: Sequence[StatusSummary]) -> None:
        """Write the page. It is ASCII, so that it is readable in any encoding of standard output."""
        total = StatusCell()
        for summary in summaries:
            total.counts.update(summary.total.counts)
        verdict, kind = describe_total(total)
        name = (
            label_text(summaries[0].manifest) if len(summaries) == 1 else count_of(len(summaries), "manifest")
        )
        sections = choose_sections(summaries)
        style = read_template("status.css")
        stream = _load_template().stream(
            title=f"{name}: {verdict}",
            heading=f"Status of {name}",
            verdict=verdict,
            verdict_kind=kind,
            style=style,
            style_hash=b64encode(sha256(style.encode()).digest()).decode(),
            overview=prepare_overview(summaries, sections) if len(summaries) > 1 else None,
            manifests=self._manifests([summaries[place] for place in sections], alone=len(summaries) == 1),
            command=self._command.line(),
            width=WIDTH,
            height=HEIGHT,
        )
        stream.enable_buffering(_PIECES)
        for piece in stream:
            self._write(piece.encode("ascii", "xmlcharrefreplace").decode("ascii"))

    def _manifests(self, summaries: Sequence[StatusSummary], *, alone: bool) -> Iterator[ManifestPage]:
        panels = PanelMaker(_MOST_BYTES_OF_IDS // max(len(summaries), 1))
        for number, summary in enumerate(summaries, 1):
            if summary.detail is not None:
                command = self._command if alone else self._command.of_file(summary.file)
                yield prepare_manifest(number, summary, summary.detail, command, panels)


def _load_template() -> Template:
    """Compile the template. Every value that it shows is escaped, except for the style sheet."""
    from jinja2 import Environment, StrictUndefined  # slow to load

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(read_template("status.html"))
