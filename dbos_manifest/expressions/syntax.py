"""Parse the `${{ … }}` of a scalar.

    expression = path { "|" filter }        path = name { "." name | "[" index-or-text "]" }
    filter     = name [ "(" [ constant { "," constant } ] ")" ]

There is no other syntax: no loops, no operators, no environment, no attributes of Python objects.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, NoReturn

from ..core.suggest import did_you_mean
from .filters import FILTERS, MAX_DIGITS

MARK = "${{"
MAX_EXPRESSION = 2000  # characters
MAX_FILTERS = 20

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?", re.ASCII)
_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"'}
_CONSTANTS = {"true": True, "false": False, "null": None}


class ExpressionError(Exception):
    """An error in an expression, with its offsets from the start of the scalar."""

    def __init__(
        self,
        code: str,
        message: str,
        start: int,
        end: int,
        number: int,
        mark: int,
        help: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help
        self.start, self.end = start, end
        self.number, self.mark = number, mark  # which `${{` of the scalar, and its offset


class Part(NamedTuple):
    """A step of a path or a filter; all offsets count from the start of the scalar."""

    value: Any  # a key or index of the path, or a filter's function
    name: str  # as written
    start: int
    end: int


class Expression(NamedTuple):
    """One `${{ … }}`; all offsets count from the start of the scalar."""

    number: int  # which `${{` of the scalar, from 0
    start: int  # of the `${{`
    path: tuple[Part, ...]
    filters: tuple[Part, ...]

    @property
    def root(self) -> str:
        """Return the first name of the path."""
        return self.path[0].name

    @property
    def variable(self) -> str | None:
        """Return the variable that the path names: `x` for `vars.x`."""
        return str(self.path[1].value) if self.root == "vars" and len(self.path) > 1 else None

    def error(self, code: str, message: str, part: Part, help: str | None = None) -> ExpressionError:
        """Make an error at a part of the expression."""
        return ExpressionError(code, message, part.start, part.end, self.number, self.start, help)


class Template(NamedTuple):
    """The texts and expressions of a scalar, in order."""

    pieces: tuple[str | Expression, ...]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Return the expressions without the texts."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Expression))

    @property
    def names(self) -> frozenset[str]:
        """Return the names that the expressions use."""
        return frozenset(expression.root for expression in self.expressions)


def parse_template(text: str) -> Template:
    """Parse a scalar; `$${{` is a literal `${{`.

    Raises: ExpressionError at the first syntax error.
    """
    pieces: list[str | Expression] = []
    literal, at, number = "", 0, 0
    while (mark := text.find(MARK, at)) >= 0:
        if mark > at and text[mark - 1] == "$":
            literal += text[at : mark - 1] + MARK
            at = mark + len(MARK)
        else:
            literal += text[at:mark]
            expression, at = _Parser(text, mark, number).read()
            pieces += [literal, expression] if literal else [expression]
            literal = ""
        number += 1
    literal += text[at:]
    return Template((*pieces, literal) if literal else tuple(pieces))


class _Parser:
    def __init__(self, text: str, mark: int, number: int) -> None:
        self._text = text
        self._mark = mark
        self._at = mark + len(MARK)
        self._number = number

    def read(self) -> tuple[Expression, int]:
        path = self._path()
        filters: list[Part] = []
        while self._take("|"):
            filters.append(self._filter())
        if not self._take("}}"):
            self._fail("expected `|` or `}}` here", "write a path followed by filters: `${{ day | upper }}`")
        if self._at - self._mark > MAX_EXPRESSION or len(filters) > MAX_FILTERS:
            message = f"an expression may have at most {MAX_EXPRESSION} characters and {MAX_FILTERS} filters"
            self._raise("expression-syntax", message, self._mark, self._at)
        return Expression(self._number, self._mark, tuple(path), tuple(filters)), self._at

    def _fail(self, message: str, help: str | None = None) -> NoReturn:
        if "}}" not in self._text[self._mark :]:
            message, help = "this `${{` has no `}}`", "write `$${{` for a literal `${{`"
            self._raise("expression-syntax", message, self._mark, self._mark + len(MARK), help)
        self._raise("expression-syntax", message, self._at, min(self._at + 1, len(self._text)), help)

    def _raise(self, code: str, message: str, start: int, end: int, help: str | None = None) -> NoReturn:
        raise ExpressionError(code, message, start, end, self._number, self._mark, help)

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _take(self, sign: str) -> bool:
        self._skip()
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) if found else 0
        return found

    def _name(self, what: str) -> Part:
        self._skip()
        match = _NAME.match(self._text, self._at)
        if match is None:
            self._fail(f"expected {what} here")
        self._at = match.end()
        return Part(match[0], match[0], match.start(), match.end())

    def _path(self) -> list[Part]:
        path = [self._name("a name")]
        while True:
            if self._take("."):
                path.append(self._name("a name"))
            elif self._take("["):
                self._skip()
                start = self._at
                value = self._constant()
                if isinstance(value, bool) or not isinstance(value, (int, str)):
                    self._at = start
                    self._fail("expected an index or text in quotes here")
                path.append(Part(value, self._text[start : self._at], start, self._at))
                if not self._take("]"):
                    self._fail("expected `]` here")
            else:
                return path

    def _constant(self) -> Any:
        self._skip()
        if match := _TEXT.match(self._text, self._at):
            raw = match[1] if match[1] is not None else match[2]
            value: Any = _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[0]), raw)
        elif match := _NUMBER.match(self._text, self._at):
            if len(match[0]) > MAX_DIGITS:
                self._fail("the number is too long")
            value = int(match[0]) if re.fullmatch(r"-?[0-9]+", match[0]) else float(match[0])
        elif (match := _NAME.match(self._text, self._at)) and match[0] in _CONSTANTS:
            value = _CONSTANTS[match[0]]
        else:
            self._fail("expected a constant here", "write text in quotes, a number, true, false or null")
        self._at = match.end()
        return value

    def _filter(self) -> Part:
        name = self._name("a filter")
        arguments: list[Any] = []
        end = self._at
        if self._take("("):
            while not self._take(")"):
                if arguments and not self._take(","):
                    self._fail("expected `,` or `)` here")
                arguments.append(self._constant())
            end = self._at
        known = FILTERS.get(name.name)
        if known is None:
            message = f"unknown filter `{name.name}`"
            self._raise("unknown-filter", message, name.start, name.end, did_you_mean(name.name, FILTERS))
        least = sum(not parameter.endswith("?") for parameter in known.parameters)
        try:
            if not least <= len(arguments) <= len(known.parameters):
                wanted = ", ".join(known.parameters) or "no arguments"
                raise ValueError(f"`{name.name}` takes {wanted} in parentheses")
            function = known.make(*arguments)
        except ValueError as error:
            self._raise("expression-syntax", str(error), name.start, end)
        return Part(function, name.name, name.start, end)
