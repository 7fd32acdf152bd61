"""The meaning of a manifest: specs in, what DBOS or the runtime's SDK would refuse, ignore or lose out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

from .diagnostic import Diagnostic, Path, Related, Severity, Target, make_diagnostic
from .expand import expand_manifest
from .manifest import Manifest
from .spec import WorkflowSpec

PROVENANCE_KEY = "dbos_manifest"
RESERVED_QUEUE_PREFIX = "_dbos_"

# PostgreSQL keeps an index entry below 2,704 bytes: an id alone in one, the others by twos.
MAX_ID_BYTES = 2000
MAX_TEXT_BYTES = 1000
MAX_NAME_CHARACTERS = 255  # of class_name and config_name, varchar(255)
_NAMES = ("class_name", "instance_name")
_TEXTS = (
    "id", "workflow", "queue", *_NAMES, "application", "queue_partition_key", "deduplication_id",
    "application_version", "authenticated_user", "assumed_role",
)  # fmt: skip


class _Runtime(NamedTuple):
    """What an SDK that is not Python's does with a workflow; the SDKs differ in what they pass on."""

    sdk: str
    refuses_deduplication_in_partitions: bool
    max_args: int | None
    arguments_severity: Severity
    arguments_help: str


_E, _W = Severity.ERROR, Severity.WARNING
_RUNTIMES = {
    "typescript": _Runtime("TypeScript", False, None, _E, "put a map into `args`"),
    "java": _Runtime("Java", True, None, _E, "give each parameter its value in `args`, in order"),
    "go": _Runtime("Go", True, 1, _W, "only a workflow that takes `PortableWorkflowArgs` gets all of them"),
    "rust": _Runtime("Rust", True, 1, _E, "put one map into `args`"),
}


def check_manifest(manifest: Manifest, uniqueness: Uniqueness) -> list[Diagnostic]:
    """Every problem of the manifest's meaning, its clashes with the manifests checked before included.

    What is wrong with a default is blamed on the default, once, however many workflows take it.
    """
    found = list(uniqueness.add_manifest(manifest))
    blamed_defaults = set()
    for diagnostic in _lint_values(manifest.defaults, ("defaults",)):
        blamed_defaults.add((diagnostic.code, diagnostic.path))
        found.append(diagnostic)
    for spec in expand_manifest(manifest, found.append):
        for diagnostic in chain(lint_spec(spec), uniqueness.add_spec(manifest, spec)):
            blamed = _blame(manifest, diagnostic)
            if blamed.path[0] != "workflows":
                key = (blamed.code, blamed.path)
                if key in blamed_defaults:
                    continue
                blamed_defaults.add(key)
            found.append(blamed)
    return found


def _blame(manifest: Manifest, diagnostic: Diagnostic) -> Diagnostic:
    """The diagnostic at the place where its option is written: the entry, the defaults or the manifest.

    Of two options at odds, the entry's own is the one to blame.
    """
    path = _origin(manifest, diagnostic.path)
    related = diagnostic.related
    if related and related[0].file is None:  # another option of the same workflow
        other = _origin(manifest, related[0].path)
        if path[0] == "defaults" and other[0] == "workflows":
            path, other = other, path
        related = (_here(other, manifest.document.index),)
    return replace(diagnostic, path=path, related=related)


def _origin(manifest: Manifest, path: Path) -> Path:
    """Where the option that `path` leads to is written; the whole entry when it is written nowhere."""
    _, index, option, *rest = path
    assert isinstance(index, int)
    if option in manifest.entries[index]:
        return path
    if option in manifest.defaults:
        return ("defaults", option, *rest)
    if option in ("application", "runtime"):
        return (option,)
    return path[:2]


class Uniqueness:
    """What may occur only once in all files of one call: manifest names, ids, deduplication ids."""

    def __init__(self) -> None:
        self._names: dict[str, Manifest] = {}
        self._ids: dict[str, tuple[Manifest, int]] = {}
        self._deduplication_ids: dict[tuple[str, str], tuple[Manifest, int]] = {}

    def add_manifest(self, manifest: Manifest) -> Iterator[Diagnostic]:
        first = self._names.setdefault(manifest.name, manifest)
        if first is not manifest:
            yield make_diagnostic(
                "duplicate-name",
                f"another manifest is named `{manifest.name}` too",
                ("name",),
                help="a name stands for one batch, its lock and its ids: choose another",
                related=(_elsewhere("the first use of the name", first, ("name",)),),
            )

    def add_spec(self, manifest: Manifest, spec: WorkflowSpec) -> Iterator[Diagnostic]:
        place = (manifest, spec.entry)
        first = self._ids.setdefault(spec.id, place)
        if first is not place:
            yield _duplicate_id(manifest, spec, first)
        if spec.deduplication_id is not None:
            first = self._deduplication_ids.setdefault((spec.queue, spec.deduplication_id), place)
            if first is not place:
                yield _duplicate_deduplication_id(spec, first)


def _duplicate_id(manifest: Manifest, spec: WorkflowSpec, first: tuple[Manifest, int]) -> Diagnostic:
    other, entry = first
    path = ("workflows", spec.entry, "id")
    if len(_origin(manifest, path)) > 2:
        message, help = f"the id `{spec.id}` is taken", "every workflow needs an id of its own"
    else:
        message = f"the id made for this workflow, `{spec.id}`, is taken"
        help = "the same workflow with the same arguments twice: give it an `id`, or leave it out"
    related = _elsewhere("the first workflow with it", other, ("workflows", entry, "id"))
    return make_diagnostic("duplicate-id", message, path, help=help, related=(related,))


def _duplicate_deduplication_id(spec: WorkflowSpec, first: tuple[Manifest, int]) -> Diagnostic:
    manifest, entry = first
    path = ("workflows", entry, "deduplication_id")
    return make_diagnostic(
        "duplicate-deduplication-id",
        f"the deduplication id `{spec.deduplication_id}` is taken on the queue `{spec.queue}`",
        ("workflows", spec.entry, "deduplication_id"),
        help="DBOS accepts one workflow of a deduplication id at a time: use another",
        related=(_elsewhere("the first workflow with it", manifest, path),),
    )


def _elsewhere(message: str, manifest: Manifest, path: Path) -> Related:
    path = _origin(manifest, path) if path[0] == "workflows" else path
    return Related(message, path, file=manifest.document.file, document=manifest.document.index)


def _here(path: Path, document: int = 0) -> Related:
    return Related(f"`{path[-1]}` is here", path, document=document)


def lint_spec(spec: WorkflowSpec) -> Iterator[Diagnostic]:
    """What is wrong with one workflow; the paths say the entry and the option.

    Source: DBOS.md §1 for the options, §3 for what a runtime's SDK reads of the arguments.
    """
    path = ("workflows", spec.entry)
    yield from _lint_values(spec._asdict(), path)
    yield from _lint_times(spec, path)
    yield from _lint_deduplication(spec, path)
    if (runtime := _RUNTIMES.get(spec.runtime or "")) is not None:
        yield from _lint_arguments(spec, path, runtime)
        yield from _lint_class_name(spec, path)


def _lint_values(options: Mapping[str, Any], path: Path) -> Iterator[Diagnostic]:
    """The rules that need to see one option only."""
    for option in _TEXTS:
        text = options.get(option)
        if text is not None and (problem := _text_problem(option, text)):
            yield make_diagnostic("invalid-text", f"`{option}` {problem}", (*path, option))
    queue = options.get("queue")
    if queue is not None and queue.startswith(RESERVED_QUEUE_PREFIX):
        yield make_diagnostic(
            "reserved-queue",
            f"the queue `{queue}` is DBOS's own, as all names that start with `{RESERVED_QUEUE_PREFIX}`",
            (*path, "queue"),
            help="name a queue of your application",
        )
    if PROVENANCE_KEY in (options.get("attributes") or ()):
        yield make_diagnostic(
            "reserved-attribute",
            f"the attribute `{PROVENANCE_KEY}` is written by apply",
            (*path, "attributes", PROVENANCE_KEY),
            target=Target.KEY,
            help="give the attribute another name",
        )
    for index, role in enumerate(options.get("authenticated_roles") or ()):
        if not role.strip():
            yield make_diagnostic(
                "invalid-text",
                f"role {index + 1} of `authenticated_roles` is blank",
                (*path, "authenticated_roles", index),
            )


