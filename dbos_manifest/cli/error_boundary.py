"""Run a command line, and turn each exception into one message and an exit code."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ..core.errors import InvalidManifest, ManifestToolError
from ..core.exit_codes import ExitCode, decide_exit_code
from ..report.text import printable
from .redaction import hide_passwords
from .terminal import describe_lost_output, guarded_streams, print_error, say

# click 8.1 prints the help itself
_NO_ARGUMENTS: tuple[type[click.UsageError], ...] = tuple(
    kind for kind in [getattr(click.exceptions, "NoArgsIsHelpError", None)] if kind is not None
)


def run_guarded(command: click.Command, words: Sequence[str] | None = None) -> int:
    """Run a command line, that of this process unless another is given, and give its exit code."""
    with guarded_streams():
        code = _run(command, words)
        lost = describe_lost_output()
        if lost is not None:
            print_error(lost)
        return decide_exit_code(code, output_failed=lost is not None)


def _run(command: click.Command, words: Sequence[str] | None) -> int:
    try:
        result = command.main(words, prog_name="dbos-manifest", standalone_mode=False)
        return result if isinstance(result, int) else ExitCode.DONE
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        _show_usage(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("interrupted")
        return ExitCode.INTERRUPTED
    except InvalidManifest as error:
        return error.exit_code  # its diagnostics have been shown
    except ManifestToolError as error:
        print_error(error.message, error.hint)
        return error.exit_code
    except Exception as error:
        from .crash import report_bug  # loaded only if needed

        return report_bug(error)


def _show_usage(error: click.ClickException) -> None:
    """Print an error of the command line, with control characters escaped."""
    if isinstance(error, _NO_ARGUMENTS) and error.ctx is not None:
        say(error.ctx.get_help())
        return
    if isinstance(error, click.UsageError) and error.ctx is not None:
        say(error.ctx.get_usage())
        say(f"Try '{error.ctx.command_path} --help' for help.\n")
    say(f"Error: {hide_passwords(printable(error.format_message()))}")
