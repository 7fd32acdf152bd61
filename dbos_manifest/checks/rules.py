"""Rules for one workflow: what DBOS or the SDK of its runtime would reject, ignore or lose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..core.canonical_json import canonical_json
from ..core.diagnostic import Diagnostic, Related, Severity, ValuePath, make_diagnostic
from ..workflows.spec import WorkflowSpec

PROVENANCE_KEY = "dbos_manifest"
RESERVED_QUEUE_PREFIX = "_dbos_"
EXACT_INTEGER = 2**53

# PostgreSQL limits an index entry to 2,704 bytes. An ID is alone in one, other texts share it in pairs.
MAX_ID_BYTES = 2000
MAX_TEXT_BYTES = 1000
MAX_NAME_CHARACTERS = 255  # of class_name and config_name, varchar(255)
_NAMES = ("class_name", "instance_name")
_TEXTS = (
    "id", "workflow", "queue", *_NAMES, "application", "queue_partition_key", "deduplication_id",
    "application_version", "authenticated_user", "assumed_role", "schedule",
)  # fmt: skip


class _Runtime(NamedTuple):
    """How the client and worker of an SDK treat a workflow, as tested in docs/reference/compatibility.md."""

    sdk: str
    drops_arguments: Severity | None = None  # keyword arguments, and positional ones beyond `max_args`
    max_args: int | None = None
    arguments_help: str = ""
    needs_class: bool = False  # for every workflow
    instance_needs_class: bool = True
    client_refuses_deduplication_in_partitions: bool = False


_RUNTIMES = {
    "python": _Runtime("Python"),
    "typescript": _Runtime("TypeScript", Severity.ERROR, None, "put a map into `args` instead"),
    "java": _Runtime(
        "Java",
        Severity.ERROR,
        None,
        "write the values of all parameters in `args`, in order",
        needs_class=True,
        client_refuses_deduplication_in_partitions=True,
    ),
    "go": _Runtime(
        "Go",
        Severity.WARNING,
        1,
        "only a workflow that takes `PortableWorkflowArgs` receives all of them",
        instance_needs_class=False,
        client_refuses_deduplication_in_partitions=True,
    ),
    "rust": _Runtime("Rust", client_refuses_deduplication_in_partitions=True),
}


def relate_here(path: ValuePath, document: int = 0) -> Related:
    """Make the second place of a diagnostic, an option of the same workflow."""
    return Related(f"`{path[-1]}` is set here", path, document=document)


def lint_spec(spec: WorkflowSpec) -> Iterator[Diagnostic]:
    """Find the problems of one workflow. Their paths have its entry and the option.

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


def lint_numbers(value: object, path: ValuePath) -> Iterator[Diagnostic]:
    """Find integers that not every language can hold exactly, in any notation."""
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
            f"{shown} is outside ±2^53: TypeScript, and Go workers that decode into `any`, may round it",
            path,
            help="if the workflow accepts text, write the number in quotes, or append `| str` to "
            "its expression",
        )


