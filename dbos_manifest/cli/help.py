"""The help of a command: its options by section, examples, and which environment variables set options."""

from __future__ import annotations

from collections.abc import Callable

import click

from ..core.suggest import did_you_mean
from .options import Command, Option, variable_of
from .terminal import preferences

SECTIONS = ("Input", "Selection", "Database", "Safety", "Enqueue", "Wait", "Output", "Options")
MAX_FIRST_COLUMN = 26


class HelpfulCommand(click.Command):
    """A command whose help has sections and examples."""

    examples: tuple[str, ...] = ()
    """The words after the name of the command."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section that has options. The first column has the same width in all sections."""
        records = [
            (getattr(param, "section", "Options"), record)
            for param in self.get_params(ctx)
            if (record := param.get_help_record(ctx)) is not None
        ]
        lengths = [len(words) for _, (words, _) in records]
        width = max((length for length in lengths if length <= MAX_FIRST_COLUMN), default=MAX_FIRST_COLUMN)
        for heading in SECTIONS:
            rows = [(words.ljust(width), text) for section, (words, text) in records if section == heading]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows, col_max=width)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then how the environment sets options."""
        if self.examples:
            with formatter.section("Examples"):
                for words in self.examples:
                    line = f"{ctx.command_path} {words}".rstrip()
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        if text := _environment(self.get_params(ctx)):
            from textwrap import fill  # loaded only for help

            formatter.write(f"\n{fill(text, formatter.width, break_on_hyphens=False)}\n")


class SuggestingGroup(click.Group):
    """A group that suggests the closest command for an unknown one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command. Raises: UsageError with a suggestion for an unknown one."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            hint = did_you_mean(args[0], self.list_commands(ctx))
            ctx.fail(f"unknown command `{args[0]}`; {hint}")
        return super().resolve_command(ctx, args)


def _set_color(ctx: click.Context, param: click.Parameter, value: str) -> None:
    ctx.color = preferences.color = {"always": True, "never": False}.get(value)  # click removes colours


def _set_quiet(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    preferences.quiet = value


def _common_options() -> list[click.Parameter]:
    """Make the options that every command has."""
    return [
        Option(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            show_default=True,
            expose_value=False,
            is_eager=True,
            callback=_set_color,
            envvar=variable_of(["--color"]),
            help="Color the output; auto means on a terminal.",
        ),
        Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_set_quiet,
            envvar=variable_of(["--quiet"]),
            help="Print results and errors, but no progress and no notes.",
        ),
    ]


def command(
    *examples: str, name: str | None = None, group: click.Group | None = None
) -> Callable[[Command], click.Command]:
    """Make a command of a function. Each example is the words after the command's name."""

    def decorate(function: Command) -> click.Command:
        made = click.command(name, cls=HelpfulCommand)(function)
        made.examples = examples
        made.params += _common_options()
        if group is not None:
            group.add_command(made)
        return made

    return decorate


def _environment(params: list[click.Parameter]) -> str | None:
    """Return the rule by which variables set options, and the options that it leaves out."""
    options = [param for param in params if isinstance(param, Option)]
    read = [option for option in options if option.envvar == variable_of(option.opts)]
    if not read:
        return None
    example = next((option for option in read if option.name == "target"), read[0])
    text = f"Environment variables can also set options: {example.envvar} sets {example.opts[-1]}."
    ignored = [option.opts[-1] for option in options if not option.envvar]
    return f"{text} Exceptions: {', '.join(ignored)}." if ignored else text
