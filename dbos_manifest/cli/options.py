"""The words that commands share; each option is also an environment variable, without the command's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..expression import did_you_mean
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


# click's parameter types are generic for the checker only
if TYPE_CHECKING:
    _ParamType = click.ParamType["Output"]
    _Choice = click.Choice[str]
else:
    _ParamType = click.ParamType
    _Choice = click.Choice


class Output(NamedTuple):
    """A form of the result, and where it goes: None is standard output."""

    format: str
    path: Path | None


class _OutputType(_ParamType):
    name = "format"

    def __init__(self, formats: tuple[str, ...]) -> None:
        self._choice = click.Choice(formats)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Output:
        if isinstance(value, Output):
            return value
        name, sign, path = str(value).partition("=")
        if sign and not path:
            self.fail(f"`{value}` names no file: write {name}=FILE", param, ctx)
        return Output(self._choice.convert(name, param, ctx), Path(path) if sign else None)


class NameChoice(_Choice):
    """One of some names, in any case; for another one the closest is suggested."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        names = [*self.choices]
        name = str(value).upper()
        if name not in names:
            self.fail(f"`{value}` is not one of the choices: {did_you_mean(name, names)}", param, ctx)
        return name


def output_option(*formats: str) -> Decorator:
    """One form of the result, on standard output."""
    return option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Form of the result.",
    )


def outputs_option(*formats: str) -> Decorator:
    """Several forms of the result at once, into files or one to standard output; the first is the default."""
    return option(
        "-o",
        "--output",
        "outputs",
        type=_OutputType(formats),
        multiple=True,
        metavar="FORMAT[=FILE]",
        help=f"Form of the result, into a file or to standard output; repeatable: {', '.join(formats)}.",
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
