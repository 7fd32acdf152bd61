"""A problem found in a manifest, as a value: code, message, place, way out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Where a value sits in a document: ("workflows", 0, "timeout")."""


SOURCE_IN_QUOTES = "write it in quotes"
"""A help to which the value as it is written, in quotes, is added where the place in the text is known."""


class Span(NamedTuple):
    """A stretch of a source file. Lines and columns count from 1, in code points; the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


class Severity(str, Enum):
    ERROR = "error"
    WARNING = "warning"


class Target(str, Enum):
    """Which half of `key: value` a diagnostic points at."""

    KEY = "key"
    VALUE = "value"


class Fragment(NamedTuple):
    """A part of a scalar: offsets in its text, and which `${{` of it they belong to, from 0."""

    expression: int
    mark: int  # offset of that `${{`
    start: int
    end: int
    sign: str = "${{"  # or what else begins the part


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that a diagnostic shows, as the other use of a doubled id."""

    message: str
    path: Path
    span: Span | None = None
    file: str | None = None  # None: the diagnostic's own file
    document: int = 0


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. Checkers give `path` (cheap); the place in the text is looked up when it is shown."""

    code: str
    message: str
    path: Path = ()
    target: Target = Target.VALUE
    severity: Severity = Severity.ERROR
    help: str | None = None
    related: tuple[Related, ...] = ()
    span: Span | None = None
    file: str | None = None
    document: int = 0  # which of the file's YAML documents, from 0
    fragment: Fragment | None = None  # the part of the scalar at `path` that is meant
    note: str | None = None  # which of an entry's workflows it is about

    def at(self, span: Span | None) -> Diagnostic:
        return replace(self, span=span)


class CodeInfo(NamedTuple):
    layer: str  # syntax | schema | meaning | database
    severity: Severity  # the usual one
    summary: str


E, W = Severity.ERROR, Severity.WARNING

CODES: dict[str, CodeInfo] = {
    # 1. the text
    "encoding": CodeInfo("syntax", E, "the file is not UTF-8 text"),
    "yaml-syntax": CodeInfo("syntax", E, "the text is not YAML (or JSON)"),
    "duplicate-key": CodeInfo("syntax", E, "a key is written twice in one map"),
    "merge-key": CodeInfo("syntax", E, "`<<` is not part of YAML 1.2"),
    "unknown-tag": CodeInfo("syntax", E, "a YAML tag that has no JSON value"),
    "non-string-key": CodeInfo("syntax", E, "a key that is not text"),
    "not-portable": CodeInfo("syntax", E, "a value that JSON cannot carry between languages"),
    "too-large": CodeInfo("syntax", E, "a bound on size, depth or expansion is passed"),
    "recursive-alias": CodeInfo("syntax", E, "an alias inside the value it refers to"),
    "ambiguous-scalar": CodeInfo("syntax", W, "a plain scalar that YAML 1.1 reads as another value"),
    # 2. the schema
    "not-a-manifest": CodeInfo("schema", E, "the document is not a manifest"),
    "unsupported-version": CodeInfo("schema", E, "a manifest version this program does not know"),
    "unknown-key": CodeInfo("schema", E, "a key that the manifest format does not have"),
    "missing-key": CodeInfo("schema", E, "a required key is not there"),
    "wrong-type": CodeInfo("schema", E, "a value of another type than the key takes"),
    "invalid-value": CodeInfo("schema", E, "a value outside what the key takes"),
    # 3. the meaning
    "expression-syntax": CodeInfo("meaning", E, "a `${{ }}` that cannot be read"),
    "expression-value": CodeInfo("meaning", E, "an expression that has no value here, or not a fitting one"),
    "unknown-name": CodeInfo("meaning", E, "a name that is no axis and no variable"),
    "unknown-filter": CodeInfo("meaning", E, "a filter that does not exist"),
    "not-an-expression": CodeInfo("meaning", W, "`{{ }}` without `$`, which is plain text"),
    "misplaced-expression": CodeInfo("meaning", E, "`${{ }}` where it is not read"),
    "invalid-axis": CodeInfo("meaning", E, "an axis of a matrix that makes no sense"),
    "empty-axis": CodeInfo("meaning", E, "an axis without values"),
    "excluded-tick": CodeInfo("meaning", W, "a cron schedule fires at an end of the axis, which is excluded"),
    "axis-file": CodeInfo("meaning", E, "a file of rows that cannot be read"),
    "outside-tree": CodeInfo("meaning", E, "a file outside the manifest's folder"),
    "remote-ref": CodeInfo("meaning", E, "a reference that is no path of a file"),
    "axis-not-in-id": CodeInfo("meaning", E, "an axis that the id does not name, so that ids collide"),
    "unused-exclude": CodeInfo("meaning", W, "an exclude that matches no combination"),
    "too-many-workflows": CodeInfo("meaning", E, "more workflows than `limits.max_workflows`"),
    "input-too-large": CodeInfo("meaning", E, "arguments longer than `limits.max_input_bytes`"),
    "catalog-schema": CodeInfo("meaning", E, "a contract of the catalog that is no JSON Schema"),
    "catalog-arguments": CodeInfo("meaning", E, "arguments that break the workflow's contract"),
    "unknown-workflow": CodeInfo("meaning", W, "a workflow whose name is nearly one of the catalog's"),
    "duplicate-name": CodeInfo("meaning", E, "two manifests of one call have the same name"),
    "duplicate-id": CodeInfo("meaning", E, "two workflows have the same id"),
    "duplicate-deduplication-id": CodeInfo("meaning", E, "two workflows share queue and deduplication id"),
    "missing-option": CodeInfo("meaning", E, "an option that every workflow needs is not set"),
    "invalid-duration": CodeInfo("meaning", E, "a duration without unit, or not above zero"),
    "invalid-timestamp": CodeInfo("meaning", E, "not an RFC 3339 date-time with an offset"),
    "invalid-text": CodeInfo("meaning", E, "an option's text is blank, too long or has a NUL character"),
    "imprecise-integer": CodeInfo("meaning", W, "an integer beyond 2^53, which some languages round"),
    "exclusive-options": CodeInfo("meaning", E, "two options that exclude each other"),
    "missing-deduplication-id": CodeInfo("meaning", E, "duplication_policy needs a deduplication_id"),
    "deduplication-with-partition-key": CodeInfo(
        "meaning", W, "deduplication is per queue, not per partition; some clients refuse the pair"
    ),
    "reserved-queue": CodeInfo("meaning", E, "a queue name that belongs to DBOS itself"),
    "reserved-attribute": CodeInfo("meaning", E, "the attribute `dbos_manifest` is written by apply"),
    "runtime-arguments": CodeInfo("meaning", E, "arguments that the runtime's SDK would not pass on"),
    "runtime-class-name": CodeInfo("meaning", E, "a class name that the runtime needs or does not read"),
    # 4. the database
    "queue-not-registered": CodeInfo("database", E, "no worker has registered this queue"),
    "queue-owned-elsewhere": CodeInfo("database", E, "the queue belongs to another application"),
    "missing-partition-key": CodeInfo("database", E, "a partitioned queue never runs a row without a key"),
    "unused-partition-key": CodeInfo("database", W, "a plain queue ignores the partition key"),
    "deduplication-on-partitioned-queue": CodeInfo("database", W, "deduplication is queue-wide"),
    "application-version-unknown": CodeInfo("database", W, "no worker has registered this version"),
    "workflow-never-seen": CodeInfo(
        "database", W, "no worker has run a workflow of this name in the database"
    ),
    "worker-behind-schema": CodeInfo("database", W, "a worker that does not find the arguments runs here"),
    "lockfile-missing": CodeInfo("database", E, "another lockfile of this manifest and database exists"),
    "renamed-manifest": CodeInfo("database", E, "the lockfile has the workflows under IDs of another name"),
    "drifted": CodeInfo("database", E, "an enqueued workflow differs from the manifest"),
    "conflict": CodeInfo("database", E, "another workflow has the id or the deduplication id"),
    "not-enqueued": CodeInfo("database", E, "a workflow that apply could not enqueue"),
    "vanished": CodeInfo("database", W, "retention removed a workflow of the lockfile"),
    "missing": CodeInfo("database", E, "a workflow of the lockfile was lost before it was seen to end"),
    "deadline-passed": CodeInfo("database", W, "the deadline has passed: a worker may cancel the workflow"),
}


def make_diagnostic(
    code: str,
    message: str,
    path: Path = (),
    *,
    target: Target = Target.VALUE,
    severity: Severity | None = None,
    help: str | None = None,
    related: tuple[Related, ...] = (),
    span: Span | None = None,
    file: str | None = None,
    document: int = 0,
    fragment: Fragment | None = None,
) -> Diagnostic:
    """A diagnostic of a known code, with that code's usual severity unless one is given.

    Raises: KeyError for a code that the table does not have.
    """
    usual = CODES[code].severity
    return Diagnostic(
        code, message, path, target, severity or usual, help, related, span, file, document, fragment
    )


def format_path(path: Path) -> str:
    """`("workflows", 0, "a b")` as `$.workflows[0]["a b"]`."""
    out = "$"
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        elif part.isidentifier() or part.replace("-", "_").isidentifier():
            out += f".{part}"
        else:
            quoted = part.replace("\\", "\\\\").replace('"', '\\"')
            out += f'["{quoted}"]'
    return out
