"""One workflow in, what DBOS or the SDK of its runtime would refuse, ignore or lose out: rule by rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..core.canonical_json import canonical_json
from ..core.diagnostic import Diagnostic, Path, Related, Severity, Target, make_diagnostic
from ..workflows.spec import WorkflowSpec

PROVENANCE_KEY = "dbos_manifest"
RESERVED_QUEUE_PREFIX = "_dbos_"
EXACT_INTEGER = 2**53

# PostgreSQL keeps an index entry below 2,704 bytes: an id alone in one, the others by twos.
MAX_ID_BYTES = 2000
MAX_TEXT_BYTES = 1000
MAX_NAME_CHARACTERS = 255  # of class_name and config_name, varchar(255)
_NAMES = ("class_name", "instance_name")
_TEXTS = (
    "id", "workflow", "queue", *_NAMES, "application", "queue_partition_key", "deduplication_id",
    "application_version", "authenticated_user", "assumed_role", "schedule",
)  # fmt: skip


class _Runtime(NamedTuple):
    """What an SDK's client and worker were seen to do with a workflow (docs/reference/compatibility.md)."""

    sdk: str
    drops_arguments: Severity | None = None  # named ones, and those beyond `max_args`
    max_args: int | None = None
    arguments_help: str = ""
    needs_class: bool = False  # for every workflow
    instance_needs_class: bool = True
    client_refuses_deduplication_in_partitions: bool = False


_RUNTIMES = {
    "python": _Runtime("Python"),
    "typescript": _Runtime("TypeScript", Severity.ERROR, None, "put a map into `args`"),
    "java": _Runtime(
        "Java",
        Severity.ERROR,
        None,
        "give each parameter its value in `args`, in order",
        needs_class=True,
        client_refuses_deduplication_in_partitions=True,
    ),
    "go": _Runtime(
        "Go",
        Severity.WARNING,
        1,
        "only a workflow that takes `PortableWorkflowArgs` gets all of them",
        instance_needs_class=False,
        client_refuses_deduplication_in_partitions=True,
    ),
    "rust": _Runtime("Rust", client_refuses_deduplication_in_partitions=True),
}


def relate_here(path: Path, document: int = 0) -> Related:
    return Related(f"`{path[-1]}` is here", path, document=document)


def lint_spec(spec: WorkflowSpec) -> Iterator[Diagnostic]:
    """What is wrong with one workflow; the paths say the entry and the option.

    Source: DBOS.md §1 for the options, docs/reference/compatibility.md for the runtimes.
    """
    path = ("workflows", spec.entry)
    yield from lint_values(spec._asdict(), path)
    if spec.attributes:
        yield from lint_numbers(spec.attributes, (*path, "attributes"))
    yield from _lint_times(spec, path)
    yield from _lint_deduplication(spec, path)
    if (runtime := _RUNTIMES.get(spec.runtime or "")) is not None:
        yield from _lint_arguments(spec, path, runtime)
        yield from _lint_class_name(spec, path, runtime)


def lint_numbers(value: Any, path: Path) -> Iterator[Diagnostic]:
    """Find the whole numbers that not every language can hold, in whatever notation they were written."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from lint_numbers(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from lint_numbers(item, (*path, index))
    elif isinstance(value, (int, float)) and not -EXACT_INTEGER <= value <= EXACT_INTEGER:
        text = canonical_json(value)
        shown = text if len(text) <= 40 else f"{text[:39]}…"
        yield make_diagnostic(
            "imprecise-integer",
            f"{shown} is beyond 2^53: TypeScript and untyped Go round it",
            path,
            help="if the workflow takes text, write the number in quotes, or `| str` in its expression",
        )


def lint_values(options: Mapping[str, Any], path: Path) -> Iterator[Diagnostic]:
    """The rules that need to see one option only."""
    for option in _TEXTS:
        text = options.get(option)
        if isinstance(text, str) and (problem := _text_problem(option, text)):
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
        help="keep one of them; `null` unsets a default",
        related=(relate_here((*path, first)),),
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
        message = "`deduplication_id` counts in the whole queue, not in each partition"
        if runtime is not None and runtime.client_refuses_deduplication_in_partitions:
            message += f"; the {runtime.sdk} client refuses the two together"
        yield make_diagnostic(
            "deduplication-with-partition-key",
            message,
            (*path, "deduplication_id"),
            help="put the partition's key into the deduplication id as well",
            related=(relate_here((*path, "queue_partition_key")),),
        )


def _lint_arguments(spec: WorkflowSpec, path: Path, runtime: _Runtime) -> Iterator[Diagnostic]:
    if runtime.drops_arguments is None:
        return
    if spec.kwargs:
        yield make_diagnostic(
            "runtime-arguments",
            f"the {runtime.sdk} SDK does not pass `kwargs` on to a workflow",
            (*path, "kwargs"),
            severity=runtime.drops_arguments,
            help=runtime.arguments_help,
        )
    if runtime.max_args is not None and len(spec.args) > runtime.max_args:
        yield make_diagnostic(
            "runtime-arguments",
            f"the {runtime.sdk} SDK passes one argument on, and `args` has {len(spec.args)}",
            (*path, "args", runtime.max_args),
            severity=runtime.drops_arguments,
            help=runtime.arguments_help,
        )


def _lint_class_name(spec: WorkflowSpec, path: Path, runtime: _Runtime) -> Iterator[Diagnostic]:
    if runtime.needs_class and spec.class_name is None:
        yield make_diagnostic(
            "runtime-class-name",
            f"the {runtime.sdk} SDK does not find `{spec.workflow}` without a `class_name`",
            (*path, "class_name"),
            help="write the class's full name, or the name its @WorkflowClassName gives",
        )
    elif runtime.instance_needs_class and spec.instance_name is not None and spec.class_name is None:
        yield make_diagnostic(
            "runtime-class-name",
            f"the {runtime.sdk} SDK does not find an instance without its `class_name`",
            (*path, "instance_name"),
            help="add the `class_name` that the application registers",
        )
    if spec.runtime == "go" and spec.class_name is not None:
        yield make_diagnostic(
            "runtime-class-name",
            "the Go SDK does not read `class_name`",
            (*path, "class_name"),
            severity=Severity.WARNING,
            help="leave it out: a Go workflow is found by its name alone",
        )
