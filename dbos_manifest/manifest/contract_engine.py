"""Compile JSON Schemas and check values by them. `contract_process` runs this module in a process of its own.

It imports nothing of the package, so that the process starts quickly.
"""

from __future__ import annotations

import faulthandler
import json
import struct
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO

import jsonschema_rs

BASE = "tree:///"
LENGTH = struct.Struct("<Q")  # of a message, before its JSON text
OUT_OF_TIME, OUT_OF_MEMORY = 1, 3  # exit codes; faulthandler has chosen the first
WALL_SECONDS = 2  # of one call, for each second of CPU time that all calls may take
_MAX_VIOLATIONS = 20  # of one value
_MAX_CHARACTERS = 200  # of a message
# This engine takes time linear in the text, unlike one that backtracks.
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=10 * 2**20)


def serve(requests: BinaryIO, results: BinaryIO, cpu_seconds: int, memory_bytes: int) -> None:
    """Read requests and write results until the requests end, or until the process exceeds a limit."""
    _set_limits(cpu_seconds, memory_bytes)
    engine = _Engine(requests, results)
    _write(results, ["ready", None])
    while (request := _read(requests)) is not None:
        faulthandler.dump_traceback_later(WALL_SECONDS * cpu_seconds, exit=True)
        try:
            method, *arguments = json.loads(request)
            reply = ["result", getattr(engine, str(method))(*arguments)]
        except MemoryError:
            raise SystemExit(OUT_OF_MEMORY) from None
        except BaseException as error:  # also a panic of the engine, which is no Exception
            reply = ["error", _describe(error)]
        faulthandler.cancel_dump_traceback_later()
        _write(results, reply)


def _set_limits(cpu_seconds: int, memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: the time of each call is limited, memory is not
        return
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_CPU: cpu_seconds, resource.RLIMIT_AS: memory_bytes}
    for kind, limit in limits.items():
        hard = resource.getrlimit(kind)[1]
        most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with suppress(ValueError, OSError):  # macOS does not limit memory
            resource.setrlimit(kind, (most, most))


class _Engine:
    """The compiled contracts, by number."""

    def __init__(self, requests: BinaryIO, results: BinaryIO) -> None:
        self._requests, self._results = requests, results
        self._validators: dict[int, jsonschema_rs.Validator] = {}

    def compile(self, number: int, schema: dict[str, object] | bool) -> str | None:
        """Compile a contract, and return why it is not a JSON Schema."""
        try:
            self._validators[number] = jsonschema_rs.validator_for(
                schema,
                retriever=self._retrieve,
                base_uri=BASE,
                pattern_options=_PATTERNS,
                validate_formats=True,
            )
        except Exception as error:
            return _first_line(error)
        return None

    def check(self, number: int, values: list[object]) -> list[tuple[int, list[tuple[str, list[str | int]]]]]:
        """Return the positions of invalid values, each with its violations: message and path."""
        validator = self._validators[number]
        return [
            (
                position,
                [
                    (_first_line(error), list(error.instance_path))
                    for error in islice(validator.iter_errors(value), _MAX_VIOLATIONS)
                ],
            )
            for position, value in enumerate(values)
            if not validator.is_valid(value)
        ]

    def _retrieve(self, uri: str) -> Any:
        """Ask the other process for a file that a contract refers to."""
        _write(self._results, ["retrieve", uri])
        reply = _read(self._requests)
        if not reply or not (found := json.loads(reply)):
            raise ValueError("the file cannot be read")
        return found[0]


def _first_line(error: BaseException) -> str:
    text = str(getattr(error, "message", error)).split("\n")[0]
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first_line(error)}"


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(LENGTH.size)
    return stream.read(*LENGTH.unpack(head)) if len(head) == LENGTH.size else None


def _write(stream: BinaryIO, message: object) -> None:
    data = json.dumps(message).encode()
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()
