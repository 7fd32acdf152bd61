"""The words that commands share; each option is also an environment variable, without the command's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..units import parse_duration

Command = Callable[..., int]
Decorator = Callable[[Command], Command]


def duration(text: str) -> float:
    """Text with a unit, as `90s`, in seconds."""
    try:
        return parse_duration(text) / 1000
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def option(*words: str, **settings: Any) -> Decorator:
    """A click option whose environment variable is DBOS_MANIFEST_ and its long name."""
    long_name = next(word for word in words if word.startswith("--")).split("/")[0]
    variable = f"DBOS_MANIFEST_{long_name[2:].replace('-', '_').upper()}"
    settings.setdefault("envvar", variable)
    return click.option(*words, show_envvar=settings["envvar"] == variable, **settings)


def override(*words: str, **settings: Any) -> Decorator:
    """A safety override: said for this one call, never taken from the environment."""
    return click.option(*words, **settings)


def output_option(*formats: str) -> Decorator:
    return option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Form of the result.",
    )


def paths_argument(function: Command) -> Command:
    """The manifests: files, folders, `-` for standard input."""
    return click.argument("paths", metavar="PATH...", nargs=-1, required=True)(function)


def together(*decorators: Decorator) -> Decorator:
    """Several options as one decorator, shown in this order."""

    def decorate(function: Command) -> Command:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate
