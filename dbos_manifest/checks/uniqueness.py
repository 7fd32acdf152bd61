"""What may occur only once in all files of one call: manifest names, ids, deduplication ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from ..core.diagnostic import Diagnostic, Path, Related, make_diagnostic
from ..expansion.expansion import Expansion
from ..expansion.grouping import DiagnosticGroups, EnoughErrors
from ..manifest.manifest import Manifest
from ..workflows.batch import Batch
from ..workflows.spec import WorkflowSpec

_BITS = 2**60 - 1  # an int of two digits, half the memory of a whole hash


class _Use(NamedTuple):
    expansion: Expansion
    spec: WorkflowSpec

    def place(self, option: str) -> Path:
        written = option in self.expansion.manifest.entries[self.spec.entry]
        return ("workflows", self.spec.entry, *((option,) if written else ()))


class Uniqueness:
    """Remembers a hash of each id; when two are equal, the manifests are expanded again to see which ids.

    So a million ids cost 70 MB and no dictionary of texts, and chance cannot make an error.
    """

    def __init__(self) -> None:
        self._names: dict[str, Manifest] = {}
        self._expansions: list[Expansion] = []
        self._ids: set[int] = set()
        self._pairs: set[int] = set()  # of queue and deduplication id
        self._suspects: dict[str, set[int]] = {"id": set(), "deduplication_id": set()}

    def add_manifest(self, manifest: Manifest) -> Iterator[Diagnostic]:
        first = self._names.setdefault(manifest.name, manifest)
        if first is not manifest:
            yield make_diagnostic(
                "duplicate-name",
                f"another manifest is named `{manifest.name}` too",
                ("name",),
                help="a name identifies one batch, its lockfile and its IDs: choose another",
                related=(_related("the first use of the name", first, ("name",)),),
            )

    def add_expansion(self, expansion: Expansion) -> None:
        self._expansions.append(expansion)

    def add_spec(self, spec: WorkflowSpec) -> None:
        self._add([spec.id], [(spec.queue, spec.deduplication_id)])

    def add_batch(self, batch: Batch) -> None:
        pairs = zip(batch.columns["queue"], batch.columns["deduplication_id"], strict=True)
        self._add(batch.ids, pairs if batch.sets("deduplication_id") else ())

    def _add(self, ids: Iterable[str], pairs: Iterable[tuple[str, str | None]]) -> None:
        self._suspects["id"] |= _add_new(self._ids, [hash(key) & _BITS for key in ids])
        keys = [hash(pair) & _BITS for pair in pairs if pair[1] is not None]
        self._suspects["deduplication_id"] |= _add_new(self._pairs, keys)

    def diagnostics(self) -> list[Diagnostic]:
        """Every workflow whose id or deduplication id another one has, each with its file."""
        groups = DiagnosticGroups()
        if not any(self._suspects.values()):
            return []
        with suppress(EnoughErrors):
            self._compare_all(groups)
        return groups.merge()

    def _compare_all(self, groups: DiagnosticGroups) -> None:
        ids, pairs = self._suspects["id"], self._suspects["deduplication_id"]
        first: dict[Any, _Use] = {}
        for expansion in self._expansions:
            for spec in expansion.specs(lambda diagnostic, label: None):
                use = _Use(expansion, spec)
                if hash(spec.id) & _BITS in ids:
                    _compare(use, first.setdefault(spec.id, use), "id", groups)
                pair = (spec.queue, spec.deduplication_id)
                if spec.deduplication_id is not None and hash(pair) & _BITS in pairs:
                    _compare(use, first.setdefault(pair, use), "deduplication_id", groups)


def _add_new(known: set[int], keys: list[int]) -> set[int]:
    """Put the keys to the known ones; gives those that are known already or come twice."""
    new = set(keys)
    twice = new & known
    if len(new) < len(keys):
        twice |= {key for key, count in Counter(keys).items() if count > 1}
    known |= new
    return twice


def _compare(use: _Use, first: _Use, option: str, groups: DiagnosticGroups) -> None:
    if use is first:
        return
    expansion, spec = use
    label, other = expansion.label(spec), first.expansion.label(first.spec)
    make = _duplicate_id if option == "id" else _duplicate_deduplication_id
    both = f": by {other} and by {label}" if label and other else ""
    path = first.place(option)
    alike = use.place(option) == path and expansion is first.expansion
    related = () if alike else (_related("the first workflow with it", first.expansion.manifest, path),)
    groups.add(make(use, both, related), (lambda: f"{spec.id} ({label})") if label else None)


def _duplicate_id(use: _Use, both: str, related: tuple[Related, ...]) -> Diagnostic:
    spec, place = use.spec, use.place("id")
    if len(place) > 2:
        message, help = f"the id `{spec.id}` is taken{both}", "every workflow needs an id of its own"
    else:
        message = f"the id made for this workflow, `{spec.id}`, is taken{both}"
        help = "the same workflow with the same arguments twice: give it an `id`, or leave it out"
    return _make(use, "duplicate-id", message, place, help, related)


def _duplicate_deduplication_id(use: _Use, both: str, related: tuple[Related, ...]) -> Diagnostic:
    spec = use.spec
    message = f"the deduplication id `{spec.deduplication_id}` is taken on the queue `{spec.queue}`{both}"
    help = "DBOS accepts one workflow of a deduplication id at a time: use another"
    return _make(use, "duplicate-deduplication-id", message, use.place("deduplication_id"), help, related)


def _make(
    use: _Use, code: str, message: str, path: Path, help: str, related: tuple[Related, ...]
) -> Diagnostic:
    document = use.expansion.manifest.document
    return make_diagnostic(
        code, message, path, help=help, related=related, file=document.file, document=document.index
    )


def _related(message: str, manifest: Manifest, path: Path) -> Related:
    return Related(message, path, file=manifest.document.file, document=manifest.document.index)
