"""Start and call the process that runs the JSON Schema engine within limits of time and memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from ..core.canonical_json import encode_json
from .contract_engine import LENGTH, OUT_OF_MEMORY, OUT_OF_TIME

_PACKAGE = Path(__file__).resolve().parent.parent
# Isolated from the environment and the current folder; it imports from where this process does.
_PROGRAM = f"""
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from {_PACKAGE.name}.manifest.contract_engine import serve
serve(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[2]), int(sys.argv[3]))
"""
# a stack overflow is a SIGSEGV, and a failed allocation of the engine a SIGABRT
_SIGNALS = ("SIGXCPU", "SIGKILL", "SIGABRT", "SIGSEGV", "SIGBUS")
_LIMIT_CODES = {OUT_OF_TIME, OUT_OF_MEMORY, *(-getattr(signal, name, 0) for name in _SIGNALS)} - {0}


class Limits(NamedTuple):
    """What all calls of a process may take together."""

    cpu_seconds: int
    memory_bytes: int


class LimitExceeded(Exception):
    """The process has used all of its time or memory, and has ended."""


class ProcessFailed(Exception):
    """The process did not start, or ended for no known reason."""


class EngineFailed(Exception):
    """A call failed inside the engine. The process can be used again."""


class ContractProcess:
    """A process with `contract_engine`.

    The engine has no limits of its own, and a few lines of JSON Schema can keep it busy for years. A process
    can be ended at any moment, and an engine that crashes takes only that process with it.
    """

    def __init__(self, limits: Limits) -> None:
        """Start the process. Raises: ProcessFailed."""
        self._is_ready = False
        paths = [*(str(Path(path).absolute()) for path in sys.path if path), str(_PACKAGE.parent)]
        command = [sys.executable, "-I", "-c", _PROGRAM, json.dumps(paths), *map(str, limits)]
        try:
            # a new session, because Ctrl-C is for this process only: it decides when to stop
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessFailed(f"cannot start {sys.executable}: {error.strerror}") from None

    def call(
        self, method: str, *arguments: object, retrieve: Callable[[str], list[object]] | None = None
    ) -> object:
        """Call a method of the engine.

        `retrieve` returns a file that a contract refers to, as a list of its one value; an empty list if it
        cannot be read.
        Raises: LimitExceeded; EngineFailed; ProcessFailed.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            _write(self._process.stdin, [method, *arguments])
            while True:
                kind, value = _read(self._process.stdout)
                if kind == "ready":
                    self._is_ready = True
                elif kind == "retrieve" and retrieve is not None:
                    _write(self._process.stdin, retrieve(str(value)))
                elif kind == "error":
                    raise EngineFailed(value)
                else:
                    return value
        except (OSError, EOFError):
            code = self._process.wait()
        if self._is_ready and code in _LIMIT_CODES:
            raise LimitExceeded
        raise ProcessFailed(f"the process ended with exit code {code}")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        with suppress(OSError):  # the rest of a request cannot be written
            self._process.communicate()


def _write(stream: IO[bytes], message: object) -> None:
    try:
        data = encode_json(message)
    except UnicodeEncodeError:  # a lone surrogate
        data = json.dumps(message).encode()
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def _read(stream: IO[bytes]) -> list[object]:
    (length,) = LENGTH.unpack(_read_exactly(stream, LENGTH.size))
    message: list[object] = json.loads(_read_exactly(stream, length))
    return message


def _read_exactly(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data
