"""Where the forms of a result go: one to standard output, others into files that are whole or not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from ..errors import UsageError
from ..files import replace_file
from ..report.text import Paint, plain
from .options import Output
from .output import painter, write

Write = Callable[[str], object]


class Sink(NamedTuple):
    """A form of the result, the function that writes it, and the colours it may have."""

    format: str
    write: Write
    paint: Paint


@contextmanager
def open_outputs(outputs: Sequence[Output], default: str) -> Iterator[list[Sink]]:
    """Each form with its sink; the default one goes to standard output if no other does.

    Raises: UsageError when two want standard output, or a file cannot be written.
    """
    direct = [output.format for output in outputs if output.path is None]
    if len(direct) > 1:
        raise UsageError(
            f"-o {direct[0]} and -o {direct[1]} both go to standard output", f"write one as {direct[1]}=FILE"
        )
    with ExitStack() as files:
        found = [Sink(direct[0] if direct else default, write, painter())]
        for output in outputs:
            if output.path is not None:
                found.append(Sink(output.format, files.enter_context(replace_file(output.path)), plain))
        yield found
