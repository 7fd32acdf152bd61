"""Option groups: immutable classes whose fields are the options of a command.

A command names the groups it takes in its annotations. `takes_groups` adds their options to the command and
passes one instance of each group, so that a renamed option is a type error. Plain classes, because a frozen
dataclass takes half a millisecond to create, and every command creates all groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar, NamedTuple, NoReturn, get_type_hints

from .options import Command, Decorator, argument, option


class _Declaration(NamedTuple):
    """How the option of a field is made, without its name."""

    make: Callable[..., Decorator]
    words: tuple[str, ...]
    settings: dict[str, object]


class OptionGroup:
    """The base of all groups. `section` is the heading of their options in the help of a command."""

    section: ClassVar[str]
    declarations: ClassVar[Mapping[str, _Declaration]] = {}  # by name of the field, in order

    def __init_subclass__(cls, section: str | None = None) -> None:
        if section is not None:
            cls.section = section
        own = {name: value for name, value in vars(cls).items() if isinstance(value, _Declaration)}
        cls.declarations = {**cls.declarations, **own}

    def __init__(self, values: Mapping[str, object]) -> None:
        """Create a group from the values of its fields."""
        self.__dict__.update({name: values[name] for name in self.declarations})

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def given(self) -> list[str]:
        """Return the words of the options that are set, as `--select`."""
        return [how.words[0] for name, how in self.declarations.items() if how.words and getattr(self, name)]


def declared(*words: str, **settings: object) -> Any:
    """Declare the option of a field; it takes its environment variable too."""
    return _Declaration(option, words, settings)


def declared_override(*words: str, **settings: object) -> Any:
    """Declare the option of a field that is never taken from the environment."""
    return declared(*words, envvar=None, **settings)


def declared_argument(**settings: object) -> Any:
    """Declare a field as a positional argument."""
    return _Declaration(argument, (), settings)


def takes_groups(function: Command) -> Command:
    """Add the options of the groups in a function's annotations, in their order."""
    hints = get_type_hints(function)
    groups = {
        name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, OptionGroup)
    }

    @wraps(function)
    def command(**values: object) -> int:
        built = {name: group(values) for name, group in groups.items()}
        taken = {name for group in groups.values() for name in group.declarations}
        others = {name: value for name, value in values.items() if name not in taken}
        return function(**built, **others)

    result: Command = command
    for group in reversed(groups.values()):
        for name, (make, words, settings) in reversed([*group.declarations.items()]):
            if words:
                settings = {"section": group.section, **settings}
            result = make(*words, name, **settings)(result)
    return result
