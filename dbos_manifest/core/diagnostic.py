"""Diagnostics: problems found in files or by preflight, each with a code, a message, a place and a help."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

ValuePath = tuple[str | int, ...]
"""The keys and indexes that lead to a value of a document: ("workflows", 0, "timeout")."""

SOURCE_IN_QUOTES = "write it in quotes"
"""A help that is completed with the value in quotes where its position in the text is known."""


class Span(NamedTuple):
    """A part of a file. Lines and columns count from 1, in code points; the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


class Severity(str, Enum):
    """How serious a diagnostic is."""

    ERROR = "error"
    WARNING = "warning"


class Fragment(NamedTuple):
    """A part of a scalar, by offsets in its text."""

    expression: int  # number of its `${{` in the scalar, from 0
    mark: int  # offset of that `${{`
    start: int
    end: int
    sign: str = "${{"  # the marker that `expression` and `mark` count


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that a diagnostic shows, such as the first use of a duplicate ID."""

    message: str
    path: ValuePath
    span: Span | None = None
    file: str | None = None  # None: the diagnostic's own file
    document: int = 0


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A problem. Checks set `path`; the span in the text is found only when the diagnostic is shown."""

    code: str
    message: str
    path: ValuePath = ()
    at_key: bool = False  # whether it points at the key of the value at `path`
    severity: Severity = Severity.ERROR
    help: str | None = None
    related: tuple[Related, ...] = ()
    span: Span | None = None
    file: str | None = None
    document: int = 0  # which of the file's YAML documents, from 0
    fragment: Fragment | None = None  # the part of the scalar at `path` to point at
    note: str | None = None  # which workflows of the entry have the problem

    def __str__(self) -> str:
        """Return `file:line:column: error[code]: message`."""
        place = f"{self.span.file}:{self.span.line}:{self.span.column}" if self.span else self.file
        return f"{f'{place}: ' if place else ''}{self.severity.value}[{self.code}]: {self.message}"

    def in_file(self, file: str, document: int = 0, span: Span | None = None) -> Diagnostic:
        """Return the diagnostic for a document of a file, at a span if it is known."""
        return replace(self, file=file, document=document, span=span)


class CodeInfo(NamedTuple):
    """What is documented of a diagnostic's code."""

    layer: str  # syntax | schema | meaning | database
    severity: Severity  # the default
    summary: str


E, W = Severity.ERROR, Severity.WARNING

