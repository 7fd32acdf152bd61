"""Report the lockfiles that a step changed, from the files alone: a killed run has no results to read.

    lockfiles.py save STATE             before the step: remember every lockfile
    lockfiles.py compare STATE          after it: print the outputs `changes` and `lockfiles`

PATHS and ARGUMENTS, one word per line, are those of the action. Lockfiles are looked for below the current
folder, next to PATHS and below them, and where `--lockfile` or a saved plan names one.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def find_lockfiles(paths: list[Path], arguments: list[str]) -> Iterator[Path]:
    """Find every lockfile that the step may write; some twice."""
    yield from map(Path, filter(None, named_lockfiles(arguments)))
    yield from (lockfile for path in paths if path.is_file() for lockfile in planned_lockfiles(path))
    for folder in (Path(), *(path if path.is_dir() else path.parent for path in paths)):
        for place, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(place, name) for name in sorted(names) if name.endswith(".lock.jsonl"))


def named_lockfiles(arguments: list[str]) -> Iterator[str]:
    """Find the lockfile that the environment or the command line names."""
    yield os.environ.get("DBOS_MANIFEST_LOCKFILE", "")
    for position, word in enumerate(arguments):
        if word.startswith("--lockfile="):
            yield word.partition("=")[2]
        elif word == "--lockfile":
            yield from arguments[position + 1 : position + 2]


def planned_lockfiles(path: Path) -> Iterator[Path]:
    """Find the lockfiles that a saved plan names in its first line."""
    try:
        with path.open("rb") as file:
            if file.read(14) == b'{"type":"plan"':
                file.seek(0)
                yield from [Path(one["lockfile"]) for one in json.loads(file.readline())["manifests"]]
    except (OSError, ValueError, KeyError, TypeError):
        return


def read_state() -> dict[str, str]:
    """Read the digest of each lockfile, by its name; a file of several names has the first one."""
    paths, arguments = (
        [line for line in os.environ.get(name, "").split("\n") if line] for name in ("PATHS", "ARGUMENTS")
    )
    state: dict[str, str] = {}
    seen = set()
    for path in find_lockfiles([*map(Path, paths)], arguments):
        real = path.resolve()
        if real not in seen and real.is_file():
            seen.add(real)
            state[str(path)] = compute_digest(real)
    return state


def compute_digest(path: Path) -> str:
    """Return the SHA-256 of a file of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def main(mode: str, file: str) -> None:
    """Remember the lockfiles, or print which have changed since."""
    state = read_state()
    if mode == "save":
        Path(file).write_text(json.dumps(state), encoding="utf-8")
        return
    known = json.loads(Path(file).read_text(encoding="utf-8"))
    written = sorted(name for name, digest in state.items() if known.get(name) != digest)
    # one line of JSON: a file name with a line break in it cannot make an output of its own
    print(f"changes={json.dumps(bool(written))}\nlockfiles={json.dumps(written)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
