"""Lockfile text in, its header and entries out, and back: one JSON object a line, sorted by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, Mapping, Sequence

from .blocks import digest_spec
from .errors import InvalidLockfile
from .lock_lines import (
    ENTRY_KEYS,
    HEADER_KEYS,
    PLAIN_ENTRY,
    RESTORE,
    LockEntry,
    LockHeader,
    Text,
    agree_headers,
    check_entry,
    check_header,
    check_lines,
    decode_line,
    invalid_line,
    merge_lines,
    number_blocks,
    number_lines,
    read_entry,
    spell_entries,
    spell_entry,
    spell_header,
    unknown_fields,
)
from .spec import WorkflowSpec

_WRITTEN = 4096  # lines that are written together


class Lockfile:
    """The header and the line of every entry; a line is decoded only when it is asked for.

    Entries that nobody changes keep their bytes, and fields that this program does not know.
    """

    def __init__(
        self, header: LockHeader, header_line: str | None = None, lines: dict[str, str] | None = None
    ) -> None:
        self.header = header
        self.changed = False  # whether an entry or the header is no longer what the text said
        self._header_line = header_line or spell_header(header, {})
        self._lines = lines if lines is not None else {}
        self._has_old = bool(lines)  # lines that an apply before this one, or a newer program, wrote

    def __contains__(self, workflow_id: str) -> bool:
        return workflow_id in self._lines

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

    def vouched(self, ids: Sequence[str], digests: Sequence[str]) -> list[str]:
        """The ids that have an entry with just their digest."""
        lines = map(self._lines.get, ids)
        return [
            workflow_id
            for workflow_id, digest, line in zip(ids, digests, lines, strict=True)
            # as apply spells it; only an entry that is spelled otherwise, or is another one, is read
            if line is not None and (f',"digest":"{digest}",' in line or self.digest(workflow_id) == digest)
        ]

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
        """Note how a workflow ended. Raises: KeyError for an id without an entry."""
        entry = read_entry(self._lines[workflow_id])
        self.record(entry._replace(status=status, completed_at=completed_at))

    def remove(self, workflow_id: str) -> None:
        """Forget a workflow. Raises: KeyError for an id without an entry."""
        del self._lines[workflow_id]
        self.changed = True

    def rebind(self, database: str) -> None:
        """Say that the entries are in this database now."""
        if database != self.header.database:
            self.header = self.header._replace(database=database)
            unknown = unknown_fields(self._header_line, HEADER_KEYS)
            self._header_line = spell_header(self.header, unknown)
            self.changed = True

    def render(self) -> Iterator[str]:
        """The text of the file in pieces: the header, then the entries by id in code points."""
        yield self._header_line + "\n"
        line, ids = self._lines.__getitem__, sorted(self._lines)
        for start in range(0, len(ids), _WRITTEN):
            yield "\n".join(map(line, ids[start : start + _WRITTEN])) + "\n"


def new_lockfile(manifest: str, database: str) -> Lockfile:
    """A lockfile without entries."""
    return Lockfile(LockHeader(manifest, database))


def parse_lockfile(text: Text, file: str) -> Lockfile:
    """What a lockfile says, whatever order or doubles a merge of two branches left.

    Shape:  of entries with one id the earliest counts, with a final status that only the other has.
    Raises: InvalidLockfile with file and line for what is not a lockfile, is of a newer version, has
            conflict markers, or headers that disagree.
    """
    header: LockHeader | None = None
    header_line = ""
    lines: dict[str, str] = {}
    plain = PLAIN_ENTRY.fullmatch
    for first, block in number_blocks(text, file):
        # as apply writes it: entries only, each for another workflow
        matches = [*map(plain, block)]
        if None not in matches:
            entries = dict(zip([match[1] for match in matches if match], block, strict=True))
            if len(entries) == len(block) and lines.keys().isdisjoint(entries):
                lines |= entries
                continue
        for number, line in check_lines(first, block, file):
            if match := plain(line):
                workflow_id = match[1]
            else:
                try:
                    fields = decode_line(line)
                    found = None if "id" in fields else check_header(fields)
                    workflow_id = "" if found else check_entry(fields).id
                except ValueError as error:
                    raise invalid_line(file, number, error) from None
                if found is not None:
                    if header is None or found.revision > header.revision:
                        header, header_line = agree_headers(header, found, file, number), line
                    else:
                        agree_headers(header, found, file, number)
                    continue
            known = lines.get(workflow_id)
            lines[workflow_id] = line if known is None else merge_lines(known, line)
    if header is None:
        problem = "has no header line" if lines else "is empty"
        raise InvalidLockfile(f"the lockfile {file} {problem}", RESTORE)
    return Lockfile(header, header_line, lines)


def check_owner(lock: Lockfile, *, manifest: str, database: str, file: str) -> None:
    """Refuse the lockfile of another manifest or another database.

    Raises: InvalidLockfile saying whose it is.
    """
    if lock.header.manifest != manifest:
        raise InvalidLockfile(
            f"the lockfile {file} belongs to the manifest `{lock.header.manifest}`, not to `{manifest}`",
            "name another lockfile with --lockfile; if the manifest was renamed, "
            "write its new name into the lockfile's first line",
        )
    if lock.header.database != database:
        raise InvalidLockfile(
            f"the lockfile {file} belongs to another database (its fingerprint is "
            f"{lock.header.database}, this database's is {database})",
            "check the database URL, or keep a lockfile for each database with --target; "
            "if the database was moved or restored, run `lock rebind`",
        )


def lock_problems(text: str | bytes, file: str, specs: Iterable[WorkflowSpec]) -> Iterator[str]:
    """What `lock check` finds, a sentence each: the file's form, then its entries beside the manifest's.

    Raises: InvalidLockfile as `parse_lockfile` does.
    """
    lock = parse_lockfile(text, file)
    yield from _form_problems(text, file)
    orphans = set(lock.ids())
    for spec in specs:
        orphans.discard(spec.id)
        entry = lock.entry(spec.id)
        if entry is None:
            yield f"{spec.id}: is in the manifest and not in the lockfile"
        elif entry.digest != digest_spec(spec):
            yield f"{spec.id}: the manifest has changed since the lockfile was written"
    for orphan in sorted(orphans):
        yield f"{orphan}: is in the lockfile and not in the manifest"


def _form_problems(text: str | bytes, file: str) -> Iterator[str]:
    """One problem of each kind, at its first line: they all have the same cure."""
    raw = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
    first: dict[str, int] = {}
    previous: str | None = None
    seen = set()
    for number, line in number_lines(text, file):
        fields = decode_line(line)
        if "id" in fields:
            entry = check_entry(fields)
            spelled = spell_entry(entry, unknown_fields(line, ENTRY_KEYS))
            if entry.id in seen:
                first.setdefault("a second line for one workflow", number)
            elif previous is None or entry.id < previous:
                first.setdefault("not in order: the header, then the entries by id", number)
            seen.add(entry.id)
            previous = max(entry.id, previous or "")
        else:
            spelled = spell_header(check_header(fields), unknown_fields(line, HEADER_KEYS))
            if previous is None:
                previous = ""
            else:
                first.setdefault("a second header line", number)
        if spelled != line:
            first.setdefault("spelled otherwise than apply writes it", number)
    for problem, number in sorted(first.items(), key=lambda item: item[1]):
        yield f"line {number}: {problem}"
    if len(raw) != len(text.decode() if isinstance(text, bytes) else text):
        yield "line 1: a byte order mark"
    if "\r\n" in raw:
        yield "lines end with a carriage return"
