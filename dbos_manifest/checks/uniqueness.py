"""Find manifest names, IDs and deduplication IDs that occur more than once in all files of a command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from typing import NamedTuple

from ..core.diagnostic import Diagnostic, Related, ValuePath, make_diagnostic
from ..core.work_budget import spend
from ..expansion.diagnostic_groups import DiagnosticGroups, EnoughErrors, LabelledDiagnostic
from ..expansion.expansion import Expansion
from ..expansion.limits import STEPS_PER_WORKFLOW
from ..manifest.manifest import Manifest
from ..workflows.batch import Batch
from ..workflows.spec import WorkflowSpec

_LONGEST_KEY = 200  # characters of an ID that is kept as text
_BITS = 2**60 - 1  # an int of two digits, half the memory of a whole hash


class _Use(NamedTuple):
    """Where an ID is used; without the workflow, whose arguments may be large."""

    expansion: Expansion
    entry: int
    label: str

    def place(self, option: str) -> ValuePath:
        written = option in self.expansion.manifest.entries[self.entry]
        return ("workflows", self.entry, *((option,) if written else ()))


class Uniqueness:
    """Finds duplicates with a hash per ID: when two hashes are equal, the manifests are expanded again.

    A million IDs take 70 MB instead of a dictionary of texts. Comparing the IDs of equal hashes excludes
    false alarms.
    """

    def __init__(self) -> None:
        self._names: dict[str, Manifest] = {}
        self._expansions: list[Expansion] = []
        self._ids: set[int] = set()
        self._pairs: set[int] = set()  # of queue and deduplication id
        self._suspects: dict[str, set[int]] = {"id": set(), "deduplication_id": set()}

    def add_manifest(self, manifest: Manifest) -> list[Diagnostic]:
        """Add the name of a manifest, and return the problem if another manifest has it."""
        first = self._names.setdefault(manifest.name, manifest)
        if first is manifest:
            return []
        related = _related("the first use of the name", first, ("name",))
        return [
            make_diagnostic(
                "duplicate-name",
                f"another manifest has the same name, `{manifest.name}`",
                ("name",),
                help="use another name: it identifies the manifest, its lockfile and its generated IDs",
                related=(related,),
            )
        ]

    def add_expansion(self, expansion: Expansion) -> None:
        """Add a manifest whose workflows were all added."""
        self._expansions.append(expansion)

    def add(self, batch: Batch) -> None:
        """Add the workflows of a batch."""
        self._suspects["id"] |= _add_new(self._ids, [hash(key) & _BITS for key in batch.ids])
        if batch.sets("deduplication_id"):
            pairs = zip(batch.columns["queue"], batch.columns["deduplication_id"], strict=True)
            keys = [hash(pair) & _BITS for pair in pairs if pair[1] is not None]
            self._suspects["deduplication_id"] |= _add_new(self._pairs, keys)

    def diagnostics(self) -> list[Diagnostic]:
        """Return a problem for each workflow whose ID or deduplication ID another workflow has."""
        groups = DiagnosticGroups()
        with suppress(EnoughErrors):
            groups.update(self._find_duplicates())
        return groups.merge()

    def _find_duplicates(self) -> Iterator[LabelledDiagnostic]:
        if not any(self._suspects.values()):
            return
        ids, pairs = self._suspects["id"], self._suspects["deduplication_id"]
        first: dict[object, _Use] = {}
        for expansion in self._expansions:
            spend(STEPS_PER_WORKFLOW * expansion.count)
            for spec in expansion.specs(lambda diagnostic, label: None):
                if hash(spec.id) & _BITS in ids:
                    use = _Use(expansion, spec.entry, expansion.label(spec))
                    if (other := first.setdefault(_key(spec.id), use)) is not use:
                        yield _make_duplicate(use, spec, other, "id")
                pair = (spec.queue, spec.deduplication_id)
                if spec.deduplication_id is None or hash(pair) & _BITS not in pairs:
                    continue
                use = _Use(expansion, spec.entry, expansion.label(spec))
                if (other := first.setdefault((*map(_key, pair),), use)) is not use:
                    yield _make_duplicate(use, spec, other, "deduplication_id")


def _key(text: str | None) -> str | bytes:
    """Return a short key of a text."""
    text = text or ""
    return text if len(text) <= _LONGEST_KEY else sha256(text.encode("utf-8", "surrogatepass")).digest()


def _add_new(known: set[int], keys: list[int]) -> set[int]:
    """Add keys to the known ones, and return those that were known or occur twice."""
    new = set(keys)
    twice = new & known
    if len(new) < len(keys):
        twice |= {key for key, count in Counter(keys).items() if count > 1}
    known |= new
    return twice


def _make_duplicate(use: _Use, spec: WorkflowSpec, first: _Use, option: str) -> LabelledDiagnostic:
    expansion, label, other = use.expansion, use.label, first.label
    make = _duplicate_id if option == "id" else _duplicate_deduplication_id
    both = f": by {other} and by {label}" if label and other else ""
    path = first.place(option)
    is_same_place = use.place(option) == path and expansion is first.expansion
    related = (
        () if is_same_place else (_related("the first workflow that has it", first.expansion.manifest, path),)
    )
    return make(use, spec, both, related), (lambda: f"{spec.id} ({label})") if label else None


def _duplicate_id(use: _Use, spec: WorkflowSpec, both: str, related: tuple[Related, ...]) -> Diagnostic:
    place = use.place("id")
    if len(place) > 2:
        message, help = f"the ID `{spec.id}` is used twice{both}", "give every workflow its own ID"
    else:
        message = f"the generated ID `{spec.id}` is used twice{both}"
        help = "remove one, or give one an `id`: both have the same name and arguments"
    return _make(use, "duplicate-id", message, place, help, related)


def _duplicate_deduplication_id(
    use: _Use, spec: WorkflowSpec, both: str, related: tuple[Related, ...]
) -> Diagnostic:
    message = (
        f"the deduplication ID `{spec.deduplication_id}` is used twice on the queue `{spec.queue}`{both}"
    )
    help = "use a different one: DBOS accepts one workflow per deduplication ID at a time"
    return _make(use, "duplicate-deduplication-id", message, use.place("deduplication_id"), help, related)


def _make(
    use: _Use, code: str, message: str, path: ValuePath, help: str, related: tuple[Related, ...]
) -> Diagnostic:
    document = use.expansion.manifest.document
    found = make_diagnostic(code, message, path, help=help, related=related)
    return found.in_file(document.file, document.index)


def _related(message: str, manifest: Manifest, path: ValuePath) -> Related:
    return Related(message, path, file=manifest.document.file, document=manifest.document.index)
