"""Find out that a plan rests on the wrong lockfile: another one exists, or the manifest was renamed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from ..core.diagnostic import Diagnostic, make_diagnostic
from ..core.errors import ManifestToolError
from ..core.plural import count_of
from ..expansion.workflow_source import WorkflowSource
from ..files.lockfile_writer import LOCKFILE_SUFFIX, find_lockfiles, open_lockfile
from ..lockfile.entry_line import LockHeader, decode_line, parse_header
from ..lockfile.fingerprint import find_contradiction
from ..lockfile.lockfile import Lockfile, check_owner
from ..planning.preflight_codes import LOCKFILE_MISSING, RENAMED_MANIFEST
from ..workflows.spec import WorkflowSpec, default_id

_GENERATED = re.compile(r"(.+)-[0-9a-f]{20}", re.DOTALL)
_LINES_READ = 100  # of a lockfile, in search of its header


class FolderLockfiles:
    """The owners of the lockfiles in folders. Each folder is read once, however many manifests are in it."""

    def __init__(self) -> None:
        self._owners: dict[Path, dict[str, list[tuple[Path, str]]]] = {}

    def find_other(self, source: WorkflowSource, path: Path, fingerprint: str) -> list[Diagnostic]:
        """Find a lockfile of this manifest and database, where there is none at its path."""
        for folder in dict.fromkeys([path.parent, Path(source.file).parent]):
            for other, database in self._read(folder).get(source.name, ()):
                if find_contradiction(database, fingerprint) is None:
                    found = make_diagnostic(
                        LOCKFILE_MISSING,
                        f"the lockfile `{path}` does not exist, but `{other}` belongs to this manifest and "
                        "database",
                        ("name",),
                        help=f"run the command with {_option_for(source, other)}; "
                        f"--allow {LOCKFILE_MISSING} starts a new lockfile",
                    )
                    return [found]
        return []

    def _read(self, folder: Path) -> dict[str, list[tuple[Path, str]]]:
        """Read the lockfiles of a folder, by manifest, each with the fingerprint of its database."""
        if folder not in self._owners:
            owners = self._owners[folder] = {}
            for path in find_lockfiles(folder):
                if (header := _read_header(path)) is not None:
                    owners.setdefault(header.manifest, []).append((path, header.database))
        return self._owners[folder]


def check_header(path: Path, manifest: str, fingerprint: str) -> None:
    """Check whose lockfile it is; one that does not exist or has no header passes.

    Raises: InvalidLockfile for the lockfile of another manifest or database.
    """
    header = _read_header(path)
    if header is not None:
        check_owner(Lockfile(header), manifest=manifest, database=fingerprint, file=str(path))


def _read_header(path: Path) -> LockHeader | None:
    with suppress(ManifestToolError), open_lockfile(path) as file:
        for line in islice(file or (), _LINES_READ):
            with suppress(ValueError):
                return parse_header(decode_line(line.decode("utf-8-sig")))
    return None


def _option_for(source: WorkflowSource, lockfile: Path) -> str:
    name = lockfile.name.removesuffix(LOCKFILE_SUFFIX)
    for stem in (Path(source.file).stem, source.name):
        if name.startswith(f"{stem}."):
            return f"`--target {name[len(stem) + 1 :]}`"
    return f"`--lockfile {lockfile}`"


def find_renamed(source: WorkflowSource, lock: Lockfile) -> list[Diagnostic]:
    """Find workflows that the lockfile has under IDs generated from another name of the manifest.

    Cost:   the IDs are compared only where the lockfile has generated ones of another name.
    """
    ids = lock.ids()
    prefixes = {match[1] for match in map(_GENERATED.fullmatch, ids) if match}
    doubled = 0
    first: tuple[str, str] | None = None
    for name, spec in _former_names(source, prefixes):
        former = default_id(name, spec)
        if spec.id not in ids and former in ids:
            doubled += 1
            first = first or (name, former)
    if first is None:
        return []
    name, former = first
    found = make_diagnostic(
        RENAMED_MANIFEST,
        f"{count_of(doubled, 'workflow')} would be enqueued again: the lockfile lists them under IDs that "
        f"were generated from the name `{name}`, such as `{former}`",
        ("name",),
        help=f"restore `name: {name}`, or write the IDs from the lockfile as `id`; "
        f"--allow {RENAMED_MANIFEST} enqueues them again",
    )
    return [found]


def _former_names(source: WorkflowSource, prefixes: set[str]) -> Iterator[tuple[str, WorkflowSpec]]:
    """Yield the workflows with generated IDs, each with the other names that its ID may have begun with."""
    names: dict[str, list[str]] = {}  # by workflow
    for spec in source.specs() if prefixes else ():
        known = names.get(spec.workflow)
        if known is None:
            end = f"-{spec.workflow}"
            former = [prefix[: -len(end)] for prefix in sorted(prefixes) if prefix.endswith(end)]
            known = names[spec.workflow] = [name for name in former if name and name != source.name]
        if known and spec.id == default_id(source.name, spec):
            yield from ((name, spec) for name in known)
