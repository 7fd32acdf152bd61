"""Hold the header and the entries of a lockfile, change them, and write them in normal form."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, KeysView, Mapping, Sequence
from typing import NamedTuple

from ..core.errors import InvalidLockfile
from ..workflows.batch import Batch
from ..workflows.digest import compute_digests
from ..workflows.spec import WorkflowSpec
from .entry import (
    ENTRY_KEYS,
    HEADER_KEYS,
    PLAIN_ENTRY,
    LockEntry,
    LockHeader,
    add_times,
    digests_of,
    find_facts,
    read_entry,
    spell_entries,
    spell_entry,
    spell_header,
    spell_time,
    unknown_fields,
)
from .fingerprint import combine, find_contradiction

_WRITTEN = 4096  # lines that are written together


class Recorded(NamedTuple):
    """Workflows whose entries have exactly their digests: the lockfile vouches for their arguments."""

    ids: frozenset[str]
    enqueued_at: int  # the sum over them, in epoch ms; that of their rows must be the same


class Lockfile:
    """The header and the line of every entry, in normal form; a line is decoded only when it is needed.

    Entries that are not changed keep their bytes, and fields that this program does not know.
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
        self.irregularities = irregularities  # what kept that text from the normal form
        self._header_line = header_line or spell_header(header, {})
        self._lines = lines if lines is not None else {}
        self._has_old = bool(lines)  # lines that an apply before this one, or a newer program, wrote

    def __contains__(self, workflow_id: str) -> bool:
        return workflow_id in self._lines

    @property
    def differs_from_file(self) -> bool:
        """Whether the lockfile is to be written: something changed, or it was not in normal form."""
        return self.changed or bool(self.irregularities)

    def ids(self) -> KeysView[str]:
        return self._lines.keys()

    def entry(self, workflow_id: str) -> LockEntry | None:
        line = self._lines.get(workflow_id)
        return None if line is None else read_entry(line)

    def digest(self, workflow_id: str) -> str | None:
        """The digest of an entry, without reading the rest of its line."""
        line = self._lines.get(workflow_id)
        if line is None:
            return None
        match = PLAIN_ENTRY.fullmatch(line)
        return match[3] if match else read_entry(line).digest

    def find_recorded(self, ids: Sequence[str], digests: Sequence[str]) -> Recorded:
        """Find the workflows that have an entry with exactly their digest."""
        lines = [*map(self._lines.get, ids)]
        facts = find_facts([line for line in lines if line is not None])
        if len(facts) == len(ids) and digests_of(facts) == [*digests]:  # most often, and by columns
            return Recorded(frozenset(ids), add_times(facts))
        found = frozenset(
            workflow_id
            for workflow_id, digest, line in zip(ids, digests, lines, strict=True)
            # only an entry of another digest, or of a newer revision, is read
            if line is not None and (f',"digest":"{digest}",' in line or self.digest(workflow_id) == digest)
        )
        return Recorded(found, self.add_enqueued_at(found))

    def enqueued_at(self, ids: Collection[str]) -> dict[str, int]:
        """Read when some workflows were enqueued. Raises: KeyError for an ID without an entry."""
        return {workflow_id: read_entry(self._lines[workflow_id]).enqueued_at for workflow_id in ids}

    def add_enqueued_at(self, ids: Collection[str]) -> int:
        """Add up when some workflows were enqueued. Raises: KeyError for an ID without an entry."""
        facts = find_facts([*map(self._lines.__getitem__, ids)])
        return add_times(facts) if len(facts) == len(ids) else sum(self.enqueued_at(ids).values())

    def describes(self, spec: WorkflowSpec, digest: str, enqueued_at: int) -> bool:
        """Whether the entry of a workflow has this name, this digest and this time."""
        line = self._lines.get(spec.id)
        if line is None:
            return False
        time = spell_time(enqueued_at)
        if f'","workflow":"{spec.workflow}","digest":"{digest}","enqueued_at":"{time}"' in line:
            return True
        entry = read_entry(line)
        return (entry.workflow, entry.digest, entry.enqueued_at) == (spec.workflow, digest, enqueued_at)

    def record(self, entry: LockEntry) -> None:
        """Put an entry in the place of the one with its id, if there is one."""
        old = self._lines.get(entry.id)
        if old is None or read_entry(old) != entry:
            self.put({entry.id: self.spell(entry)})

    def spell(self, entry: LockEntry) -> str:
        """The line to `put` for an entry; fields of the one with its id that nobody knows stay."""
        old = self._lines.get(entry.id) if self._has_old else None
        return spell_entry(entry, unknown_fields(old, ENTRY_KEYS) if old is not None else {})

    def spell_new(
        self, ids: Sequence[str], workflows: Sequence[str], digests: Sequence[str], enqueued_at: Sequence[int]
    ) -> list[str]:
        """The lines to `put` for workflows that are about to be enqueued, by columns."""
        if self._has_old and not self._lines.keys().isdisjoint(ids):
            return [*map(self.spell, map(LockEntry, ids, workflows, digests, enqueued_at))]
        return spell_entries(ids, workflows, digests, enqueued_at)

    def put(self, lines: Mapping[str, str]) -> None:
        """Take lines as `spell` gave them, by id."""
        self._lines.update(lines)
        self.changed = True

    def finish(self, workflow_id: str, status: str, completed_at: int | None) -> None:
        """Note how a workflow ended. Raises: KeyError for an id without an entry.

        `created_at` may be ahead of the clock that wrote `completed_at`; nothing ends before it is enqueued.
        """
        entry = read_entry(self._lines[workflow_id])
        if completed_at is not None:
            completed_at = max(completed_at, entry.enqueued_at)
        self.record(entry._replace(status=status, completed_at=completed_at))

    def remove(self, workflow_id: str) -> None:
        """Forget a workflow. Raises: KeyError for an id without an entry."""
        del self._lines[workflow_id]
        self.changed = True

    def rebind(self, database: str) -> None:
        """Record that the entries are in this database now."""
        self._put_header(self.header._replace(database=database))

    def rename(self, manifest: str) -> None:
        """Record that the entries belong to the manifest of this name now."""
        self._put_header(self.header._replace(manifest=manifest))

    def _put_header(self, header: LockHeader) -> None:
        if header != self.header:
            self.header = header
            self._header_line = spell_header(header, unknown_fields(self._header_line, HEADER_KEYS))
            self.changed = True

    def learn_database(self, fingerprint: str) -> None:
        """Complete the fingerprint with what is known now; it is written when something else changes."""
        changed = self.changed
        self.rebind(combine(self.header.database, fingerprint))
        self.changed = changed

    def render(self) -> Iterator[str]:
        """The text of the file in pieces: the header, then the entries by id in code points."""
        yield self._header_line + "\n"
        line, ids = self._lines.__getitem__, sorted(self._lines)
        for start in range(0, len(ids), _WRITTEN):
            yield "\n".join(map(line, ids[start : start + _WRITTEN])) + "\n"


