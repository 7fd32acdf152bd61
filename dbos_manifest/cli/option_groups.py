"""Option groups: frozen dataclasses whose fields are the options of a command.

A command names the groups it takes in its annotations. `takes_groups` adds their options to the command and
passes one instance of each group, so that a renamed option is a type error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import Any, ClassVar, NamedTuple, get_type_hints

from .options import Command, Decorator, argument, option


class _Declaration(NamedTuple):
    """How the option of a field is made, without its name."""

    make: Callable[..., Decorator]
    words: tuple[str, ...]
    settings: dict[str, object]


@dataclass(frozen=True)
class OptionGroup:
    """The base of all groups. `section` is the heading of their options in the help of a command."""

    section: ClassVar[str]

    def __init_subclass__(cls, section: str | None = None) -> None:
        if section is not None:
            cls.section = section

    def given(self) -> list[str]:
        """Return the words of the options that are set, as `--select`."""
        declared = ((field.name, _declaration(field.metadata)) for field in fields(self))
        return [how.words[0] for name, how in declared if how.words and getattr(self, name)]


def declared(*words: str, **settings: object) -> Any:
    """Declare the option of a field; it takes its environment variable too."""
    return field(metadata={_Declaration: _Declaration(option, words, settings)})


def declared_override(*words: str, **settings: object) -> Any:
    """Declare the option of a field that is never taken from the environment."""
    return declared(*words, envvar=None, **settings)


def declared_argument(**settings: object) -> Any:
    """Declare a field as a positional argument."""
    return field(metadata={_Declaration: _Declaration(argument, (), settings)})


def takes_groups(function: Command) -> Command:
    """Add the options of the groups in a function's annotations, in their order."""
    hints = get_type_hints(function)
    groups = {
        name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, OptionGroup)
    }

    @wraps(function)
    def command(**values: object) -> int:
        built = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        return function(**built, **values)

    result: Command = command
    for group in reversed(groups.values()):
        for declared_field in reversed(fields(group)):
            make, words, settings = _declaration(declared_field.metadata)
            if words:
                settings = {"section": group.section, **settings}
            result = make(*words, declared_field.name, **settings)(result)
    return result


def _declaration(metadata: Mapping[object, object]) -> _Declaration:
    declaration = metadata[_Declaration]
    assert isinstance(declaration, _Declaration)
    return declaration
