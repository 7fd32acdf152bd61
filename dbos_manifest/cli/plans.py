"""Plans on the terminal: what plan and apply both show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..planning import ManifestPlan
from ..report.changes import PlanText
from ..report.diagnostics import format_diagnostics
from ..validation import Validation, locate
from .output import painter, say, write_annotations, write_line


def locate_findings(validation: Validation, plans: Sequence[ManifestPlan]) -> None:
    """Give the preflight findings of the plans their places in the manifests."""
    for plan in plans:
        document = plan.manifest.document
        findings = [replace(f, file=document.file, document=document.index) for f in plan.findings]
        plan.findings = locate(validation.documents, findings)


def show_plans(validation: Validation, text: PlanText, plans: Sequence[ManifestPlan]) -> None:
    """The plans on stdout, the preflight findings with their places on stderr."""
    locate_findings(validation, plans)
    findings = [finding for plan in plans for finding in plan.findings]
    for block in format_diagnostics(findings, validation.texts, painter(err=True)):
        say(block)
    write_annotations(findings)
    for plan in plans:
        for line in text.lines(plan):
            write_line(line)
