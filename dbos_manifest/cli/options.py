"""Make options and arguments: sections of the help, environment variables, and types of values."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..core.lines import split_lines
from ..core.suggest import did_you_mean, find_closest
from ..core.units import parse_duration
from .redaction import looks_like_url

ENVIRONMENT_PREFIX = "DBOS_MANIFEST_"
Command = Callable[..., int]
Decorator = Callable[[Command], Command]


def duration(text: str) -> float:
    """Convert text with a unit, such as `90s`, to seconds."""
    try:
        return parse_duration(text) / 1000
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def database_text(text: str) -> str:
    """Return a text that a database can compare. Raises: BadParameter for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("the value is not valid UTF-8") from None
    return text


class Option(click.Option):
    """An option with a section of the help. Its environment variable has one value per line, none empty."""

    def __init__(self, words: Sequence[str], section: str = "Options", **settings: Any) -> None:
        super().__init__(words, **settings)
        self.section = section

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.show_envvar = False
        try:
            return super().get_help_record(ctx)
        finally:
            self.show_envvar = True  # errors name the variable

    def value_from_envvar(self, ctx: click.Context) -> str | Sequence[str] | None:
        names = [self.envvar] if isinstance(self.envvar, str) else self.envvar or ()
        for name in names:
            text = os.environ.get(name)
            if text == "" and name.startswith(ENVIRONMENT_PREFIX):
                raise click.BadParameter(f"{name} is set but empty; unset it or set a value", ctx, self)
        if not self.multiple:
            value: str | Sequence[str] | None = super().value_from_envvar(ctx)
            return value
        text = self.resolve_envvar_value(ctx)
        return [line for line in split_lines(text) if line] if text is not None else None

    def type_cast_value(self, ctx: click.Context, value: object) -> object:
        _refuse_empty(ctx, self, value)
        return super().type_cast_value(ctx, value)


class Argument(click.Argument):
    """An argument with a section of the help. It takes no empty value."""

    def __init__(self, words: Sequence[str], *, help: str, section: str = "Input", **settings: Any) -> None:
        super().__init__(words, **settings)
        self.section = section
        self._help = help

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        return self.metavar or self.human_readable_name, self._help

    def type_cast_value(self, ctx: click.Context, value: object) -> object:
        _refuse_empty(ctx, self, value)
        return super().type_cast_value(ctx, value)


def _refuse_empty(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Refuse empty text, which an unset shell variable yields: it never means the default."""
    if isinstance(param.type, click.Choice):
        return  # click lists the choices
    if value == "" or (isinstance(value, (list, tuple)) and "" in value):
        raise click.BadParameter("the value is empty (is a shell variable unset?)", ctx, param)


def argument(name: str, **settings: object) -> Decorator:
    """Add an argument that takes no empty value."""
    return click.argument(name, cls=Argument, **settings)


def option(*words: str, **settings: object) -> Decorator:
    """Add an option with its environment variable, unless `envvar` is given."""
    settings.setdefault("envvar", variable_of(words))
    return click.option(*words, cls=Option, **settings)


def variable_of(words: Iterable[str]) -> str:
    """Return the environment variable of an option: DBOS_MANIFEST_ and its long name."""
    long_name = next(word for word in words if word.startswith("--")).split("/")[0]
    return f"{ENVIRONMENT_PREFIX}{long_name[2:].replace('-', '_').upper()}"


# click's parameter types are generic for the checker only
if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _ParamType = click.ParamType["Output"]
    _Choice = click.Choice[str]
else:
    _ParamType = click.ParamType
    _Choice = click.Choice


class FilePath(click.Path):
    """The path of a file or folder. A URL is refused without being repeated: it may have a password."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if looks_like_url(os.fspath(value)):
            self.fail("expected a path, found a URL; set the database URL with --database-url", param, ctx)
        return super().convert(value, param, ctx)


class Output(NamedTuple):
    """A format of the result, and its file; None is standard output."""

    format: str
    path: Path | None


class _OutputType(_ParamType):
    name = "format"

    def __init__(self, formats: tuple[str, ...]) -> None:
        self._choice = click.Choice(formats)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return self._choice.shell_complete(ctx, param, incomplete)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Output:
        if isinstance(value, Output):
            return value
        name, sign, path = str(value).partition("=")
        if sign and not path:
            self.fail(f"`{value}` has no file name; write {name}=FILE", param, ctx)
        return Output(self._choice.convert(name, param, ctx), Path(path) if sign else None)


class NameChoice(_Choice):
    """A choice of names, in upper or lower case. An error suggests the closest name."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        names = {name.upper(): name for name in self.choices}
        name = str(value).upper()
        if name not in names:
            close = find_closest(name, names)
            hint = did_you_mean(names[close] if close else str(value), names.values())
            self.fail(f"`{value}` is not one of the choices; {hint}", param, ctx)
        return names[name]


def output_option(*formats: str) -> Decorator:
    """Add -o for one format, on standard output."""
    return option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        section="Output",
        help="Print the result in this format.",
    )


def outputs_option(*formats: str) -> Decorator:
    """Add -o for several formats, in files or one on standard output; the first is the default."""
    return option(
        "-o",
        "--output",
        "outputs",
        type=_OutputType(formats),
        multiple=True,
        metavar="FORMAT[=FILE]",
        section="Output",
        help="Print the result in this format, or write it to FILE; repeatable. "
        f"Formats: {', '.join(formats)}.",
    )
