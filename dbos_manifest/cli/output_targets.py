"""Open the outputs of a command: one format on standard output, others in files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from ..core.errors import UsageError
from ..core.exit_codes import decide_exit_code
from ..files.output_files import OutputFile, find_same, is_standard_output
from ..report.text import OutputEscaper, Paint, plain
from .options import Output
from .terminal import painter, print_error, write, write_commands

Write = Callable[[str], object]
_STDOUT = 1
COMMANDS = "github"  # the format whose lines are workflow commands


class Sink(NamedTuple):
    """A format of the result, with the functions that write and colour it."""

    format: str
    write: Write
    paint: Paint


class Outputs:
    """The outputs of a command, opened before its work and closed after it.

    A failed write does not stop the command: afterwards `lost` describes what could not be written.
    """

    def __init__(self, outputs: Sequence[Output], default: str, plan_file: Path | None = None) -> None:
        """Open every file.

        Raises: UsageError if two outputs go to one file, or a file cannot be written.
        """
        outputs = [_through_stdout(output) for output in outputs]
        direct = [output.format for output in outputs if output.path is None]
        if len(direct) > 1:
            raise UsageError(
                f"-o {direct[0]} and -o {direct[1]} both go to standard output",
                f"write one of them to a file: {direct[1]}=FILE",
            )
        named = [(output.format, output.path) for output in outputs if output.path is not None]
        _refuse_shared([path for _, path in named] + ([plan_file] if plan_file is not None else []))
        self.lost: list[str] = []
        self._files: list[OutputFile] = []
        first = direct[0] if direct else default
        self.sinks = [Sink(first, write_commands if first == COMMANDS else write, painter())]
        self.save_plan: Write | None = None
        try:
            for format, path in named:
                self.sinks.append(Sink(format, _escaping(self._open(path), format), plain))
            if plan_file is not None:
                self.save_plan = self._open(plan_file, private=True).write
        except BaseException:
            self._drop()
            raise

    def _open(self, path: Path, *, private: bool = False) -> OutputFile:
        file = OutputFile(path, private=private)
        self._files.append(file)
        return file

    def refuse_inputs(self, inputs: Iterable[Path]) -> None:
        """Refuse an output that would replace a file that this command reads or maintains.

        Raises: UsageError.
        """
        known = list(inputs)
        for file in self._files:
            if (taken := find_same(file.path, known)) is not None:
                raise UsageError(
                    f"cannot write a result to {file.path}: the command itself uses {taken}",
                    "choose another file",
                )

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._drop()
            return
        for file in self._files:
            file.finish()
            if file.error is not None:
                self.lost.append(f"cannot write {file.path}: {file.error.strerror}")

    def _drop(self) -> None:
        for file in self._files:
            file.drop()

    def end(self, code: int) -> int:
        """Print what could not be written, and return the exit code: `code` if nothing failed."""
        for text in self.lost:
            print_error(text)
        return decide_exit_code(code, output_failed=bool(self.lost))


def _escaping(file: OutputFile, format: str) -> Write:
    """Return the function that writes a result to a file, which a pipeline may print."""
    escaper = OutputEscaper()
    return lambda text: file.write(escaper.escape(text, commands=format == COMMANDS))


def _through_stdout(output: Output) -> Output:
    """Treat `json=/dev/stdout` as `json`: opening it by name would overwrite its file."""
    if output.path is not None and is_standard_output(output.path, _STDOUT):
        return output._replace(path=None)
    return output


def _refuse_shared(paths: Sequence[Path]) -> None:
    for position, path in enumerate(paths):
        if find_same(path, paths[:position]) is not None:
            raise UsageError(f"two results would be written to {path}", "choose a different file for each")
