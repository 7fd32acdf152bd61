"""The header and the entries of a lockfile: look them up, change them, format them in normal form."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, KeysView, Mapping, Sequence
from typing import NamedTuple

from ..core.errors import InvalidLockfile
from ..workflows.batch import Batch
from ..workflows.digest import compute_digests
from ..workflows.spec import WorkflowSpec
from .entry_batches import cut_digests, find_digests_and_times, format_entries, sum_times
from .entry_line import (
    ENTRY_KEYS,
    HEADER_KEYS,
    PLAIN_ENTRY,
    LockEntry,
    LockHeader,
    find_unknown_fields,
    format_entry,
    format_header,
    format_time,
    read_entry,
)
from .fingerprint import combine, find_contradiction

_WRITTEN = 4096  # lines that are written together


class Recorded(NamedTuple):
    """Workflows whose entries have exactly their digests, so that their arguments are already recorded."""

    ids: frozenset[str]
    enqueued_at: int  # the sum over them, in epoch ms, to be compared with that of their rows


class Lockfile:
    """The header and the line of every entry, in normal form; a line is decoded only when it is needed.

    Entries that are not changed keep their text, with fields that this program does not know.
    """

    def __init__(
        self,
        header: LockHeader,
        header_line: str | None = None,
        lines: dict[str, str] | None = None,
        *,
        irregularities: Sequence[str] = (),
    ) -> None:
        self.header = header
        self.changed = False  # whether an entry or the header differs from the text that was read
        self.irregularities = irregularities  # where that text was not in normal form
        self._header_line = header_line or format_header(header, {})
        self._lines = lines if lines is not None else {}
        self._has_old = bool(lines)  # lines of an earlier apply, or of a newer version of this program

    def __contains__(self, workflow_id: str) -> bool:
        return workflow_id in self._lines

    @property
    def differs_from_file(self) -> bool:
        """Return whether the lockfile has to be written: something changed, or it was not in normal form."""
        return self.changed or bool(self.irregularities)

    def ids(self) -> KeysView[str]:
        """Return the IDs of all entries."""
        return self._lines.keys()

    def entry(self, workflow_id: str) -> LockEntry | None:
        """Return the entry of a workflow, if it has one."""
        line = self._lines.get(workflow_id)
        return None if line is None else read_entry(line)

    def digest(self, workflow_id: str) -> str | None:
        """Return the digest of an entry; the rest of its line is not parsed."""
        line = self._lines.get(workflow_id)
        if line is None:
            return None
        match = PLAIN_ENTRY.fullmatch(line)
        return match[3] if match else read_entry(line).digest

    def find_recorded(self, ids: Sequence[str], digests: Sequence[str]) -> Recorded:
        """Find the workflows that have an entry with exactly their digest."""
        lines = [*map(self._lines.get, ids)]
        pairs = find_digests_and_times([line for line in lines if line is not None])
        if len(pairs) == len(ids) and cut_digests(pairs) == [*digests]:  # the usual case, column by column
            return Recorded(frozenset(ids), sum_times(pairs))
        found = frozenset(
            workflow_id
            for workflow_id, digest, line in zip(ids, digests, lines, strict=True)
            # only an entry of another digest, or of a newer revision, is parsed
            if line is not None and (f',"digest":"{digest}",' in line or self.digest(workflow_id) == digest)
        )
        return Recorded(found, self.sum_enqueued_at(found))

    def enqueued_at(self, ids: Collection[str]) -> dict[str, int]:
        """Return when some workflows were enqueued. Raises: KeyError for an ID without an entry."""
        return {workflow_id: read_entry(self._lines[workflow_id]).enqueued_at for workflow_id in ids}

    def sum_enqueued_at(self, ids: Collection[str]) -> int:
        """Add up when some workflows were enqueued. Raises: KeyError for an ID without an entry."""
        pairs = find_digests_and_times([*map(self._lines.__getitem__, ids)])
        return sum_times(pairs) if len(pairs) == len(ids) else sum(self.enqueued_at(ids).values())

    def matches(self, spec: WorkflowSpec, digest: str, enqueued_at: int) -> bool:
        """Return whether a workflow has an entry with this name, digest and time."""
        line = self._lines.get(spec.id)
        if line is None:
            return False
        time = format_time(enqueued_at)
        if f'","workflow":"{spec.workflow}","digest":"{digest}","enqueued_at":"{time}"' in line:
            return True
        entry = read_entry(line)
        return (entry.workflow, entry.digest, entry.enqueued_at) == (spec.workflow, digest, enqueued_at)

    def record(self, entry: LockEntry) -> None:
        """Add an entry, or replace the one with its ID."""
        old = self._lines.get(entry.id)
        if old is None or read_entry(old) != entry:
            self.update({entry.id: self.format_entry(entry)})

    def format_entry(self, entry: LockEntry) -> str:
        """Format the line of an entry for `update`; unknown fields of the entry that it replaces are kept."""
        old = self._lines.get(entry.id) if self._has_old else None
        return format_entry(entry, find_unknown_fields(old, ENTRY_KEYS) if old is not None else {})

    def format_existing(self, spec: WorkflowSpec, digest: str, created_at_ms: int) -> str | None:
        """Format the line to add for a row that exists already; None if the entry matches it.

        An entry of the same time keeps its outcome and its status. One of another time is of another run of
        that ID, whose status does not apply to this row.
        """
        if self.matches(spec, digest, created_at_ms):
            return None
        entry = self.entry(spec.id)
        if entry is None or entry.enqueued_at != created_at_ms:
            return self.format_entry(LockEntry(spec.id, spec.workflow, digest, created_at_ms, "existing"))
        # an option changed that is not compared with the row, as its delay
        return self.format_entry(entry._replace(workflow=spec.workflow, digest=digest))

    def format_new(
        self, ids: Sequence[str], workflows: Sequence[str], digests: Sequence[str], enqueued_at: Sequence[int]
    ) -> list[str]:
        """Format the lines for `update` of workflows that are about to be enqueued, column by column."""
        if self._has_old and not self._lines.keys().isdisjoint(ids):
            return [*map(self.format_entry, map(LockEntry, ids, workflows, digests, enqueued_at))]
        return format_entries(ids, workflows, digests, enqueued_at)

    def update(self, lines: Mapping[str, str]) -> None:
        """Add or replace entries, given as lines of `format_entry` by ID."""
        self._lines.update(lines)
        self.changed = True

    def record_status(self, workflow_id: str, status: str, completed_at: int | None) -> None:
        """Record the final status of a workflow. Raises: KeyError for an ID without an entry.

        `created_at` may be ahead of the clock that wrote `completed_at`, but no workflow ends before it is
        enqueued: the later time is recorded.
        """
        entry = read_entry(self._lines[workflow_id])
        if completed_at is not None:
            completed_at = max(completed_at, entry.enqueued_at)
        self.record(entry._replace(status=status, completed_at=completed_at))

    def remove(self, workflow_id: str) -> None:
        """Remove the entry of a workflow. Raises: KeyError for an ID without an entry."""
        del self._lines[workflow_id]
        self.changed = True

    def rebind(self, database: str) -> None:
        """Record that the entries now belong to this database."""
        self._put_header(self.header._replace(database=database))

    def rename(self, manifest: str) -> None:
        """Record that the entries now belong to the manifest of this name."""
        self._put_header(self.header._replace(manifest=manifest))

    def _put_header(self, header: LockHeader) -> None:
        if header != self.header:
            self.header = header
            self._header_line = format_header(header, find_unknown_fields(self._header_line, HEADER_KEYS))
            self.changed = True

    def complete_fingerprint(self, fingerprint: str) -> None:
        """Add parts that the recorded fingerprint lacks; they are written when something else changes."""
        changed = self.changed
        self.rebind(combine(self.header.database, fingerprint))
        self.changed = changed

    def render(self) -> Iterator[str]:
        """Yield the text of the file in pieces: the header, then the entries sorted by ID."""
        yield self._header_line + "\n"
        line, ids = self._lines.__getitem__, sorted(self._lines)
        for start in range(0, len(ids), _WRITTEN):
            yield "\n".join(map(line, ids[start : start + _WRITTEN])) + "\n"


def new_lockfile(manifest: str, database: str) -> Lockfile:
    """Create a lockfile without entries."""
    return Lockfile(LockHeader(manifest, database))


def check_owner(lock: Lockfile, *, manifest: str, database: str, file: str) -> None:
    """Refuse the lockfile of another manifest or another database.

    Raises: InvalidLockfile naming its owner.
    """
    if lock.header.manifest != manifest:
        raise InvalidLockfile(
            f"the lockfile {file} belongs to the manifest `{lock.header.manifest}`, not to `{manifest}`",
            "choose another lockfile with --lockfile; if the manifest was renamed, run `lock rename`",
        )
    if reason := find_contradiction(lock.header.database, database):
        raise InvalidLockfile(
            f"the lockfile {file} belongs to a different database: {reason}",
            "check the database URL, or keep a lockfile for each database with --target; "
            "if the database was moved or restored, run `lock rebind`",
        )


def find_coverage_problems(lock: Lockfile, batches: Iterable[Batch]) -> Iterator[str]:
    """Compare a lockfile with the workflows of its manifest, and yield a sentence for each that differs."""
    orphans = set(lock.ids())
    for batch in batches:
        orphans.difference_update(batch.ids)
        for workflow_id, digest in zip(batch.ids, compute_digests(batch), strict=True):
            recorded = lock.digest(workflow_id)
            if recorded is None:
                yield f"{workflow_id}: in the manifest, but not in the lockfile"
            elif recorded != digest:
                yield f"{workflow_id}: the manifest has changed since the lockfile was written"
    for orphan in sorted(orphans):
        yield f"{orphan}: in the lockfile, but not in the manifest"
