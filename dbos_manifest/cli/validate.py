"""Run `dbos-manifest validate`."""

from __future__ import annotations

from ..actions.validate import Validation
from ..core.exit_codes import ExitCode
from ..report.diagnostics import format_diagnostics, summarize_validation, validation_json
from ..report.text import Paint
from .arguments import InputArguments, SelectionArguments
from .help import command
from .manifests import read_paths
from .option_groups import takes_groups
from .options import Output, option, outputs_option
from .output_targets import Outputs, Sink, Write
from .repository import from_repository
from .terminal import in_github_actions, painter, print_note, program_version, say


@command("jobs", "jobs -o junit=validate.xml -o sarif=validate.sarif")
@takes_groups
@outputs_option("text", "json", "github", "sarif", "junit", "markdown")
@option("--strict", is_flag=True, section="Safety", help="Treat warnings as errors.")
@option(
    "--skip-other-files",
    is_flag=True,
    section="Input",
    help="Skip files that do not look like manifests, even if PATH names them.",
)
def validate(
    inputs: InputArguments,
    selection: SelectionArguments,
    outputs: tuple[Output, ...],
    strict: bool,
    skip_other_files: bool,
) -> int:
    """Check manifests: syntax, schema and meaning.

    Needs no database and no network.
    """
    with Outputs(outputs, "github" if in_github_actions() else "text") as results:
        validation = read_paths(inputs, selection, skip_others=skip_other_files)
        results.refuse_inputs(validation.inputs)
        for note in validation.notes:
            print_note(note)
        for sink in results.sinks:
            _write(validation, sink, strict)
    invalid = validation.errors or (strict and validation.warnings)
    return results.end(ExitCode.INVALID_FILES if invalid else ExitCode.DONE)


def _write(validation: Validation, sink: Sink, strict: bool) -> None:
    """Write one format; its renderer is loaded only if needed."""
    found, (format, write, paint) = validation.diagnostics, sink
    if format == "json":
        names = [loaded.name for loaded in validation.manifests]
        write(f"{validation_json(validation.files, names, found)}\n")
    elif format == "sarif":
        from ..report.sarif import sarif_document

        write(sarif_document([*from_repository(found)], program_version()))
    elif format == "junit":
        from ..report.junit import junit_document
        from ..report.problems import problems_by_file

        write(junit_document(problems_by_file(found, list(validation.texts)), strict))
    elif format == "markdown":
        from ..report.markdown import validation_markdown

        write(validation_markdown(_summary(validation), found))
    else:
        _write_text(validation, write, paint, github=format == "github")


def _write_text(validation: Validation, write: Write, paint: Paint, *, github: bool) -> None:
    if github:
        from ..report.github import github_annotation

        for diagnostic in from_repository(validation.diagnostics):
            write(f"{github_annotation(diagnostic)}\n")
    for block in format_diagnostics(
        validation.diagnostics, validation.texts, painter(err=True) if github else paint
    ):
        if github:
            say(block)
        else:
            write(f"{block}\n")
    write(f"{_summary(validation)}\n")


def _summary(validation: Validation) -> str:
    return summarize_validation(
        validation.files,
        len(validation.manifests),
        validation.workflows,
        validation.errors,
        validation.warnings,
    )