def lint_values(options: Mapping[str, Any], path: ValuePath) -> Iterator[Diagnostic]:
    """Find the problems of single options."""
    for option in _TEXTS:
        text = options.get(option)
        if isinstance(text, str) and (problem := _text_problem(option, text)):
            yield make_diagnostic("invalid-text", f"`{option}` {problem}", (*path, option))
    queue = options.get("queue")
    if queue is not None and queue.startswith(RESERVED_QUEUE_PREFIX):
        yield make_diagnostic(
            "reserved-queue",
            f"the queue `{queue}` is reserved: names starting with `{RESERVED_QUEUE_PREFIX}` belong to DBOS",
            (*path, "queue"),
            help="use a queue of your application",
        )
    if PROVENANCE_KEY in (options.get("attributes") or ()):
        yield make_diagnostic(
            "reserved-attribute",
            f"the attribute `{PROVENANCE_KEY}` is reserved: apply writes it",
            (*path, "attributes", PROVENANCE_KEY),
            at_key=True,
            help="use another name",
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
        return (
            f"has {len(text):,} characters; at most {MAX_NAME_CHARACTERS} are allowed" if too_long else None
        )
    limit = MAX_ID_BYTES if option == "id" else MAX_TEXT_BYTES
    if len(text) * 4 > limit and (size := len(text.encode())) > limit:
        return f"has {size:,} bytes in UTF-8; a database index allows at most {limit:,}"
    return None


def _lint_times(spec: WorkflowSpec, path: ValuePath) -> Iterator[Diagnostic]:
    if spec.timeout_ms is not None and spec.deadline_ms is not None:
        yield _exclusive("timeout", "deadline", path)
    if spec.delay_ms is not None and spec.not_before_ms is not None:
        yield _exclusive("delay", "not_before", path)


def _exclusive(first: str, second: str, path: ValuePath) -> Diagnostic:
    return make_diagnostic(
        "exclusive-options",
        f"`{first}` and `{second}` are mutually exclusive",
        (*path, second),
        help="keep one of them; write `null` to unset a default",
        related=(relate_here((*path, first)),),
    )


def _lint_deduplication(spec: WorkflowSpec, path: ValuePath) -> Iterator[Diagnostic]:
    if spec.deduplication_id is None:
        if spec.duplication_policy != "reject":
            yield make_diagnostic(
                "missing-deduplication-id",
                f"`duplication_policy: {spec.duplication_policy}` has no effect without a `deduplication_id`",
                (*path, "duplication_policy"),
                help="add a `deduplication_id`, or remove the policy",
            )
    elif spec.queue_partition_key is not None:
        runtime = _RUNTIMES.get(spec.runtime or "")
        message = "`deduplication_id` applies to the whole queue, not to each partition"
        if runtime is not None and runtime.client_refuses_deduplication_in_partitions:
            message += f"; the {runtime.sdk} client rejects the combination"
        yield make_diagnostic(
            "deduplication-with-partition-key",
            message,
            (*path, "deduplication_id"),
            help="add the partition key to the deduplication ID",
            related=(relate_here((*path, "queue_partition_key")),),
        )


def _lint_arguments(spec: WorkflowSpec, path: ValuePath, runtime: _Runtime) -> Iterator[Diagnostic]:
    if runtime.drops_arguments is None:
        return
    if spec.kwargs:
        yield make_diagnostic(
            "runtime-arguments",
            f"the {runtime.sdk} SDK does not pass `kwargs` to a workflow",
            (*path, "kwargs"),
            severity=runtime.drops_arguments,
            help=runtime.arguments_help,
        )
    if runtime.max_args is not None and len(spec.args) > runtime.max_args:
        yield make_diagnostic(
            "runtime-arguments",
            f"the {runtime.sdk} SDK passes one argument, but `args` has {len(spec.args)}",
            (*path, "args", runtime.max_args),
            severity=runtime.drops_arguments,
            help=runtime.arguments_help,
        )


def _lint_class_name(spec: WorkflowSpec, path: ValuePath, runtime: _Runtime) -> Iterator[Diagnostic]:
    if runtime.needs_class and spec.class_name is None:
        yield make_diagnostic(
            "runtime-class-name",
            f"the {runtime.sdk} SDK cannot find `{spec.workflow}` without a `class_name`",
            (*path, "class_name"),
            help="write the full name of the class, or the name in its @WorkflowClassName",
        )
    elif runtime.instance_needs_class and spec.instance_name is not None and spec.class_name is None:
        yield make_diagnostic(
            "runtime-class-name",
            f"the {runtime.sdk} SDK cannot find an instance without its `class_name`",
            (*path, "instance_name"),
            help="add the `class_name` that the application registers",
        )
    if spec.runtime == "go" and spec.class_name is not None:
        yield make_diagnostic(
            "runtime-class-name",
            "the Go SDK does not read `class_name`",
            (*path, "class_name"),
            severity=Severity.WARNING,
            help="remove it: a Go workflow is found by its name alone",
        )