def _text_problem(option: str, text: str) -> str | None:
    if not text.strip():
        return "is blank"
    if option in _NAMES:
        too_long = len(text) > MAX_NAME_CHARACTERS
        return f"has {len(text):,} characters; DBOS keeps {MAX_NAME_CHARACTERS}" if too_long else None
    limit = MAX_ID_BYTES if option == "id" else MAX_TEXT_BYTES
    if len(text) * 4 > limit and (size := len(text.encode())) > limit:
        return f"is {size:,} bytes long in UTF-8; at most {limit:,} fit into the database's index"
    return None


def _lint_times(spec: WorkflowSpec, path: Path) -> Iterator[Diagnostic]:
    if spec.timeout_ms is not None and spec.deadline_ms is not None:
        yield _exclusive("timeout", "deadline", path)
    if spec.delay_ms is not None and spec.not_before_ms is not None:
        yield _exclusive("delay", "not_before", path)


def _exclusive(first: str, second: str, path: Path) -> Diagnostic:
    return make_diagnostic(
        "exclusive-options",
        f"`{first}` and `{second}` exclude each other",
        (*path, second),
        help="keep one of them; an option set to `null` takes a default away",
        related=(_here((*path, first)),),
    )


def _lint_deduplication(spec: WorkflowSpec, path: Path) -> Iterator[Diagnostic]:
    if spec.deduplication_id is None:
        if spec.duplication_policy != "reject":
            yield make_diagnostic(
                "missing-deduplication-id",
                f"`duplication_policy: {spec.duplication_policy}` does nothing without a `deduplication_id`",
                (*path, "duplication_policy"),
                help="add a `deduplication_id`, or leave the policy out",
            )
    elif spec.queue_partition_key is not None:
        runtime = _RUNTIMES.get(spec.runtime or "")
        if runtime is not None and runtime.refuses_deduplication_in_partitions:
            severity, help = Severity.ERROR, "leave one of them out"
            message = f"the {runtime.sdk} SDK refuses `deduplication_id` with `queue_partition_key`"
        else:
            severity, help = Severity.WARNING, "put the partition's key into the deduplication id as well"
            message = "`deduplication_id` counts in the whole queue, not in each partition"
        yield make_diagnostic(
            "deduplication-with-partition-key",
            message,
            (*path, "deduplication_id"),
            severity=severity,
            help=help,
            related=(_here((*path, "queue_partition_key")),),
        )


def _lint_arguments(spec: WorkflowSpec, path: Path, runtime: _Runtime) -> Iterator[Diagnostic]:
    if spec.kwargs:
        yield make_diagnostic(
            "runtime-arguments",
            f"the {runtime.sdk} SDK does not pass `kwargs` on to a workflow",
            (*path, "kwargs"),
            severity=runtime.arguments_severity,
            help=runtime.arguments_help,
        )
    if runtime.max_args is not None and len(spec.args) > runtime.max_args:
        yield make_diagnostic(
            "runtime-arguments",
            f"the {runtime.sdk} SDK passes one argument on, and `args` has {len(spec.args)}",
            (*path, "args", runtime.max_args),
            severity=runtime.arguments_severity,
            help=runtime.arguments_help,
        )


def _lint_class_name(spec: WorkflowSpec, path: Path) -> Iterator[Diagnostic]:
    if spec.runtime == "java" and spec.class_name is None:
        yield make_diagnostic(
            "runtime-class-name",
            f"the Java SDK does not find `{spec.workflow}` without a `class_name`",
            (*path, "class_name"),
            help="write the class's full name, or the name its @WorkflowClassName gives",
        )
    if spec.runtime == "go" and spec.class_name is not None:
        yield make_diagnostic(
            "runtime-class-name",
            "the Go SDK does not read `class_name`",
            (*path, "class_name"),
            severity=Severity.WARNING,
            help="leave it out: a Go workflow is found by its name alone",
        )