CODES: dict[str, CodeInfo] = {
    # 1. the text
    "encoding": CodeInfo("syntax", E, "the file is not UTF-8 text"),
    "yaml-syntax": CodeInfo("syntax", E, "the text is not YAML (or JSON)"),
    "duplicate-key": CodeInfo("syntax", E, "a key occurs twice in a map"),
    "merge-key": CodeInfo("syntax", E, "`<<` is not part of YAML 1.2"),
    "unknown-tag": CodeInfo("syntax", E, "a YAML tag that has no JSON equivalent"),
    "non-string-key": CodeInfo("syntax", E, "a key that is not text"),
    "not-portable": CodeInfo("syntax", E, "a value that JSON cannot represent in every language"),
    "too-large": CodeInfo("syntax", E, "a limit on size, depth or expansion is exceeded"),
    "recursive-alias": CodeInfo("syntax", E, "an alias inside the value that it refers to"),
    "ambiguous-scalar": CodeInfo(
        "syntax", W, "an unquoted scalar that YAML 1.1 tools read as a different value"
    ),
    # 2. the schema
    "not-a-manifest": CodeInfo("schema", E, "the document is not a manifest"),
    "unsupported-version": CodeInfo("schema", E, "an unsupported manifest version"),
    "unknown-key": CodeInfo("schema", E, "an unknown key"),
    "missing-key": CodeInfo("schema", E, "a required key is missing"),
    "wrong-type": CodeInfo("schema", E, "a value has the wrong type"),
    "invalid-value": CodeInfo("schema", E, "a value is not allowed for its key"),
    # 3. the meaning
    "expression-syntax": CodeInfo("meaning", E, "invalid syntax in `${{ }}`"),
    "expression-value": CodeInfo(
        "meaning", E, "an expression has no value, or a value that cannot be used here"
    ),
    "unknown-name": CodeInfo("meaning", E, "a name that is neither an axis nor a variable"),
    "unknown-filter": CodeInfo("meaning", E, "an unknown filter"),
    "not-an-expression": CodeInfo("meaning", W, "`{{ }}` without `$` is plain text"),
    "misplaced-expression": CodeInfo("meaning", E, "`${{ }}` in a place where expressions are not evaluated"),
    "invalid-axis": CodeInfo("meaning", E, "an invalid matrix axis"),
    "empty-axis": CodeInfo("meaning", E, "an axis without values"),
    "excluded-tick": CodeInfo(
        "meaning", W, "a cron schedule fires exactly at `start` or `end`, which are excluded"
    ),
    "axis-file": CodeInfo("meaning", E, "the data file of an axis cannot be read"),
    "outside-tree": CodeInfo("meaning", E, "a file outside the manifest's folder"),
    "remote-ref": CodeInfo("meaning", E, "a reference that is not a file path"),
    "axis-not-in-id": CodeInfo("meaning", E, "IDs collide because the ID does not contain an axis"),
    "unused-exclude": CodeInfo("meaning", W, "an exclude that matches no combination"),
    "too-many-workflows": CodeInfo(
        "meaning", E, "more workflows than `limits.max_workflows` or `--max-workflows`"
    ),
    "input-too-large": CodeInfo("meaning", E, "arguments larger than `limits.max_input_bytes`"),
    "catalog-schema": CodeInfo("meaning", E, "a contract in the catalog is not a JSON Schema"),
    "catalog-arguments": CodeInfo("meaning", E, "arguments violate the contract of the workflow"),
    "unknown-workflow": CodeInfo("meaning", W, "a workflow name similar to one in the catalog"),
    "duplicate-name": CodeInfo("meaning", E, "two manifests in one call have the same name"),
    "duplicate-id": CodeInfo("meaning", E, "two workflows have the same ID"),
    "duplicate-deduplication-id": CodeInfo(
        "meaning", E, "two workflows have the same queue and deduplication ID"
    ),
    "missing-option": CodeInfo("meaning", E, "a required option is not set"),
    "invalid-duration": CodeInfo("meaning", E, "a duration has no unit, or is not above zero"),
    "invalid-timestamp": CodeInfo("meaning", E, "not an RFC 3339 date-time with an offset"),
    "invalid-text": CodeInfo(
        "meaning", E, "the text of an option is blank, too long or contains a NUL character"
    ),
    "imprecise-integer": CodeInfo("meaning", W, "an integer beyond 2^53, which some languages round"),
    "exclusive-options": CodeInfo("meaning", E, "two options are mutually exclusive"),
    "missing-deduplication-id": CodeInfo("meaning", E, "`duplication_policy` needs a `deduplication_id`"),
    "deduplication-with-partition-key": CodeInfo(
        "meaning", W, "deduplication is per queue, not per partition; some SDK clients reject the combination"
    ),
    "reserved-queue": CodeInfo("meaning", E, "a queue name that is reserved for DBOS"),
    "reserved-attribute": CodeInfo("meaning", E, "the attribute `dbos_manifest` is reserved for apply"),
    "runtime-arguments": CodeInfo(
        "meaning", E, "the SDK of the runtime does not pass these arguments to the workflow"
    ),
    "runtime-class-name": CodeInfo("meaning", E, "the runtime needs a class name, or ignores it"),
    # 4. the database
    "queue-not-registered": CodeInfo("database", E, "no worker has registered this queue"),
    "queue-owned-elsewhere": CodeInfo("database", E, "the queue belongs to another application"),
    "missing-partition-key": CodeInfo(
        "database", E, "a partitioned queue never runs a workflow without a partition key"
    ),
    "unused-partition-key": CodeInfo("database", W, "a queue without partitions ignores the partition key"),
    "deduplication-on-partitioned-queue": CodeInfo(
        "database", W, "deduplication applies to the whole queue, not to each partition"
    ),
    "application-version-unknown": CodeInfo(
        "database", W, "no worker has registered this application version"
    ),
    "workflow-never-seen": CodeInfo(
        "database", W, "the database has no record of a worker running a workflow with this name"
    ),
    "worker-behind-schema": CodeInfo("database", W, "a running worker is too old to read the arguments"),
    "queued-in-the-future": CodeInfo(
        "database", W, "a queued workflow has a creation time more than a day in the future"
    ),
    "lockfile-missing": CodeInfo("database", E, "another lockfile for this manifest and database exists"),
    "renamed-manifest": CodeInfo(
        "database", E, "the lockfile lists the workflows under IDs generated from another name"
    ),
    "drifted": CodeInfo("database", E, "the row of a workflow differs from the manifest"),
    "conflict": CodeInfo("database", E, "another workflow already has the ID or the deduplication ID"),
    "not-enqueued": CodeInfo("database", E, "apply could not enqueue a workflow"),
    "vanished": CodeInfo("database", W, "retention removed a workflow that is in the lockfile"),
    "missing": CodeInfo(
        "database", E, "a workflow in the lockfile has no row, and retention does not explain it"
    ),
    "deadline-passed": CodeInfo(
        "database", W, "the deadline has passed, so a worker may cancel the workflow"
    ),
}


def make_diagnostic(
    code: str,
    message: str,
    path: ValuePath = (),
    *,
    at_key: bool = False,
    severity: Severity | None = None,
    help: str | None = None,
    related: tuple[Related, ...] = (),
) -> Diagnostic:
    """Make a diagnostic with the default severity of its code, unless another is given.

    Raises: KeyError for a code that `CODES` does not have.
    """
    usual = CODES[code].severity
    return Diagnostic(code, message, path, at_key, severity or usual, help, related)


def format_path(path: ValuePath) -> str:
    """Format a path: `("workflows", 0, "a b")` as `$.workflows[0]["a b"]`."""
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