def new_lockfile(manifest: str, database: str) -> Lockfile:
    """A lockfile without entries."""
    return Lockfile(LockHeader(manifest, database))


def check_owner(lock: Lockfile, *, manifest: str, database: str, file: str) -> None:
    """Refuse the lockfile of another manifest or another database.

    Raises: InvalidLockfile saying whose it is.
    """
    if lock.header.manifest != manifest:
        raise InvalidLockfile(
            f"the lockfile {file} belongs to the manifest `{lock.header.manifest}`, not to `{manifest}`",
            "name another lockfile with --lockfile; if the manifest was renamed, run `lock rename`",
        )
    if reason := find_contradiction(lock.header.database, database):
        raise InvalidLockfile(
            f"the lockfile {file} belongs to another database than this one: {reason}",
            "check the database URL, or keep a lockfile for each database with --target; "
            "if the database was moved or restored, run `lock rebind`",
        )


def coverage_problems(lock: Lockfile, batches: Iterable[Batch]) -> Iterator[str]:
    """Compare a lockfile with the workflows of its manifest, and yield a sentence for each that differs."""
    orphans = set(lock.ids())
    for batch in batches:
        orphans.difference_update(batch.ids)
        for workflow_id, digest in zip(batch.ids, compute_digests(batch), strict=True):
            recorded = lock.digest(workflow_id)
            if recorded is None:
                yield f"{workflow_id}: is in the manifest and not in the lockfile"
            elif recorded != digest:
                yield f"{workflow_id}: the manifest has changed since the lockfile was written"
    for orphan in sorted(orphans):
        yield f"{orphan}: is in the lockfile and not in the manifest"
